// One cell of the GEMM engine: sum = (opens ? 0 : sum) + (a0 + b1) * (a1 + b0), two multiply-accumulates every cycle in
// one DSP48E2 with its registers and its adder before the multiplier; the other addition is in LUTs. An idle cycle
// multiplies zeros. A sum leaves four cycles after its operands came.
//
// PRIMITIVE 0 describes the cell, 1 instantiates the primitive; the bench holds the two equal.
module mac_cell #(
    parameter PRIMITIVE = 0
) (
    input  wire        clk,
    input  wire [15:0] a0,
    input  wire [15:0] a1,
    input  wire [15:0] b0,
    input  wire [15:0] b1,
    input  wire        opens,
    output wire [47:0] out
);
  reg opens_1, opens_2;
  reg signed [16:0] second_1;
  always_ff @(posedge clk) begin
    opens_1 <= opens;
    opens_2 <= opens_1;
    second_1 <= $signed(a1) + $signed(b0);
  end

  generate
    if (PRIMITIVE == 0) begin : described
      reg signed [15:0] a_1, b_1;
      reg signed [16:0] first_2, second_2;
      reg signed [33:0] product_3;
      reg opens_3;
      reg signed [47:0] sum_4 = 48'd0;
      always_ff @(posedge clk) begin
        a_1 <= a0;
        b_1 <= b1;
        first_2 <= a_1 + b_1;
        second_2 <= second_1;
        product_3 <= first_2 * second_2;
        opens_3 <= opens_2;
        sum_4 <= (opens_3 ? 48'sd0 : sum_4) + 48'(product_3);
      end
      assign out = sum_4;
    end else begin : instantiated
      // X and Y: the product of D + A and B; Z: the last sum, or 0.
      DSP48E2 #(
          .AREG(1), .ACASCREG(1), .BREG(1), .BCASCREG(1), .MREG(1), .PREG(1), .OPMODEREG(1), .ALUMODEREG(0),
          .CARRYINREG(0), .CARRYINSELREG(0), .CREG(0), .DREG(1), .ADREG(1), .INMODEREG(0), .USE_MULT("MULTIPLY"),
          .AMULTSEL("AD")
      ) dsp (
          .CLK(clk), .A({{14{a0[15]}}, a0}), .B({second_1[16], second_1}), .C(48'd0), .D({{11{b1[15]}}, b1}), .P(out),
          .OPMODE({2'b00, opens_2 ? 3'b000 : 3'b010, 4'b0101}), .ALUMODE(4'd0), .INMODE(5'b00100),
          .CARRYIN(1'b0), .CARRYINSEL(3'd0),
          .CEA1(1'b1), .CEA2(1'b1), .CEB1(1'b1), .CEB2(1'b1), .CEM(1'b1), .CEP(1'b1), .CECTRL(1'b1),
          .CEAD(1'b1), .CEALUMODE(1'b0), .CEC(1'b0), .CECARRYIN(1'b0), .CED(1'b1), .CEINMODE(1'b0),
          .RSTA(1'b0), .RSTALLCARRYIN(1'b0), .RSTALUMODE(1'b0), .RSTB(1'b0), .RSTC(1'b0), .RSTCTRL(1'b0),
          .RSTD(1'b0), .RSTINMODE(1'b0), .RSTM(1'b0), .RSTP(1'b0)
      );
    end
  endgenerate
endmodule

module mac_cell_primitive (
    input  wire        clk,
    input  wire [15:0] a0,
    input  wire [15:0] a1,
    input  wire [15:0] b0,
    input  wire [15:0] b1,
    input  wire        opens,
    output wire [47:0] out
);
  mac_cell #(.PRIMITIVE(1)) cell_ (
      .clk(clk), .a0(a0), .a1(a1), .b0(b0), .b1(b1), .opens(opens), .out(out)
  );
endmodule

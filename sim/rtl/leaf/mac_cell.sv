// One multiply-accumulate cell of the GEMM engine: sum = (opens ? 0 : sum) + a * b, a product every cycle, in one DSP48E2
// with its registers for operands, product and sum. An idle cycle multiplies zeros. A sum leaves three cycles after its
// operands came.
//
// PRIMITIVE 0 describes the cell, 1 instantiates the primitive; the bench holds the two equal.
module mac_cell #(
    parameter PRIMITIVE = 0
) (
    input  wire        clk,
    input  wire [15:0] a,
    input  wire [15:0] b,
    input  wire        opens,
    output wire [47:0] out
);
  reg opens_1;
  always_ff @(posedge clk) opens_1 <= opens;

  generate
    if (PRIMITIVE == 0) begin : described
      reg signed [15:0] a_1, b_1;
      reg signed [31:0] product_2;
      reg opens_2;
      reg signed [47:0] sum_3 = 48'd0;
      always_ff @(posedge clk) begin
        a_1 <= a;
        b_1 <= b;
        product_2 <= a_1 * b_1;
        opens_2 <= opens_1;
        sum_3 <= (opens_2 ? 48'sd0 : sum_3) + 48'(product_2);
      end
      assign out = sum_3;
    end else begin : instantiated
      // X and Y: the product; Z: the last sum, or 0.
      DSP48E2 #(
          .AREG(1), .ACASCREG(1), .BREG(1), .BCASCREG(1), .MREG(1), .PREG(1), .OPMODEREG(1), .ALUMODEREG(0),
          .CARRYINREG(0), .CARRYINSELREG(0), .CREG(0), .DREG(0), .ADREG(0), .INMODEREG(0), .USE_MULT("MULTIPLY")
      ) dsp (
          .CLK(clk), .A({{14{a[15]}}, a}), .B({{2{b[15]}}, b}), .C(48'd0), .D(27'd0), .P(out),
          .OPMODE({2'b00, opens_1 ? 3'b000 : 3'b010, 4'b0101}), .ALUMODE(4'd0), .INMODE(5'd0),
          .CARRYIN(1'b0), .CARRYINSEL(3'd0),
          .CEA1(1'b1), .CEA2(1'b1), .CEB1(1'b1), .CEB2(1'b1), .CEM(1'b1), .CEP(1'b1), .CECTRL(1'b1),
          .CEAD(1'b0), .CEALUMODE(1'b0), .CEC(1'b0), .CECARRYIN(1'b0), .CED(1'b0), .CEINMODE(1'b0),
          .RSTA(1'b0), .RSTALLCARRYIN(1'b0), .RSTALUMODE(1'b0), .RSTB(1'b0), .RSTC(1'b0), .RSTCTRL(1'b0),
          .RSTD(1'b0), .RSTINMODE(1'b0), .RSTM(1'b0), .RSTP(1'b0)
      );
    end
  endgenerate
endmodule

module mac_cell_primitive (
    input  wire        clk,
    input  wire [15:0] a,
    input  wire [15:0] b,
    input  wire        opens,
    output wire [47:0] out
);
  mac_cell #(.PRIMITIVE(1)) cell_ (.clk(clk), .a(a), .b(b), .opens(opens), .out(out));
endmodule

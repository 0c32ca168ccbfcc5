// DSP48E2 for simulation, by yosys's model of the DSP48E1: of what a multiply-accumulate uses, the two differ in the width
// of A, in AMULTSEL (the other one has USE_DPORT) and in the multiplexer W of the adder, which OPMODE[8:7] = 0 leaves at 0.
module DSP48E2 #(
    parameter AREG = 1, ACASCREG = 1, BREG = 1, BCASCREG = 1, MREG = 1, PREG = 1, OPMODEREG = 1, ALUMODEREG = 1,
    parameter CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, ADREG = 1, INMODEREG = 1,
    parameter USE_MULT = "MULTIPLY", AMULTSEL = "A"
) (
    input  wire        CLK,
    input  wire [29:0] A,
    input  wire [17:0] B,
    input  wire [47:0] C,
    input  wire [26:0] D,
    output wire [47:0] P,
    input  wire [ 8:0] OPMODE,
    input  wire [ 3:0] ALUMODE,
    input  wire [ 4:0] INMODE,
    input  wire        CARRYIN,
    input  wire [ 2:0] CARRYINSEL,
    input  wire CEA1, CEA2, CEB1, CEB2, CEM, CEP, CECTRL, CEAD, CEALUMODE, CEC, CECARRYIN, CED, CEINMODE,
    input  wire RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP
);
  initial if (OPMODE[8:7] != 0) $fatal(1, "this model has no multiplexer W");
  DSP48E1 #(
      .AREG(AREG), .ACASCREG(ACASCREG), .BREG(BREG), .BCASCREG(BCASCREG), .MREG(MREG), .PREG(PREG),
      .OPMODEREG(OPMODEREG), .ALUMODEREG(ALUMODEREG), .CARRYINREG(CARRYINREG), .CARRYINSELREG(CARRYINSELREG),
      .USE_DPORT(AMULTSEL == "AD" ? "TRUE" : "FALSE"), .CREG(CREG), .DREG(DREG), .ADREG(ADREG), .INMODEREG(INMODEREG), .USE_MULT(USE_MULT)
  ) model (
      .CLK(CLK), .A(A), .B(B), .C(C), .D(D[24:0]), .P(P), .OPMODE(OPMODE[6:0]), .ALUMODE(ALUMODE), .INMODE(INMODE),
      .CARRYIN(CARRYIN), .CARRYINSEL(CARRYINSEL), .ACIN(30'd0), .BCIN(18'd0), .PCIN(48'd0), .CARRYCASCIN(1'b0),
      .MULTSIGNIN(1'b0), .CEA1(CEA1), .CEA2(CEA2), .CEB1(CEB1), .CEB2(CEB2), .CEM(CEM), .CEP(CEP), .CECTRL(CECTRL),
      .CEAD(CEAD), .CEALUMODE(CEALUMODE), .CEC(CEC), .CECARRYIN(CECARRYIN), .CED(CED), .CEINMODE(CEINMODE),
      .RSTA(RSTA), .RSTALLCARRYIN(RSTALLCARRYIN), .RSTALUMODE(RSTALUMODE), .RSTB(RSTB), .RSTC(RSTC),
      .RSTCTRL(RSTCTRL), .RSTD(RSTD), .RSTINMODE(RSTINMODE), .RSTM(RSTM), .RSTP(RSTP)
  );
endmodule

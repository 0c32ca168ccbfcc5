`timescale 1 ns / 1 ps
module peelvit_top_hash_ROM (address0, address1, q0, q1);
input address0, address1;
output [31:0] q0, q1;
reg [31:0] ram [0:1];
initial begin
    $readmemh("./peelvit_top_hash_ROM.dat", ram);
end
assign q0 = ram[address0];
assign q1 = ram[address1];
endmodule

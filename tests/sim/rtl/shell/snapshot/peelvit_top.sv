// The accelerator for simulation, with the ports that Vitis HLS gives it: true AXI outside; inside, the kernels' C++ at
// its modelled schedule (bus.hpp). Rendered for toy.
module peelvit_top (
    input  logic         ap_clk,
    input  logic         ap_rst_n,
    output logic         m_axi_gmem0_AWVALID,
    input  logic         m_axi_gmem0_AWREADY,
    output logic [63:0]  m_axi_gmem0_AWADDR,
    output logic [0:0]   m_axi_gmem0_AWID,
    output logic [7:0]   m_axi_gmem0_AWLEN,
    output logic [2:0]   m_axi_gmem0_AWSIZE,
    output logic [1:0]   m_axi_gmem0_AWBURST,
    output logic [1:0]   m_axi_gmem0_AWLOCK,
    output logic [3:0]   m_axi_gmem0_AWCACHE,
    output logic [2:0]   m_axi_gmem0_AWPROT,
    output logic [3:0]   m_axi_gmem0_AWQOS,
    output logic [3:0]   m_axi_gmem0_AWREGION,
    output logic [0:0]   m_axi_gmem0_AWUSER,
    output logic         m_axi_gmem0_WVALID,
    input  logic         m_axi_gmem0_WREADY,
    output logic [127:0] m_axi_gmem0_WDATA,
    output logic [15:0]  m_axi_gmem0_WSTRB,
    output logic         m_axi_gmem0_WLAST,
    output logic [0:0]   m_axi_gmem0_WID,
    output logic [0:0]   m_axi_gmem0_WUSER,
    input  logic         m_axi_gmem0_BVALID,
    output logic         m_axi_gmem0_BREADY,
    input  logic [1:0]   m_axi_gmem0_BRESP,
    input  logic [0:0]   m_axi_gmem0_BID,
    input  logic [0:0]   m_axi_gmem0_BUSER,
    output logic         m_axi_gmem0_ARVALID,
    input  logic         m_axi_gmem0_ARREADY,
    output logic [63:0]  m_axi_gmem0_ARADDR,
    output logic [0:0]   m_axi_gmem0_ARID,
    output logic [7:0]   m_axi_gmem0_ARLEN,
    output logic [2:0]   m_axi_gmem0_ARSIZE,
    output logic [1:0]   m_axi_gmem0_ARBURST,
    output logic [1:0]   m_axi_gmem0_ARLOCK,
    output logic [3:0]   m_axi_gmem0_ARCACHE,
    output logic [2:0]   m_axi_gmem0_ARPROT,
    output logic [3:0]   m_axi_gmem0_ARQOS,
    output logic [3:0]   m_axi_gmem0_ARREGION,
    output logic [0:0]   m_axi_gmem0_ARUSER,
    input  logic         m_axi_gmem0_RVALID,
    output logic         m_axi_gmem0_RREADY,
    input  logic [127:0] m_axi_gmem0_RDATA,
    input  logic         m_axi_gmem0_RLAST,
    input  logic [0:0]   m_axi_gmem0_RID,
    input  logic [0:0]   m_axi_gmem0_RUSER,
    input  logic [1:0]   m_axi_gmem0_RRESP,
    output logic         m_axi_gmem1_AWVALID,
    input  logic         m_axi_gmem1_AWREADY,
    output logic [63:0]  m_axi_gmem1_AWADDR,
    output logic [0:0]   m_axi_gmem1_AWID,
    output logic [7:0]   m_axi_gmem1_AWLEN,
    output logic [2:0]   m_axi_gmem1_AWSIZE,
    output logic [1:0]   m_axi_gmem1_AWBURST,
    output logic [1:0]   m_axi_gmem1_AWLOCK,
    output logic [3:0]   m_axi_gmem1_AWCACHE,
    output logic [2:0]   m_axi_gmem1_AWPROT,
    output logic [3:0]   m_axi_gmem1_AWQOS,
    output logic [3:0]   m_axi_gmem1_AWREGION,
    output logic [0:0]   m_axi_gmem1_AWUSER,
    output logic         m_axi_gmem1_WVALID,
    input  logic         m_axi_gmem1_WREADY,
    output logic [127:0] m_axi_gmem1_WDATA,
    output logic [15:0]  m_axi_gmem1_WSTRB,
    output logic         m_axi_gmem1_WLAST,
    output logic [0:0]   m_axi_gmem1_WID,
    output logic [0:0]   m_axi_gmem1_WUSER,
    input  logic         m_axi_gmem1_BVALID,
    output logic         m_axi_gmem1_BREADY,
    input  logic [1:0]   m_axi_gmem1_BRESP,
    input  logic [0:0]   m_axi_gmem1_BID,
    input  logic [0:0]   m_axi_gmem1_BUSER,
    output logic         m_axi_gmem1_ARVALID,
    input  logic         m_axi_gmem1_ARREADY,
    output logic [63:0]  m_axi_gmem1_ARADDR,
    output logic [0:0]   m_axi_gmem1_ARID,
    output logic [7:0]   m_axi_gmem1_ARLEN,
    output logic [2:0]   m_axi_gmem1_ARSIZE,
    output logic [1:0]   m_axi_gmem1_ARBURST,
    output logic [1:0]   m_axi_gmem1_ARLOCK,
    output logic [3:0]   m_axi_gmem1_ARCACHE,
    output logic [2:0]   m_axi_gmem1_ARPROT,
    output logic [3:0]   m_axi_gmem1_ARQOS,
    output logic [3:0]   m_axi_gmem1_ARREGION,
    output logic [0:0]   m_axi_gmem1_ARUSER,
    input  logic         m_axi_gmem1_RVALID,
    output logic         m_axi_gmem1_RREADY,
    input  logic [127:0] m_axi_gmem1_RDATA,
    input  logic         m_axi_gmem1_RLAST,
    input  logic [0:0]   m_axi_gmem1_RID,
    input  logic [0:0]   m_axi_gmem1_RUSER,
    input  logic [1:0]   m_axi_gmem1_RRESP,
    output logic         m_axi_gmem2_AWVALID,
    input  logic         m_axi_gmem2_AWREADY,
    output logic [63:0]  m_axi_gmem2_AWADDR,
    output logic [0:0]   m_axi_gmem2_AWID,
    output logic [7:0]   m_axi_gmem2_AWLEN,
    output logic [2:0]   m_axi_gmem2_AWSIZE,
    output logic [1:0]   m_axi_gmem2_AWBURST,
    output logic [1:0]   m_axi_gmem2_AWLOCK,
    output logic [3:0]   m_axi_gmem2_AWCACHE,
    output logic [2:0]   m_axi_gmem2_AWPROT,
    output logic [3:0]   m_axi_gmem2_AWQOS,
    output logic [3:0]   m_axi_gmem2_AWREGION,
    output logic [0:0]   m_axi_gmem2_AWUSER,
    output logic         m_axi_gmem2_WVALID,
    input  logic         m_axi_gmem2_WREADY,
    output logic [127:0] m_axi_gmem2_WDATA,
    output logic [15:0]  m_axi_gmem2_WSTRB,
    output logic         m_axi_gmem2_WLAST,
    output logic [0:0]   m_axi_gmem2_WID,
    output logic [0:0]   m_axi_gmem2_WUSER,
    input  logic         m_axi_gmem2_BVALID,
    output logic         m_axi_gmem2_BREADY,
    input  logic [1:0]   m_axi_gmem2_BRESP,
    input  logic [0:0]   m_axi_gmem2_BID,
    input  logic [0:0]   m_axi_gmem2_BUSER,
    output logic         m_axi_gmem2_ARVALID,
    input  logic         m_axi_gmem2_ARREADY,
    output logic [63:0]  m_axi_gmem2_ARADDR,
    output logic [0:0]   m_axi_gmem2_ARID,
    output logic [7:0]   m_axi_gmem2_ARLEN,
    output logic [2:0]   m_axi_gmem2_ARSIZE,
    output logic [1:0]   m_axi_gmem2_ARBURST,
    output logic [1:0]   m_axi_gmem2_ARLOCK,
    output logic [3:0]   m_axi_gmem2_ARCACHE,
    output logic [2:0]   m_axi_gmem2_ARPROT,
    output logic [3:0]   m_axi_gmem2_ARQOS,
    output logic [3:0]   m_axi_gmem2_ARREGION,
    output logic [0:0]   m_axi_gmem2_ARUSER,
    input  logic         m_axi_gmem2_RVALID,
    output logic         m_axi_gmem2_RREADY,
    input  logic [127:0] m_axi_gmem2_RDATA,
    input  logic         m_axi_gmem2_RLAST,
    input  logic [0:0]   m_axi_gmem2_RID,
    input  logic [0:0]   m_axi_gmem2_RUSER,
    input  logic [1:0]   m_axi_gmem2_RRESP,
    output logic         m_axi_gmem3_AWVALID,
    input  logic         m_axi_gmem3_AWREADY,
    output logic [63:0]  m_axi_gmem3_AWADDR,
    output logic [0:0]   m_axi_gmem3_AWID,
    output logic [7:0]   m_axi_gmem3_AWLEN,
    output logic [2:0]   m_axi_gmem3_AWSIZE,
    output logic [1:0]   m_axi_gmem3_AWBURST,
    output logic [1:0]   m_axi_gmem3_AWLOCK,
    output logic [3:0]   m_axi_gmem3_AWCACHE,
    output logic [2:0]   m_axi_gmem3_AWPROT,
    output logic [3:0]   m_axi_gmem3_AWQOS,
    output logic [3:0]   m_axi_gmem3_AWREGION,
    output logic [0:0]   m_axi_gmem3_AWUSER,
    output logic         m_axi_gmem3_WVALID,
    input  logic         m_axi_gmem3_WREADY,
    output logic [127:0] m_axi_gmem3_WDATA,
    output logic [15:0]  m_axi_gmem3_WSTRB,
    output logic         m_axi_gmem3_WLAST,
    output logic [0:0]   m_axi_gmem3_WID,
    output logic [0:0]   m_axi_gmem3_WUSER,
    input  logic         m_axi_gmem3_BVALID,
    output logic         m_axi_gmem3_BREADY,
    input  logic [1:0]   m_axi_gmem3_BRESP,
    input  logic [0:0]   m_axi_gmem3_BID,
    input  logic [0:0]   m_axi_gmem3_BUSER,
    output logic         m_axi_gmem3_ARVALID,
    input  logic         m_axi_gmem3_ARREADY,
    output logic [63:0]  m_axi_gmem3_ARADDR,
    output logic [0:0]   m_axi_gmem3_ARID,
    output logic [7:0]   m_axi_gmem3_ARLEN,
    output logic [2:0]   m_axi_gmem3_ARSIZE,
    output logic [1:0]   m_axi_gmem3_ARBURST,
    output logic [1:0]   m_axi_gmem3_ARLOCK,
    output logic [3:0]   m_axi_gmem3_ARCACHE,
    output logic [2:0]   m_axi_gmem3_ARPROT,
    output logic [3:0]   m_axi_gmem3_ARQOS,
    output logic [3:0]   m_axi_gmem3_ARREGION,
    output logic [0:0]   m_axi_gmem3_ARUSER,
    input  logic         m_axi_gmem3_RVALID,
    output logic         m_axi_gmem3_RREADY,
    input  logic [127:0] m_axi_gmem3_RDATA,
    input  logic         m_axi_gmem3_RLAST,
    input  logic [0:0]   m_axi_gmem3_RID,
    input  logic [0:0]   m_axi_gmem3_RUSER,
    input  logic [1:0]   m_axi_gmem3_RRESP,
    output logic         m_axi_gmem4_AWVALID,
    input  logic         m_axi_gmem4_AWREADY,
    output logic [63:0]  m_axi_gmem4_AWADDR,
    output logic [0:0]   m_axi_gmem4_AWID,
    output logic [7:0]   m_axi_gmem4_AWLEN,
    output logic [2:0]   m_axi_gmem4_AWSIZE,
    output logic [1:0]   m_axi_gmem4_AWBURST,
    output logic [1:0]   m_axi_gmem4_AWLOCK,
    output logic [3:0]   m_axi_gmem4_AWCACHE,
    output logic [2:0]   m_axi_gmem4_AWPROT,
    output logic [3:0]   m_axi_gmem4_AWQOS,
    output logic [3:0]   m_axi_gmem4_AWREGION,
    output logic [0:0]   m_axi_gmem4_AWUSER,
    output logic         m_axi_gmem4_WVALID,
    input  logic         m_axi_gmem4_WREADY,
    output logic [127:0] m_axi_gmem4_WDATA,
    output logic [15:0]  m_axi_gmem4_WSTRB,
    output logic         m_axi_gmem4_WLAST,
    output logic [0:0]   m_axi_gmem4_WID,
    output logic [0:0]   m_axi_gmem4_WUSER,
    input  logic         m_axi_gmem4_BVALID,
    output logic         m_axi_gmem4_BREADY,
    input  logic [1:0]   m_axi_gmem4_BRESP,
    input  logic [0:0]   m_axi_gmem4_BID,
    input  logic [0:0]   m_axi_gmem4_BUSER,
    output logic         m_axi_gmem4_ARVALID,
    input  logic         m_axi_gmem4_ARREADY,
    output logic [63:0]  m_axi_gmem4_ARADDR,
    output logic [0:0]   m_axi_gmem4_ARID,
    output logic [7:0]   m_axi_gmem4_ARLEN,
    output logic [2:0]   m_axi_gmem4_ARSIZE,
    output logic [1:0]   m_axi_gmem4_ARBURST,
    output logic [1:0]   m_axi_gmem4_ARLOCK,
    output logic [3:0]   m_axi_gmem4_ARCACHE,
    output logic [2:0]   m_axi_gmem4_ARPROT,
    output logic [3:0]   m_axi_gmem4_ARQOS,
    output logic [3:0]   m_axi_gmem4_ARREGION,
    output logic [0:0]   m_axi_gmem4_ARUSER,
    input  logic         m_axi_gmem4_RVALID,
    output logic         m_axi_gmem4_RREADY,
    input  logic [127:0] m_axi_gmem4_RDATA,
    input  logic         m_axi_gmem4_RLAST,
    input  logic [0:0]   m_axi_gmem4_RID,
    input  logic [0:0]   m_axi_gmem4_RUSER,
    input  logic [1:0]   m_axi_gmem4_RRESP,
    input  logic         s_axi_control_AWVALID,
    output logic         s_axi_control_AWREADY,
    input  logic [11:0]  s_axi_control_AWADDR,
    input  logic         s_axi_control_WVALID,
    output logic         s_axi_control_WREADY,
    input  logic [31:0]  s_axi_control_WDATA,
    input  logic [3:0]   s_axi_control_WSTRB,
    input  logic         s_axi_control_ARVALID,
    output logic         s_axi_control_ARREADY,
    input  logic [11:0]  s_axi_control_ARADDR,
    output logic         s_axi_control_RVALID,
    input  logic         s_axi_control_RREADY,
    output logic [31:0]  s_axi_control_RDATA,
    output logic [1:0]   s_axi_control_RRESP,
    output logic         s_axi_control_BVALID,
    input  logic         s_axi_control_BREADY,
    output logic [1:0]   s_axi_control_BRESP,
    output logic         interrupt
);
    import "DPI-C" function void peelvit_arrive(
        input int port, input bit valid, input bit [127:0] data, input int unsigned answered);
    import "DPI-C" function bit peelvit_clock(
        input bit stops, input bit starts, input byte unsigned failed, input bit quiet, input int unsigned window_words,
        input int unsigned at_program, output bit [127:0] results);
    import "DPI-C" function void peelvit_offer(
        input int port, input bit read_room, input bit write_room, input bit word_room,
        output bit read_valid, output bit [63:0] read_run, output bit write_valid, output bit [63:0] write_run,
        output bit word_valid, output bit [127:0] word, output int unsigned strobe);

    localparam int PORTS = 5;

    // Control.
    logic start, done;
    logic [63:0] mem[PORTS];
    logic [31:0] window_words, program_word, status, failed_instruction, hash_low, hash_high;
    logic [63:0] cycles;
    peelvit_control control (
        .clk(ap_clk), .rst_n(ap_rst_n), .start(start), .done(done), .interrupt(interrupt),
        .reg_mem0(mem[0]),
        .reg_mem1(mem[1]),
        .reg_mem2(mem[2]),
        .reg_mem3(mem[3]),
        .reg_mem4(mem[4]),
        .reg_window_words(window_words), .reg_program(program_word), .reg_status(status), .reg_failed_instruction(failed_instruction),
        .reg_hash_low(hash_low), .reg_hash_high(hash_high), .reg_cycles_low(cycles[31:0]), .reg_cycles_high(cycles[63:32]),
        .awvalid(s_axi_control_AWVALID),
        .awready(s_axi_control_AWREADY),
        .awaddr(s_axi_control_AWADDR),
        .wvalid(s_axi_control_WVALID),
        .wready(s_axi_control_WREADY),
        .wdata(s_axi_control_WDATA),
        .wstrb(s_axi_control_WSTRB),
        .bvalid(s_axi_control_BVALID),
        .bready(s_axi_control_BREADY),
        .bresp(s_axi_control_BRESP),
        .arvalid(s_axi_control_ARVALID),
        .arready(s_axi_control_ARREADY),
        .araddr(s_axi_control_ARADDR),
        .rvalid(s_axi_control_RVALID),
        .rready(s_axi_control_RREADY),
        .rdata(s_axi_control_RDATA),
        .rresp(s_axi_control_RRESP)
    );

    // Masters, and what the kernel asks of them.
    logic         read_valid[PORTS], read_ready[PORTS], write_valid[PORTS], write_ready[PORTS];
    logic         word_valid[PORTS], word_ready[PORTS], data_valid[PORTS];
    logic [63:0]  read_run[PORTS], write_run[PORTS];  // words above, address below
    logic [127:0] word[PORTS], data[PORTS];
    logic [15:0]  strobe[PORTS];
    logic [8:0]   answered[PORTS];
    logic [PORTS-1:0] quiet;
    logic [1:0]   failed[PORTS];
    logic [1:0]   first_failure, failure;  // of this cycle; of this run, or 0
    logic         running, halt;

    peelvit_axi_master #(.MAX_BURST(16), .OUTSTANDING(16)) master0 (
        .clk(ap_clk), .rst_n(ap_rst_n), .base(mem[0]), .halt(halt),
        .quiet(quiet[0]), .failed(failed[0]),
        .read_valid(read_valid[0]), .read_ready(read_ready[0]),
        .read_address(read_run[0][31:0]), .read_words(read_run[0][63:32]),
        .data_valid(data_valid[0]), .data(data[0]),
        .write_valid(write_valid[0]), .write_ready(write_ready[0]),
        .write_address(write_run[0][31:0]), .write_words(write_run[0][63:32]),
        .word_valid(word_valid[0]), .word_ready(word_ready[0]),
        .word(word[0]), .word_strobe(strobe[0]), .answered(answered[0]),
        .awvalid(m_axi_gmem0_AWVALID),
        .awready(m_axi_gmem0_AWREADY),
        .awaddr(m_axi_gmem0_AWADDR),
        .awlen(m_axi_gmem0_AWLEN),
        .wvalid(m_axi_gmem0_WVALID),
        .wready(m_axi_gmem0_WREADY),
        .wdata(m_axi_gmem0_WDATA),
        .wstrb(m_axi_gmem0_WSTRB),
        .wlast(m_axi_gmem0_WLAST),
        .bvalid(m_axi_gmem0_BVALID),
        .bready(m_axi_gmem0_BREADY),
        .bresp(m_axi_gmem0_BRESP),
        .arvalid(m_axi_gmem0_ARVALID),
        .arready(m_axi_gmem0_ARREADY),
        .araddr(m_axi_gmem0_ARADDR),
        .arlen(m_axi_gmem0_ARLEN),
        .rvalid(m_axi_gmem0_RVALID),
        .rready(m_axi_gmem0_RREADY),
        .rdata(m_axi_gmem0_RDATA),
        .rresp(m_axi_gmem0_RRESP),
        .rlast(m_axi_gmem0_RLAST)
    );
    assign m_axi_gmem0_AWID = '0;
    assign m_axi_gmem0_AWSIZE = 3'd4;    // 16 bytes
    assign m_axi_gmem0_AWBURST = 2'b01;  // INCR
    assign m_axi_gmem0_AWLOCK = '0;
    assign m_axi_gmem0_AWCACHE = 4'b0011;  // normal, non-cacheable, bufferable
    assign m_axi_gmem0_AWPROT = '0;
    assign m_axi_gmem0_AWQOS = '0;
    assign m_axi_gmem0_AWREGION = '0;
    assign m_axi_gmem0_AWUSER = '0;
    assign m_axi_gmem0_WID = '0;
    assign m_axi_gmem0_WUSER = '0;
    assign m_axi_gmem0_ARID = '0;
    assign m_axi_gmem0_ARSIZE = 3'd4;
    assign m_axi_gmem0_ARBURST = 2'b01;
    assign m_axi_gmem0_ARLOCK = '0;
    assign m_axi_gmem0_ARCACHE = 4'b0011;
    assign m_axi_gmem0_ARPROT = '0;
    assign m_axi_gmem0_ARQOS = '0;
    assign m_axi_gmem0_ARREGION = '0;
    assign m_axi_gmem0_ARUSER = '0;

    peelvit_axi_master #(.MAX_BURST(16), .OUTSTANDING(16)) master1 (
        .clk(ap_clk), .rst_n(ap_rst_n), .base(mem[1]), .halt(halt),
        .quiet(quiet[1]), .failed(failed[1]),
        .read_valid(read_valid[1]), .read_ready(read_ready[1]),
        .read_address(read_run[1][31:0]), .read_words(read_run[1][63:32]),
        .data_valid(data_valid[1]), .data(data[1]),
        .write_valid(write_valid[1]), .write_ready(write_ready[1]),
        .write_address(write_run[1][31:0]), .write_words(write_run[1][63:32]),
        .word_valid(word_valid[1]), .word_ready(word_ready[1]),
        .word(word[1]), .word_strobe(strobe[1]), .answered(answered[1]),
        .awvalid(m_axi_gmem1_AWVALID),
        .awready(m_axi_gmem1_AWREADY),
        .awaddr(m_axi_gmem1_AWADDR),
        .awlen(m_axi_gmem1_AWLEN),
        .wvalid(m_axi_gmem1_WVALID),
        .wready(m_axi_gmem1_WREADY),
        .wdata(m_axi_gmem1_WDATA),
        .wstrb(m_axi_gmem1_WSTRB),
        .wlast(m_axi_gmem1_WLAST),
        .bvalid(m_axi_gmem1_BVALID),
        .bready(m_axi_gmem1_BREADY),
        .bresp(m_axi_gmem1_BRESP),
        .arvalid(m_axi_gmem1_ARVALID),
        .arready(m_axi_gmem1_ARREADY),
        .araddr(m_axi_gmem1_ARADDR),
        .arlen(m_axi_gmem1_ARLEN),
        .rvalid(m_axi_gmem1_RVALID),
        .rready(m_axi_gmem1_RREADY),
        .rdata(m_axi_gmem1_RDATA),
        .rresp(m_axi_gmem1_RRESP),
        .rlast(m_axi_gmem1_RLAST)
    );
    assign m_axi_gmem1_AWID = '0;
    assign m_axi_gmem1_AWSIZE = 3'd4;    // 16 bytes
    assign m_axi_gmem1_AWBURST = 2'b01;  // INCR
    assign m_axi_gmem1_AWLOCK = '0;
    assign m_axi_gmem1_AWCACHE = 4'b0011;  // normal, non-cacheable, bufferable
    assign m_axi_gmem1_AWPROT = '0;
    assign m_axi_gmem1_AWQOS = '0;
    assign m_axi_gmem1_AWREGION = '0;
    assign m_axi_gmem1_AWUSER = '0;
    assign m_axi_gmem1_WID = '0;
    assign m_axi_gmem1_WUSER = '0;
    assign m_axi_gmem1_ARID = '0;
    assign m_axi_gmem1_ARSIZE = 3'd4;
    assign m_axi_gmem1_ARBURST = 2'b01;
    assign m_axi_gmem1_ARLOCK = '0;
    assign m_axi_gmem1_ARCACHE = 4'b0011;
    assign m_axi_gmem1_ARPROT = '0;
    assign m_axi_gmem1_ARQOS = '0;
    assign m_axi_gmem1_ARREGION = '0;
    assign m_axi_gmem1_ARUSER = '0;

    peelvit_axi_master #(.MAX_BURST(16), .OUTSTANDING(16)) master2 (
        .clk(ap_clk), .rst_n(ap_rst_n), .base(mem[2]), .halt(halt),
        .quiet(quiet[2]), .failed(failed[2]),
        .read_valid(read_valid[2]), .read_ready(read_ready[2]),
        .read_address(read_run[2][31:0]), .read_words(read_run[2][63:32]),
        .data_valid(data_valid[2]), .data(data[2]),
        .write_valid(write_valid[2]), .write_ready(write_ready[2]),
        .write_address(write_run[2][31:0]), .write_words(write_run[2][63:32]),
        .word_valid(word_valid[2]), .word_ready(word_ready[2]),
        .word(word[2]), .word_strobe(strobe[2]), .answered(answered[2]),
        .awvalid(m_axi_gmem2_AWVALID),
        .awready(m_axi_gmem2_AWREADY),
        .awaddr(m_axi_gmem2_AWADDR),
        .awlen(m_axi_gmem2_AWLEN),
        .wvalid(m_axi_gmem2_WVALID),
        .wready(m_axi_gmem2_WREADY),
        .wdata(m_axi_gmem2_WDATA),
        .wstrb(m_axi_gmem2_WSTRB),
        .wlast(m_axi_gmem2_WLAST),
        .bvalid(m_axi_gmem2_BVALID),
        .bready(m_axi_gmem2_BREADY),
        .bresp(m_axi_gmem2_BRESP),
        .arvalid(m_axi_gmem2_ARVALID),
        .arready(m_axi_gmem2_ARREADY),
        .araddr(m_axi_gmem2_ARADDR),
        .arlen(m_axi_gmem2_ARLEN),
        .rvalid(m_axi_gmem2_RVALID),
        .rready(m_axi_gmem2_RREADY),
        .rdata(m_axi_gmem2_RDATA),
        .rresp(m_axi_gmem2_RRESP),
        .rlast(m_axi_gmem2_RLAST)
    );
    assign m_axi_gmem2_AWID = '0;
    assign m_axi_gmem2_AWSIZE = 3'd4;    // 16 bytes
    assign m_axi_gmem2_AWBURST = 2'b01;  // INCR
    assign m_axi_gmem2_AWLOCK = '0;
    assign m_axi_gmem2_AWCACHE = 4'b0011;  // normal, non-cacheable, bufferable
    assign m_axi_gmem2_AWPROT = '0;
    assign m_axi_gmem2_AWQOS = '0;
    assign m_axi_gmem2_AWREGION = '0;
    assign m_axi_gmem2_AWUSER = '0;
    assign m_axi_gmem2_WID = '0;
    assign m_axi_gmem2_WUSER = '0;
    assign m_axi_gmem2_ARID = '0;
    assign m_axi_gmem2_ARSIZE = 3'd4;
    assign m_axi_gmem2_ARBURST = 2'b01;
    assign m_axi_gmem2_ARLOCK = '0;
    assign m_axi_gmem2_ARCACHE = 4'b0011;
    assign m_axi_gmem2_ARPROT = '0;
    assign m_axi_gmem2_ARQOS = '0;
    assign m_axi_gmem2_ARREGION = '0;
    assign m_axi_gmem2_ARUSER = '0;

    peelvit_axi_master #(.MAX_BURST(16), .OUTSTANDING(16)) master3 (
        .clk(ap_clk), .rst_n(ap_rst_n), .base(mem[3]), .halt(halt),
        .quiet(quiet[3]), .failed(failed[3]),
        .read_valid(read_valid[3]), .read_ready(read_ready[3]),
        .read_address(read_run[3][31:0]), .read_words(read_run[3][63:32]),
        .data_valid(data_valid[3]), .data(data[3]),
        .write_valid(write_valid[3]), .write_ready(write_ready[3]),
        .write_address(write_run[3][31:0]), .write_words(write_run[3][63:32]),
        .word_valid(word_valid[3]), .word_ready(word_ready[3]),
        .word(word[3]), .word_strobe(strobe[3]), .answered(answered[3]),
        .awvalid(m_axi_gmem3_AWVALID),
        .awready(m_axi_gmem3_AWREADY),
        .awaddr(m_axi_gmem3_AWADDR),
        .awlen(m_axi_gmem3_AWLEN),
        .wvalid(m_axi_gmem3_WVALID),
        .wready(m_axi_gmem3_WREADY),
        .wdata(m_axi_gmem3_WDATA),
        .wstrb(m_axi_gmem3_WSTRB),
        .wlast(m_axi_gmem3_WLAST),
        .bvalid(m_axi_gmem3_BVALID),
        .bready(m_axi_gmem3_BREADY),
        .bresp(m_axi_gmem3_BRESP),
        .arvalid(m_axi_gmem3_ARVALID),
        .arready(m_axi_gmem3_ARREADY),
        .araddr(m_axi_gmem3_ARADDR),
        .arlen(m_axi_gmem3_ARLEN),
        .rvalid(m_axi_gmem3_RVALID),
        .rready(m_axi_gmem3_RREADY),
        .rdata(m_axi_gmem3_RDATA),
        .rresp(m_axi_gmem3_RRESP),
        .rlast(m_axi_gmem3_RLAST)
    );
    assign m_axi_gmem3_AWID = '0;
    assign m_axi_gmem3_AWSIZE = 3'd4;    // 16 bytes
    assign m_axi_gmem3_AWBURST = 2'b01;  // INCR
    assign m_axi_gmem3_AWLOCK = '0;
    assign m_axi_gmem3_AWCACHE = 4'b0011;  // normal, non-cacheable, bufferable
    assign m_axi_gmem3_AWPROT = '0;
    assign m_axi_gmem3_AWQOS = '0;
    assign m_axi_gmem3_AWREGION = '0;
    assign m_axi_gmem3_AWUSER = '0;
    assign m_axi_gmem3_WID = '0;
    assign m_axi_gmem3_WUSER = '0;
    assign m_axi_gmem3_ARID = '0;
    assign m_axi_gmem3_ARSIZE = 3'd4;
    assign m_axi_gmem3_ARBURST = 2'b01;
    assign m_axi_gmem3_ARLOCK = '0;
    assign m_axi_gmem3_ARCACHE = 4'b0011;
    assign m_axi_gmem3_ARPROT = '0;
    assign m_axi_gmem3_ARQOS = '0;
    assign m_axi_gmem3_ARREGION = '0;
    assign m_axi_gmem3_ARUSER = '0;

    peelvit_axi_master #(.MAX_BURST(16), .OUTSTANDING(16)) master4 (
        .clk(ap_clk), .rst_n(ap_rst_n), .base(mem[4]), .halt(halt),
        .quiet(quiet[4]), .failed(failed[4]),
        .read_valid(read_valid[4]), .read_ready(read_ready[4]),
        .read_address(read_run[4][31:0]), .read_words(read_run[4][63:32]),
        .data_valid(data_valid[4]), .data(data[4]),
        .write_valid(write_valid[4]), .write_ready(write_ready[4]),
        .write_address(write_run[4][31:0]), .write_words(write_run[4][63:32]),
        .word_valid(word_valid[4]), .word_ready(word_ready[4]),
        .word(word[4]), .word_strobe(strobe[4]), .answered(answered[4]),
        .awvalid(m_axi_gmem4_AWVALID),
        .awready(m_axi_gmem4_AWREADY),
        .awaddr(m_axi_gmem4_AWADDR),
        .awlen(m_axi_gmem4_AWLEN),
        .wvalid(m_axi_gmem4_WVALID),
        .wready(m_axi_gmem4_WREADY),
        .wdata(m_axi_gmem4_WDATA),
        .wstrb(m_axi_gmem4_WSTRB),
        .wlast(m_axi_gmem4_WLAST),
        .bvalid(m_axi_gmem4_BVALID),
        .bready(m_axi_gmem4_BREADY),
        .bresp(m_axi_gmem4_BRESP),
        .arvalid(m_axi_gmem4_ARVALID),
        .arready(m_axi_gmem4_ARREADY),
        .araddr(m_axi_gmem4_ARADDR),
        .arlen(m_axi_gmem4_ARLEN),
        .rvalid(m_axi_gmem4_RVALID),
        .rready(m_axi_gmem4_RREADY),
        .rdata(m_axi_gmem4_RDATA),
        .rresp(m_axi_gmem4_RRESP),
        .rlast(m_axi_gmem4_RLAST)
    );
    assign m_axi_gmem4_AWID = '0;
    assign m_axi_gmem4_AWSIZE = 3'd4;    // 16 bytes
    assign m_axi_gmem4_AWBURST = 2'b01;  // INCR
    assign m_axi_gmem4_AWLOCK = '0;
    assign m_axi_gmem4_AWCACHE = 4'b0011;  // normal, non-cacheable, bufferable
    assign m_axi_gmem4_AWPROT = '0;
    assign m_axi_gmem4_AWQOS = '0;
    assign m_axi_gmem4_AWREGION = '0;
    assign m_axi_gmem4_AWUSER = '0;
    assign m_axi_gmem4_WID = '0;
    assign m_axi_gmem4_WUSER = '0;
    assign m_axi_gmem4_ARID = '0;
    assign m_axi_gmem4_ARSIZE = 3'd4;
    assign m_axi_gmem4_ARBURST = 2'b01;
    assign m_axi_gmem4_ARLOCK = '0;
    assign m_axi_gmem4_ARCACHE = 4'b0011;
    assign m_axi_gmem4_ARPROT = '0;
    assign m_axi_gmem4_ARQOS = '0;
    assign m_axi_gmem4_ARREGION = '0;
    assign m_axi_gmem4_ARUSER = '0;

    always_comb begin
        first_failure = 2'b00;
        for (int port = 0; port < PORTS; ++port) if (failed[port] != 0) first_failure = failed[port];
    end
    assign halt = failure != 0 || first_failure != 0;

    // A run begins when start is set and ends with `done`, which lasts one cycle.
    logic begins;
    assign begins = start && !running && !done;
    always_ff @(posedge ap_clk) begin : kernel
        bit           asks, got_read, got_write, got_word, stops, ends;
        bit [63:0]    next_read, next_write;
        bit [127:0]   next_word, results;
        int unsigned  next_strobe;
        stops = !ap_rst_n;
        if (running)
            for (int port = 0; port < PORTS; ++port)
                peelvit_arrive(port, data_valid[port], data[port], 32'(answered[port]));
        ends = 1'b0;
        if (stops || begins || running)
            ends = peelvit_clock(stops, begins, 8'(failure != 0 ? failure : first_failure), &quiet, window_words, program_word, results);
        asks = running && !halt;
        for (int port = 0; port < PORTS; ++port) begin
            got_read = 1'b0;
            got_write = 1'b0;
            got_word = 1'b0;
            if (running && !stops)
                peelvit_offer(port, asks && (!read_valid[port] || read_ready[port]),
                              asks && (!write_valid[port] || write_ready[port]),
                              !word_valid[port] || word_ready[port],
                              got_read, next_read, got_write, next_write, got_word, next_word, next_strobe);
            if (got_read) read_run[port] <= next_read;
            if (got_write) write_run[port] <= next_write;
            read_valid[port] <= got_read || (read_valid[port] && !read_ready[port] && !stops && !halt);
            write_valid[port] <= got_write || (write_valid[port] && !write_ready[port] && !stops && !halt);
            if (got_word) begin
                word[port]   <= next_word;
                strobe[port] <= next_strobe[15:0];
            end
            word_valid[port] <= got_word || (word_valid[port] && !word_ready[port] && !stops && running);
        end
        if (stops) begin
            {running, done} <= '0;
            failure <= 2'b00;
            {status, failed_instruction, hash_low, hash_high} <= '0;
            cycles <= '0;
        end else begin
            done <= ends;
            if (begins) running <= 1'b1;
            else if (ends) running <= 1'b0;
            if (ends || begins) failure <= 2'b00;
            else if (running && failure == 0) failure <= first_failure;
            if (begins) cycles <= 64'd1;
            else if (running) cycles <= cycles + 64'd1;
            if (ends) {hash_high, hash_low, failed_instruction, status} <= results;
        end
    end
endmodule

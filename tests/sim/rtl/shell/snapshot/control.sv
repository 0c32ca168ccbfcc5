// The AXI-Lite port: control and interrupt registers as Vitis HLS makes them for ap_ctrl_hs, and the arguments.
// Rendered from hls/spec/registers.py.
module peelvit_control (
    input  logic        clk,
    input  logic        rst_n,

    output logic        start,      // the kernel is to run
    input  logic        done,       // the run ends with this cycle
    output logic        interrupt,
    output logic [63:0] reg_mem0,
    output logic [63:0] reg_mem1,
    output logic [63:0] reg_mem2,
    output logic [63:0] reg_mem3,
    output logic [63:0] reg_mem4,
    output logic [31:0] reg_window_words,
    output logic [31:0] reg_program,
    input  logic [31:0] reg_status,
    input  logic [31:0] reg_failed_instruction,
    input  logic [31:0] reg_hash_low,
    input  logic [31:0] reg_hash_high,
    input  logic [31:0] reg_cycles_low,
    input  logic [31:0] reg_cycles_high,

    input  logic        awvalid,
    output logic        awready,
    input  logic [11:0] awaddr,
    input  logic        wvalid,
    output logic        wready,
    input  logic [31:0] wdata,
    input  logic [3:0]  wstrb,
    output logic        bvalid,
    input  logic        bready,
    output logic [1:0]  bresp,
    input  logic        arvalid,
    output logic        arready,
    input  logic [11:0] araddr,
    output logic        rvalid,
    input  logic        rready,
    output logic [31:0] rdata,
    output logic [1:0]  rresp
);
    localparam logic [11:0] AP_CTRL = 12'h000;
    localparam logic [11:0] GIE = 12'h004;
    localparam logic [11:0] IER = 12'h008;
    localparam logic [11:0] ISR = 12'h00c;
    localparam logic [11:0] MEM0 = 12'h010;
    localparam logic [11:0] MEM0_HIGH = 12'h014;
    localparam logic [11:0] MEM1 = 12'h01c;
    localparam logic [11:0] MEM1_HIGH = 12'h020;
    localparam logic [11:0] MEM2 = 12'h028;
    localparam logic [11:0] MEM2_HIGH = 12'h02c;
    localparam logic [11:0] MEM3 = 12'h034;
    localparam logic [11:0] MEM3_HIGH = 12'h038;
    localparam logic [11:0] MEM4 = 12'h040;
    localparam logic [11:0] MEM4_HIGH = 12'h044;
    localparam logic [11:0] WINDOW_WORDS = 12'h04c;
    localparam logic [11:0] PROGRAM = 12'h054;
    localparam logic [11:0] STATUS = 12'h05c;
    localparam logic [11:0] FAILED_INSTRUCTION = 12'h06c;
    localparam logic [11:0] HASH_LOW = 12'h07c;
    localparam logic [11:0] HASH_HIGH = 12'h08c;
    localparam logic [11:0] CYCLES_LOW = 12'h09c;
    localparam logic [11:0] CYCLES_HIGH = 12'h0ac;

    logic       finished, ready, auto_restart, gie;
    logic [1:0] ier, isr;
    assign interrupt = gie && isr != 0;
    assign bresp = 2'b00;
    assign rresp = 2'b00;

    // An address and its data are taken together, when no response waits.
    logic writes, reads;
    logic [11:0] write_address, read_address;
    assign writes = awvalid && wvalid && !bvalid && rst_n;
    assign awready = writes;
    assign wready = writes;
    assign write_address = {awaddr[11:2], 2'b00};
    assign reads = arvalid && !rvalid && rst_n;
    assign arready = reads;
    assign read_address = {araddr[11:2], 2'b00};

    function automatic logic [31:0] written(input logic [31:0] old);
        for (int lane = 0; lane < 4; ++lane) written[8*lane +: 8] = wstrb[lane] ? wdata[8*lane +: 8] : old[8*lane +: 8];
    endfunction

    function automatic logic writes_bit0(input logic [11:0] address);
        return writes && write_address == address && wstrb[0];
    endfunction

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            {start, finished, ready, auto_restart, gie} <= '0;
            ier    <= '0;
            isr    <= '0;
            bvalid <= 1'b0;
            rvalid <= 1'b0;
            reg_mem0 <= '0;
            reg_mem1 <= '0;
            reg_mem2 <= '0;
            reg_mem3 <= '0;
            reg_mem4 <= '0;
            reg_window_words <= '0;
            reg_program <= '0;
        end else begin
            if (writes) bvalid <= 1'b1;
            else if (bready) bvalid <= 1'b0;

            // Start stays set until the kernel is ready for the next run, and longer with auto-restart.
            if (writes_bit0(AP_CTRL) && wdata[0]) start <= 1'b1;
            else if (done) start <= auto_restart;
            if (writes_bit0(AP_CTRL)) auto_restart <= wdata[7];
            if (writes_bit0(GIE)) gie <= wdata[0];
            if (writes_bit0(IER)) ier <= wdata[1:0];
            // A written 1 toggles, as with Vitis HLS: it clears what is set.
            for (int i = 0; i < 2; ++i) begin
                if (done && ier[i]) isr[i] <= 1'b1;
                else if (writes_bit0(ISR) && wdata[i]) isr[i] <= !isr[i];
            end
            if (writes) begin
                case (write_address)
                    MEM0: reg_mem0[31:0] <= written(reg_mem0[31:0]);
                    MEM0_HIGH: reg_mem0[63:32] <= written(reg_mem0[63:32]);
                    MEM1: reg_mem1[31:0] <= written(reg_mem1[31:0]);
                    MEM1_HIGH: reg_mem1[63:32] <= written(reg_mem1[63:32]);
                    MEM2: reg_mem2[31:0] <= written(reg_mem2[31:0]);
                    MEM2_HIGH: reg_mem2[63:32] <= written(reg_mem2[63:32]);
                    MEM3: reg_mem3[31:0] <= written(reg_mem3[31:0]);
                    MEM3_HIGH: reg_mem3[63:32] <= written(reg_mem3[63:32]);
                    MEM4: reg_mem4[31:0] <= written(reg_mem4[31:0]);
                    MEM4_HIGH: reg_mem4[63:32] <= written(reg_mem4[63:32]);
                    WINDOW_WORDS: reg_window_words[31:0] <= written(reg_window_words[31:0]);
                    PROGRAM: reg_program[31:0] <= written(reg_program[31:0]);
                    default: ;
                endcase
            end

            // Done and ready are cleared by reading them.
            if (done) begin
                finished <= 1'b1;
                ready    <= 1'b1;
            end else if (reads && read_address == AP_CTRL) begin
                finished <= 1'b0;
                ready    <= 1'b0;
            end
            if (reads) begin
                rvalid <= 1'b1;
                case (read_address)
                    AP_CTRL: rdata <= {24'b0, auto_restart, 3'b0, ready, !start, finished, start};
                    GIE:     rdata <= {31'b0, gie};
                    IER:     rdata <= {30'b0, ier};
                    ISR:     rdata <= {30'b0, isr};
                    MEM0: rdata <= reg_mem0[31:0];
                    MEM0_HIGH: rdata <= reg_mem0[63:32];
                    MEM1: rdata <= reg_mem1[31:0];
                    MEM1_HIGH: rdata <= reg_mem1[63:32];
                    MEM2: rdata <= reg_mem2[31:0];
                    MEM2_HIGH: rdata <= reg_mem2[63:32];
                    MEM3: rdata <= reg_mem3[31:0];
                    MEM3_HIGH: rdata <= reg_mem3[63:32];
                    MEM4: rdata <= reg_mem4[31:0];
                    MEM4_HIGH: rdata <= reg_mem4[63:32];
                    WINDOW_WORDS: rdata <= reg_window_words;
                    PROGRAM: rdata <= reg_program;
                    STATUS: rdata <= reg_status;
                    FAILED_INSTRUCTION: rdata <= reg_failed_instruction;
                    HASH_LOW: rdata <= reg_hash_low;
                    HASH_HIGH: rdata <= reg_hash_high;
                    CYCLES_LOW: rdata <= reg_cycles_low;
                    CYCLES_HIGH: rdata <= reg_cycles_high;
                    default: rdata <= '0;
                endcase
            end else if (rready) begin
                rvalid <= 1'b0;
            end
        end
    end
endmodule

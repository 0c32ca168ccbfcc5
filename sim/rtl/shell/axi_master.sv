// One AXI4 master: runs of consecutive 16-byte words in, INCR bursts out.
//
// A run is cut at MAX_BURST beats and at 4 KiB; at most OUTSTANDING bursts are in flight in each direction. All bursts
// carry ID 0, so data and responses come in order. `halt` (an error was answered) begins no further burst and drops what
// is left of the runs, but ends the bursts that were begun; `quiet` says that none is under way.
module peelvit_axi_master #(
    parameter int MAX_BURST = 16,
    parameter int OUTSTANDING = 16
) (
    input  logic         clk,
    input  logic         rst_n,
    input  logic [63:0]  base,          // byte address of word 0; like Vitis HLS, the low four bits count as zero
    input  logic         halt,
    output logic         quiet,
    output logic [1:0]   failed,        // SLVERR (2) or DECERR (3) that this cycle brings, or 0

    // Runs to read, and their words, which are always taken.
    input  logic         read_valid,
    output logic         read_ready,
    input  logic [31:0]  read_address,
    input  logic [31:0]  read_words,
    output logic         data_valid,
    output logic [127:0] data,

    // Runs to write, their words, and how many written words this cycle's response answers.
    input  logic         write_valid,
    output logic         write_ready,
    input  logic [31:0]  write_address,
    input  logic [31:0]  write_words,
    input  logic         word_valid,
    output logic         word_ready,
    input  logic [127:0] word,
    input  logic [15:0]  word_strobe,
    output logic [8:0]   answered,

    output logic         awvalid,
    input  logic         awready,
    output logic [63:0]  awaddr,
    output logic [7:0]   awlen,
    output logic         wvalid,
    input  logic         wready,
    output logic [127:0] wdata,
    output logic [15:0]  wstrb,
    output logic         wlast,
    input  logic         bvalid,
    output logic         bready,
    input  logic [1:0]   bresp,
    output logic         arvalid,
    input  logic         arready,
    output logic [63:0]  araddr,
    output logic [7:0]   arlen,
    input  logic         rvalid,
    output logic         rready,
    input  logic [127:0] rdata,
    input  logic [1:0]   rresp,
    input  logic         rlast
);
    localparam int COUNT_BITS = $clog2(OUTSTANDING + 1);
    localparam int PLACE_BITS = OUTSTANDING > 1 ? $clog2(OUTSTANDING) : 1;
    typedef logic [COUNT_BITS-1:0] count_t;
    typedef logic [PLACE_BITS-1:0] place_t;

    // Beats of the next burst: what is left, no more than MAX_BURST, and not across 4 KiB.
    function automatic logic [8:0] beats(input logic [63:0] address, input logic [31:0] left);
        logic [8:0] most;
        most = 9'(256 - 32'(address[11:4]));
        if (most > 9'(MAX_BURST)) most = 9'(MAX_BURST);
        if (left < 32'(most)) most = left[8:0];
        return most;
    endfunction

    function automatic logic [63:0] byte_address(input logic [63:0] start, input logic [31:0] word_address);
        return {start[63:4], 4'b0000} + {28'b0, word_address, 4'b0000};
    endfunction

    function automatic place_t next(input place_t place);
        return place == place_t'(OUTSTANDING - 1) ? '0 : place + 1'b1;
    endfunction

    // Reads.
    logic [63:0] read_at;
    logic [31:0] read_left;
    count_t      reads;  // bursts under way
    logic [8:0]  read_beats;
    logic        read_begins, read_ends;
    assign read_beats  = beats(read_at, read_left);
    assign read_ready  = read_left == 0;
    assign read_begins = read_left != 0 && !halt && (!arvalid || arready) && reads < count_t'(OUTSTANDING);
    assign read_ends   = rvalid && rready && rlast;
    assign data_valid  = rvalid && rready;
    assign data        = rdata;

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            read_left <= 0;
            reads     <= '0;
            arvalid   <= 1'b0;
            rready    <= 1'b0;
        end else begin
            rready <= 1'b1;
            if (read_begins) begin
                arvalid   <= 1'b1;
                araddr    <= read_at;
                arlen     <= 8'(read_beats - 9'd1);
                read_at   <= read_at + {51'b0, read_beats, 4'b0000};
                read_left <= read_left - 32'(read_beats);
            end else if (arready) begin
                arvalid <= 1'b0;
            end
            if (halt) begin
                read_left <= 0;
            end else if (read_valid && read_ready) begin
                read_at   <= byte_address(base, read_address);
                read_left <= read_words;
            end
            reads <= reads + count_t'(read_begins) - count_t'(read_ends);
        end
    end

    // Writes. `lengths` holds the beats of the bursts under way: `sending` is the place of the one whose words go out,
    // `answering` of the one whose response comes next.
    logic [63:0] write_at;
    logic [31:0] write_left;
    logic [8:0]  lengths[OUTSTANDING];
    place_t      beginning, sending, answering;
    count_t      writes, unsent;  // bursts under way, and of them those whose words are not all sent
    logic [8:0]  sent;            // beats of the burst at `sending`
    logic [8:0]  write_beats;
    logic        write_begins, write_ends, beat, last;
    assign write_beats  = beats(write_at, write_left);
    assign write_ready  = write_left == 0;
    assign write_begins = write_left != 0 && !halt && (!awvalid || awready) && writes < count_t'(OUTSTANDING);
    assign write_ends   = bvalid && bready;
    assign word_ready   = unsent != 0 && (!wvalid || wready);
    assign beat         = word_valid && word_ready;
    assign last         = sent + 9'd1 == lengths[sending];
    assign answered     = write_ends ? lengths[answering] : 9'd0;

    always_ff @(posedge clk) begin
        if (!rst_n) begin
            write_left <= 0;
            writes     <= '0;
            unsent     <= '0;
            sent       <= '0;
            beginning  <= '0;
            sending    <= '0;
            answering  <= '0;
            awvalid    <= 1'b0;
            wvalid     <= 1'b0;
            bready     <= 1'b0;
        end else begin
            bready <= 1'b1;
            if (write_begins) begin
                awvalid            <= 1'b1;
                awaddr             <= write_at;
                awlen              <= 8'(write_beats - 9'd1);
                write_at           <= write_at + {51'b0, write_beats, 4'b0000};
                write_left         <= write_left - 32'(write_beats);
                lengths[beginning] <= write_beats;
                beginning          <= next(beginning);
            end else if (awready) begin
                awvalid <= 1'b0;
            end
            if (halt) begin
                write_left <= 0;
            end else if (write_valid && write_ready) begin
                write_at   <= byte_address(base, write_address);
                write_left <= write_words;
            end
            if (beat) begin
                wvalid <= 1'b1;
                wdata  <= word;
                wstrb  <= word_strobe;
                wlast  <= last;
                sent   <= last ? '0 : sent + 9'd1;
                if (last) sending <= next(sending);
            end else if (wready) begin
                wvalid <= 1'b0;
            end
            if (write_ends) answering <= next(answering);
            writes <= writes + count_t'(write_begins) - count_t'(write_ends);
            unsent <= unsent + count_t'(write_begins) - count_t'(beat && last);
        end
    end

    assign failed = rvalid && rready && rresp[1] ? rresp : (bvalid && bready && bresp[1] ? bresp : 2'b00);
    assign quiet  = reads == 0 && writes == 0 && read_left == 0 && write_left == 0;
endmodule

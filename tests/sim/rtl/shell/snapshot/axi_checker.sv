// Watches one AXI4 master: counts breaches of the protocol and what the traffic covered. It drives nothing.
module peelvit_axi_checker #(
    parameter int MAX_BURST = 16,
    parameter int OUTSTANDING = 16
) (
    input logic         clk,
    input logic         rst_n,
    input logic [63:0]  window,        // byte address of the memory window,
    input logic [63:0]  window_bytes,  // and its size

    input logic         awvalid, awready,
    input logic [63:0]  awaddr,
    input logic [7:0]   awlen,
    input logic [2:0]   awsize,
    input logic [1:0]   awburst,
    input logic         wvalid, wready,
    input logic [127:0] wdata,
    input logic [15:0]  wstrb,
    input logic         wlast,
    input logic         bvalid, bready,
    input logic [1:0]   bresp,
    input logic         arvalid, arready,
    input logic [63:0]  araddr,
    input logic [7:0]   arlen,
    input logic [2:0]   arsize,
    input logic [1:0]   arburst,
    input logic         rvalid, rready,
    input logic [1:0]   rresp,
    input logic         rlast,

    output logic [14:0] breaches  // since the last reset, a bit for each rule
);
    // Rules, by bit of `breaches`:
    localparam int AR_UNSTABLE = 0;  // read: a request changed or was withdrawn before it was taken
    localparam int AW_UNSTABLE = 1;  // write: a request changed or was withdrawn before it was taken
    localparam int AR_CROSSES = 2;  // read: a burst crosses a 4 KiB boundary
    localparam int AW_CROSSES = 3;  // write: a burst crosses a 4 KiB boundary
    localparam int AR_LONG = 4;  // read: a burst has more beats than the configuration allows
    localparam int AW_LONG = 5;  // write: a burst has more beats than the configuration allows
    localparam int AR_SHAPE = 6;  // read: a burst is not INCR of whole aligned words
    localparam int AW_SHAPE = 7;  // write: a burst is not INCR of whole aligned words
    localparam int AR_OUTSIDE = 8;  // read: a burst leaves the memory window
    localparam int AW_OUTSIDE = 9;  // write: a burst leaves the memory window
    localparam int AR_MANY = 10;  // read: more bursts are under way than the configuration allows
    localparam int AW_MANY = 11;  // write: more bursts are under way than the configuration allows
    localparam int W_UNSTABLE = 12;  // a word changed or was withdrawn before it was taken
    localparam int W_LAST = 13;  // WLAST is not at the last word of its burst
    localparam int IN_RESET = 14;  // a request was made in reset

    // What was seen, how often:
    localparam int AR_SINGLE = 0;  // read: bursts of one beat
    localparam int AW_SINGLE = 1;  // write: bursts of one beat
    localparam int AR_SHORT = 2;  // read: bursts between one beat and the most
    localparam int AW_SHORT = 3;  // write: bursts between one beat and the most
    localparam int AR_FULL = 4;  // read: bursts of the most beats
    localparam int AW_FULL = 5;  // write: bursts of the most beats
    localparam int AR_TO_4K = 6;  // read: bursts that end at a 4 KiB boundary
    localparam int AW_TO_4K = 7;  // write: bursts that end at a 4 KiB boundary
    localparam int AR_FROM_4K = 8;  // read: bursts that begin at a 4 KiB boundary
    localparam int AW_FROM_4K = 9;  // write: bursts that begin at a 4 KiB boundary
    localparam int AR_UNALIGNED = 10;  // read: bursts that begin between multiples of 256 bytes
    localparam int AW_UNALIGNED = 11;  // write: bursts that begin between multiples of 256 bytes
    localparam int AR_ABOVE_4G = 12;  // read: bursts above 4 GiB
    localparam int AW_ABOVE_4G = 13;  // write: bursts above 4 GiB
    localparam int AR_STALLED = 14;  // read: requests that had to wait
    localparam int AW_STALLED = 15;  // write: requests that had to wait
    localparam int AR_ALONE = 16;  // read: bursts begun with none under way
    localparam int AW_ALONE = 17;  // write: bursts begun with none under way
    localparam int AR_SEVERAL = 18;  // read: bursts begun with others under way
    localparam int AW_SEVERAL = 19;  // write: bursts begun with others under way
    localparam int AR_MOST = 20;  // read: bursts that made as many under way as allowed
    localparam int AW_MOST = 21;  // write: bursts that made as many under way as allowed
    localparam int W_STALLED = 22;  // cycles in which a word had to wait
    localparam int W_PARTIAL = 23;  // words with not all byte strobes
    localparam int W_NOTHING = 24;  // words without any byte strobe
    localparam int R_IDLE = 25;  // cycles of a read without a word inside a burst
    localparam int BOTH_WAYS = 26;  // cycles with a word each way
    localparam int R_WHILE_AW_STALLED = 27;  // words read while a write request waits
    localparam int W_WHILE_AR_STALLED = 28;  // words written while a read request waits
    localparam int R_SLVERR = 29;  // words answered with SLVERR
    localparam int R_DECERR = 30;  // words answered with DECERR
    localparam int B_SLVERR = 31;  // writes answered with SLVERR
    localparam int B_DECERR = 32;  // writes answered with DECERR
    int unsigned seen[33] /* verilator public_flat_rd */;

    function automatic logic crosses(input logic [7:0] word_in_page, input logic [7:0] len);
        return 32'(word_in_page) + 32'(len) > 255;
    endfunction

    function automatic logic outside(input logic [63:0] address, input logic [7:0] len);
        return address < window || address + 64'(len) * 16 + 16 > window + window_bytes;
    endfunction

    // Bursts under way; lengths of writes as their addresses say and as WLAST says, compared when both are known, since
    // words may come before their address.
    int unsigned reads, writes, beat;
    logic [7:0] lengths[256], sent[256];
    logic [7:0] head, sent_head, tail;
    logic aw, w, b, ar, r;
    assign aw = awvalid && awready;
    assign w  = wvalid && wready;
    assign b  = bvalid && bready;
    assign ar = arvalid && arready;
    assign r  = rvalid && rready;

    logic was_aw, was_w, was_ar, was_reset;
    logic [63:0] old_awaddr, old_araddr;
    logic [7:0] old_awlen, old_arlen;
    logic [127:0] old_wdata;
    logic [16:0] old_w;
    logic aw_stalled, ar_stalled, in_read;

    always_ff @(posedge clk) begin
        was_reset <= !rst_n;
        if (!rst_n) begin
            reads <= 0;
            writes <= 0;
            beat <= 0;
            {head, sent_head, tail} <= '0;
            {was_aw, was_w, was_ar, aw_stalled, ar_stalled, in_read} <= '0;
            breaches <= '0;
            breaches[IN_RESET] <= was_reset && (awvalid || wvalid || arvalid);
        end else begin
            // A request stands still until it is taken.
            was_aw <= awvalid && !awready;
            was_w  <= wvalid && !wready;
            was_ar <= arvalid && !arready;
            {old_awaddr, old_awlen} <= {awaddr, awlen};
            {old_araddr, old_arlen} <= {araddr, arlen};
            {old_wdata, old_w} <= {wdata, wstrb, wlast};
            if (was_aw && (!awvalid || {awaddr, awlen} != {old_awaddr, old_awlen})) breaches[AW_UNSTABLE] <= 1'b1;
            if (was_ar && (!arvalid || {araddr, arlen} != {old_araddr, old_arlen})) breaches[AR_UNSTABLE] <= 1'b1;
            if (was_w && (!wvalid || {wdata, wstrb, wlast} != {old_wdata, old_w})) breaches[W_UNSTABLE] <= 1'b1;

            if (aw) begin
                if (crosses(awaddr[11:4], awlen)) breaches[AW_CROSSES] <= 1'b1;
                if (32'(awlen) >= MAX_BURST) breaches[AW_LONG] <= 1'b1;
                if (awsize != 3'd4 || awburst != 2'b01 || awaddr[3:0] != 0) breaches[AW_SHAPE] <= 1'b1;
                if (outside(awaddr, awlen)) breaches[AW_OUTSIDE] <= 1'b1;
                if (writes >= OUTSTANDING) breaches[AW_MANY] <= 1'b1;
                lengths[head] <= awlen;
                head <= head + 8'd1;
            end
            if (ar) begin
                if (crosses(araddr[11:4], arlen)) breaches[AR_CROSSES] <= 1'b1;
                if (32'(arlen) >= MAX_BURST) breaches[AR_LONG] <= 1'b1;
                if (arsize != 3'd4 || arburst != 2'b01 || araddr[3:0] != 0) breaches[AR_SHAPE] <= 1'b1;
                if (outside(araddr, arlen)) breaches[AR_OUTSIDE] <= 1'b1;
                if (reads >= OUTSTANDING) breaches[AR_MANY] <= 1'b1;
            end
            if (w) begin
                beat <= wlast ? 0 : beat + 1;
                if (wlast) begin
                    sent[sent_head] <= 8'(beat);
                    sent_head <= sent_head + 8'd1;
                end
                if (beat >= MAX_BURST) breaches[W_LAST] <= 1'b1;
            end
            if (head != tail && sent_head != tail) begin
                if (sent[tail] != lengths[tail]) breaches[W_LAST] <= 1'b1;
                tail <= tail + 8'd1;
            end
            reads  <= reads + 32'(ar) - 32'(r && rlast);
            writes <= writes + 32'(aw) - 32'(b);

            // Coverage.
            aw_stalled <= awvalid && !awready;
            ar_stalled <= arvalid && !arready;
            if (ar) begin
                if (arlen == 0) seen[AR_SINGLE] <= seen[AR_SINGLE] + 1;
                else if (32'(arlen) == MAX_BURST - 1) seen[AR_FULL] <= seen[AR_FULL] + 1;
                else seen[AR_SHORT] <= seen[AR_SHORT] + 1;
                if (32'(araddr[11:4]) + 32'(arlen) == 255) seen[AR_TO_4K] <= seen[AR_TO_4K] + 1;
                if (araddr[11:4] == 0) seen[AR_FROM_4K] <= seen[AR_FROM_4K] + 1;
                if (araddr[7:4] != 0) seen[AR_UNALIGNED] <= seen[AR_UNALIGNED] + 1;
                if (araddr[63:32] != 0) seen[AR_ABOVE_4G] <= seen[AR_ABOVE_4G] + 1;
                if (ar_stalled) seen[AR_STALLED] <= seen[AR_STALLED] + 1;
                if (reads == 0) seen[AR_ALONE] <= seen[AR_ALONE] + 1;
                else if (reads == OUTSTANDING - 1) seen[AR_MOST] <= seen[AR_MOST] + 1;
                else seen[AR_SEVERAL] <= seen[AR_SEVERAL] + 1;
            end
            if (aw) begin
                if (awlen == 0) seen[AW_SINGLE] <= seen[AW_SINGLE] + 1;
                else if (32'(awlen) == MAX_BURST - 1) seen[AW_FULL] <= seen[AW_FULL] + 1;
                else seen[AW_SHORT] <= seen[AW_SHORT] + 1;
                if (32'(awaddr[11:4]) + 32'(awlen) == 255) seen[AW_TO_4K] <= seen[AW_TO_4K] + 1;
                if (awaddr[11:4] == 0) seen[AW_FROM_4K] <= seen[AW_FROM_4K] + 1;
                if (awaddr[7:4] != 0) seen[AW_UNALIGNED] <= seen[AW_UNALIGNED] + 1;
                if (awaddr[63:32] != 0) seen[AW_ABOVE_4G] <= seen[AW_ABOVE_4G] + 1;
                if (aw_stalled) seen[AW_STALLED] <= seen[AW_STALLED] + 1;
                if (writes == 0) seen[AW_ALONE] <= seen[AW_ALONE] + 1;
                else if (writes == OUTSTANDING - 1) seen[AW_MOST] <= seen[AW_MOST] + 1;
                else seen[AW_SEVERAL] <= seen[AW_SEVERAL] + 1;
            end
            if (wvalid && !wready) seen[W_STALLED] <= seen[W_STALLED] + 1;
            if (w && wstrb != 16'hFFFF) seen[W_PARTIAL] <= seen[W_PARTIAL] + 1;
            if (w && wstrb == 16'h0000) seen[W_NOTHING] <= seen[W_NOTHING] + 1;
            in_read <= r ? !rlast : in_read;
            if (in_read && !rvalid) seen[R_IDLE] <= seen[R_IDLE] + 1;
            if (w && r) seen[BOTH_WAYS] <= seen[BOTH_WAYS] + 1;
            if (awvalid && !awready && r) seen[R_WHILE_AW_STALLED] <= seen[R_WHILE_AW_STALLED] + 1;
            if (arvalid && !arready && w) seen[W_WHILE_AR_STALLED] <= seen[W_WHILE_AR_STALLED] + 1;
            if (r && rresp == 2'b10) seen[R_SLVERR] <= seen[R_SLVERR] + 1;
            if (r && rresp == 2'b11) seen[R_DECERR] <= seen[R_DECERR] + 1;
            if (b && bresp == 2'b10) seen[B_SLVERR] <= seen[B_SLVERR] + 1;
            if (b && bresp == 2'b11) seen[B_DECERR] <= seen[B_DECERR] + 1;
        end
    end
endmodule

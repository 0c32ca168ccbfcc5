// Where the sequence of blocks stands, and what a block is: planned once, so that the processes only add to addresses.
#pragma once

#include "job.hpp"

namespace peelvit {

// Image by image, in it pass by pass (or pair by pair), in it head by head.
struct AttentionPlace {
    bool leads;  // before the first head: its rows come in
    place_t image, pass, head, first;
    bool is_second;                         // pass of a pair
    place_t coming;                         // the first one of the next head's rows that come in
    place_t block;                          // of this head
    place_t count;                          // blocks of this pass so far
    bool buffer;                            // half of the resident rows, and of the key sums, that this head uses
    bool parity;                            // half of the own rows that this block uses
    place_t out_pass, out_image, out_head;  // the head before this one
};

inline AttentionPlace first_place() {
    AttentionPlace place;
    place.leads = true;
    place.image = 0;
    place.pass = 0;
    place.head = 0;
    place.first = 0;
    place.is_second = false;
    place.coming = 0;
    place.block = 0;
    place.count = 0;
    place.buffer = true;
    place.parity = false;
    place.out_pass = kNoPass;
    place.out_image = 0;
    place.out_head = 0;
    return place;
}

// Rows come in through both ports, every second one through each. The second port is a word behind, so that the two are
// never at the same word of a row.
constexpr int kAttentionPorts = 2;
static_assert(kHeadWords > 1, "rows of one word leave no place for the port behind");

// How many of so many rows come in through a port.
inline int through(int rows, int port) { return natural<9>(unsigned(rows + kAttentionPorts - 1 - port)) / kAttentionPorts; }

// A block: what is computed now; which rows come in for later; which sums over queries leave.
struct Block {
    place_t pass, head, first;
    bool buffer, parity;
    place_t own_first, own_rows;  // the queries after these, whose rows of q or dy come in
    place_t next_first, next_rows;  // of what the next head keeps on chip
    place_t out_pass, out_first;    // of the head before
    BlockRows own, next, matrix_in, lists;
    BlockRows matrix_out, sums_out, map_out;
    bool fresh_lists;
    bool same_rows;  // over keys, as those of the block before
};

inline int pass_of(const AttentionJob& job, const AttentionPlace& place) {
    return narrow<3>(job.first_pass) + (job.backward ? kPairPasses * narrow<3>(place.pass) + (place.is_second ? 1 : 0) : narrow<3>(place.pass));
}

// Which third of qkv a pass, or its pair, keeps on chip: keys 1, values 2.
inline int resident_part(int pass) {
    return pass == kScores || pass == kQueryGradients || pass == kKeyGradients ? 1 : 2;
}

inline void begin_head(const AttentionJob& job, AttentionPlace& place) {
#pragma HLS inline
    place.first = job.first_query;
    place.coming = 0;
    place.block = 0;
}

// Move on by a block.
inline void advance(const AttentionJob& job, int pass, bool idle, AttentionPlace& place) {
#pragma HLS inline
    const bool last_pass = place.pass == job.passes - 1;
    place.is_second = job.backward && !place.leads && !place.is_second;
    if (place.is_second) return;
    place.parity = !place.parity;
    if (place.leads) {
        place.coming += kLeadRows;
        place.leads = place.coming < job.tokens;
        if (!place.leads) {
            begin_head(job, place);
            place.buffer = false;
        }
        return;
    }
    ++place.count;
    ++place.block;
    place.first += kQueryBlock;
    place.coming += job.coming_rows;
    if (!idle && place.block == job.head_blocks) {
        place.out_pass = pass;
        place.out_image = place.image;
        place.out_head = place.head;
        begin_head(job, place);
        ++place.head;
        place.buffer = !place.buffer;
    }
    if (place.count == job.pass_blocks) {
        place.count = 0;
        place.head = 0;
        begin_head(job, place);
        place.pass = place_t(last_pass ? 0 : int(place.pass) + 1);
        if (last_pass) ++place.image;
    }
}

// The block that comes now. The last head's sums are stored behind all images. Few blocks a pass are followed by idle
// ones: what a pass stores is read by the next pass not before `kLead` blocks have gone. By then the store has ended,
// since the channels between the first process and the last hold no more than `kLead` blocks together.
inline void next_block(const AttentionJob& job, AttentionPlace& place, Block& block) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 2
    const bool ended = place.image == job.batch;
    const bool idle = place.leads || place.head == job.heads || ended;
    const bool last_head = place.head >= job.heads - 1;
    const bool last_pass = place.pass == job.passes - 1;
    const int pass = pass_of(job, place);
    const int head = idle ? 0 : int(place.head);
    const int first = idle ? int(kNoQuery) : int(place.first);
    const int image = place.image;
    block.pass = pass;
    block.head = head;
    block.first = first;
    block.buffer = place.buffer;
    block.parity = place.parity;

    const int next_head = place.leads || last_head ? 0 : int(place.head) + 1;
    const int next_image = !place.leads && last_head && last_pass ? image + 1 : image;
    const int base = narrow<3>(job.first_pass);
    const int later_pass = last_pass ? base : pass + 1;
    const int next_pass = place.leads ? base : (last_head ? later_pass : pass);
    const bool ends_pair = place.is_second || !job.backward;
    const bool brings_next = next_image < job.batch && (place.leads || (ends_pair && !idle));
    block.next_first = place.coming;
    const int most_rows = place.leads ? int(kLeadRows) : short_of(job.coming_rows);
    block.next_rows = place_t(brings_next ? clamp_to(job.tokens - place.coming, most_rows) : 0);
    block.next = token_rows(job, job.qkv, next_image, place.coming - 1, place.coming == 0 ? 0 : kNoQuery,
                            head_word(job, resident_part(next_pass), next_head));

    const bool sums_leave = place.is_second && is_outer(place.out_pass) && (ended || !idle);
    block.out_pass = place_t(sums_leave ? int(place.out_pass) : int(kNoPass));
    block.out_first = place.first;
    const bool is_out = block.out_pass != kNoPass;
    const int sums_pass = is_out ? int(block.out_pass) : pass;
    const int sums_image = is_out ? int(place.out_image) : image;
    const int sums_head = is_out ? int(place.out_head) : head;
    const bool by_token = is_out || job.queries == 1;
    const int sums_part = sums_pass == kValueGradients ? 2 : (sums_pass == kKeyGradients ? 1 : 0);
    const int class_token = place.first == 0 ? 0 : int(kNoQuery);
    block.sums_out = token_rows(job, job.out, sums_image, int(place.first) - (by_token ? 1 : 0),
                                by_token ? class_token : class_place(job, first),
                                head_word(job, sums_part, sums_head));

    const bool of_dscore = pass == kQueryGradients || pass == kKeyGradients;
    block.matrix_in = matrix_rows(job, of_dscore ? job.dscore : job.probability, image, head, first);
    block.matrix_out = matrix_rows(job, pass == kScores ? job.probability : job.dscore, image, head, first);
    const int map_row = short_product(image, job.map_rows);
    block.map_out = rows_of(job.map, map_row + first + 1, map_row, class_place(job, first));
    block.lists = rows_of(job.keys, short_product(image, job.patches) + first, 0, kNoQuery);
    block.same_rows = place.is_second;
    block.fresh_lists = job.sparse && place.pass == 0 && head == 0 && !block.same_rows;

    advance(job, pass, idle, place);
    const bool none = place.leads || place.head == job.heads || place.image == job.batch;
    const int own_pass = pass_of(job, place);
    const bool brings_own = !place.is_second && own_pass != kValues;
    block.own_first = place_t(none ? int(kNoQuery) : int(place.first));
    block.own_rows = place_t(brings_own ? block_queries(job, block.own_first) : 0);
    block.own = token_rows(job, own_pass == kScoreGradients ? job.dy : job.qkv, place.image, place.first, class_place(job, block.own_first),
                           head_word(job, 0, int(place.head)));
}

// Keys of the head before whose sums leave with this block.
inline int out_rows(const AttentionJob& job, const Block& block) {
    return block.out_pass == kNoPass ? 0 : block_tokens(job, block.out_first);
}

// Rows of sums that go on to memory: those keys', or the block's own; backward, patches without a query have rows too.
inline int sum_rows(const AttentionJob& job, const Block& block) {
    const bool is_out = block.out_pass != kNoPass;
    const bool is_own = block.pass == kValues || block.pass == kQueryGradients;
    const int all = !is_out && block.pass == kValues ? job.end_query : job.tokens;
    const int first = is_out ? int(block.out_first) : int(block.first);
    return is_out || is_own ? clamp_to(short_of(all) - short_of(first), kQueryBlock) : 0;
}

}  // namespace peelvit

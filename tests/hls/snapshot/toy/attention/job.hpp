// What the attention unit works on: its job, the passes, the steps through them, and the geometry of queries and keys.
//
// Queries are taken in groups of kLaneCount, one a lane, and groups in blocks, which are what the processes exchange.
// The class query comes last. A query's keys have positions: the class key, then the listed ones; without a list the
// position is the token. Matrices over queries and keys (probabilities, gradients of scores) are by position in memory.
#pragma once

#include "../instruction.hpp"

namespace peelvit {

constexpr int kGroups = 2;
constexpr int kQueryBlock = kGroups * kLaneCount;
constexpr int kSideLanes = kLaneCount / kPorts;  // a third of the lanes a port, the first one with what is over
constexpr int kFrontLanes = kLaneCount - 2 * kSideLanes;
constexpr int kPortRows = kGroups * kFrontLanes;
constexpr int kSideRows = kQueryBlock * 13 / 32;  // of the next head's: more for the ports with fewer lanes
constexpr int kFrontRows = kQueryBlock - 2 * kSideRows;
constexpr int kNextRows = kSideRows > kFrontRows ? kSideRows : kFrontRows;
constexpr int kQueryBlocks = 11;
constexpr int kKeyTiles = 21;
constexpr int kKeyRows = kKeyTiles * kLaneCount;
constexpr int kHeadWords = kMaxHeadDim / kLanes;
constexpr int kTokenWords = 11;  // of a row over all tokens
constexpr int kBlockWords16 = kGroups * kTokenWords;
constexpr int kBlockSteps = kGroups * kMaxTokens;
constexpr int kPatchQuery = 0;
constexpr int kClassQuery = 1;
constexpr int kNoPass = -1;
constexpr int kStoreDepth = 10;
constexpr int kLead = 12;  // blocks that the first process may be ahead of the last one, and one more

// Forward the first two, backward the others; a pass goes over all heads of an image before the next one begins.
enum AttentionPass { kScores, kValues, kScoreGradients, kQueryGradients, kValueGradients, kKeyGradients };

struct AttentionJob {
    bool backward, sparse, has_map;
    int batch, patches, tokens, heads, head_words, key_count, queries, map_rows;
    int patch_keys, class_keys;  // keys of a query
    int passes, pass_blocks;     // of an image
    int scale, gradient_mantissa, gradient_shift;
    Matrix qkv, keys, probability, dscore, dy, out, map;
    int f_qkv, f_probability;
    int f_dy[2], f_dscore[2];            // by kind of query
    int f_out[2];                        // of y or dq
    int f_dkey[2], f_dvalue[2];          // by kind of key
    int dkey_fraction, dvalue_fraction;  // at which the two kinds of queries are added
    int dkey_shift[2], dvalue_shift[2];  // of each kind to that
};

inline bool is_dot(int pass) { return pass == kScores || pass == kScoreGradients; }
inline bool is_outer(int pass) { return pass == kValueGradients || pass == kKeyGradients; }

inline int clamp_to(int value, int most) { return larger(0, smaller(value, most)); }

// Queries, and tokens of resident rows, of the block that begins at `first`.
inline int block_queries(const AttentionJob& job, int first) { return clamp_to(job.queries - first, kQueryBlock); }
inline int block_tokens(const AttentionJob& job, int first) { return clamp_to(job.tokens - first, kQueryBlock); }
inline bool has_class_query(const AttentionJob& job, int first) {
    return first < job.queries && job.queries <= first + kQueryBlock;
}
inline int block_patch_queries(const AttentionJob& job, int first) {
    return block_queries(job, first) - (has_class_query(job, first) ? 1 : 0);
}

inline int query_kind(const AttentionJob& job, int index) {
    return index == job.queries - 1 ? kClassQuery : kPatchQuery;
}
inline int query_token(const AttentionJob& job, int index) { return index == job.queries - 1 ? 0 : index + 1; }
inline int query_keys(const AttentionJob& job, int index) {
    return query_kind(job, index) == kClassQuery ? job.class_keys : job.patch_keys;
}
inline bool is_listed(const AttentionJob& job, int index) {
    return job.sparse && query_kind(job, index) == kPatchQuery;
}

// Groups of a block, and the key steps of one: those of its longest query.
inline int block_groups(const AttentionJob& job, int first) {
    return (block_queries(job, first) + kLaneCount - 1) / kLaneCount;
}
inline int group_steps(const AttentionJob& job, int first, int group) {
    const int start = first + group * kLaneCount;
    if (start >= job.queries) return 0;
    return job.queries <= start + kLaneCount ? job.class_keys : job.patch_keys;
}
inline int block_steps(const AttentionJob& job, int first) {
    int steps = 0;
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS unroll
        steps += group_steps(job, first, group);
    }
    return steps;
}

// Rows of a block, one a lane of a group, are split over the ports by lane: row m of a port is row `port_row` of all.
inline int port_lanes(int port) { return port == 0 ? kFrontLanes : kSideLanes; }
inline int first_lane(int port) { return port == 0 ? 0 : kFrontLanes + (port - 1) * kSideLanes; }
inline int port_rows(int rows, int port) {
    return rows / kLaneCount * port_lanes(port) + clamp_to(rows % kLaneCount - first_lane(port), port_lanes(port));
}
inline int port_group(int port, int m) { return m < port_lanes(port) ? 0 : 1; }
inline int port_place(int port, int m) { return m - port_group(port, m) * port_lanes(port); }  // of the lane
inline bool is_port_row(int port, int m) { return m < kGroups * port_lanes(port); }
inline int port_row(int port, int m) {
    return port_group(port, m) * kLaneCount + first_lane(port) + port_place(port, m);
}
inline int lane_port(int lane) { return lane < kFrontLanes ? 0 : (lane < kFrontLanes + kSideLanes ? 1 : 2); }
inline int lane_place(int lane) { return lane - first_lane(lane_port(lane)); }
inline int port_of(int row) { return lane_port(row % kLaneCount); }
inline int place_in_port(int row) {
    const int port = port_of(row);
    return row / kLaneCount * port_lanes(port) + row % kLaneCount - first_lane(port);
}

// Words of a block's rows over keys, a bank for each lane: port, `group * kTokenWords + word`, place of the lane.
using LaneWords = word_t[kPorts][kBlockWords16][kFrontLanes];

// The next head's rows are split over the ports one after the other.
inline int first_next(int port) { return port == 0 ? 0 : kFrontRows + (port - 1) * kSideRows; }
inline int next_port(int row) { return row < kFrontRows ? 0 : (row < kFrontRows + kSideRows ? 1 : 2); }

// Rows of token tensors, and of matrices over queries and keys.
inline unsigned token_row(const AttentionJob& job, int image, int token) {
    return unsigned(token == 0 ? image : job.batch + short_product(image, job.patches) + token - 1);
}
inline unsigned query_row(const AttentionJob& job, int image, int head, int index) {
    return unsigned(short_product(short_product(image, job.heads) + head, job.queries) + query_token(job, index));
}
inline unsigned query_address(const Matrix& matrix, const AttentionJob& job, int image, int head, int index) {
    return row_address(matrix, query_row(job, image, head, index));
}

// Keys of the longest of the rows `m` of all ports.
inline int longest_row(const AttentionJob& job, int first, int m) {
    int keys = 0;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        keys = larger(keys, query_keys(job, first + port_row(port, m)));
    }
    return keys;
}

// The token of a listed entry.
inline int entry_token(const AttentionJob& job, i16 entry) { return 1 + smaller(int(entry) & 0xFFFF, job.patches - 1); }

// A walk over the steps of the groups of a block, so that one pipelined loop serves the block.
struct GroupWalk {
    int group;
    int step;
    int steps;
};

inline GroupWalk first_group(const AttentionJob& job, int first) {
#pragma HLS inline
    GroupWalk walk;
    walk.group = 0;
    walk.step = 0;
    walk.steps = group_steps(job, first, 0);
    return walk;
}

inline void advance(const AttentionJob& job, int first, GroupWalk& walk) {
#pragma HLS inline
    ++walk.step;
    if (walk.step == walk.steps) {
        ++walk.group;
        walk.step = 0;
        walk.steps = group_steps(job, first, walk.group);
    }
}

// Where the sequence of blocks stands: image by image, in it pass by pass, in it head by head.
struct AttentionPlace {
    int image, pass, head, first;
    int count;                            // blocks of this pass so far
    int buffer;                           // half of the resident rows, and of the key sums, that this head uses
    int out_pass, out_image, out_head;    // the head before this one
};

inline AttentionPlace first_place() {
    AttentionPlace place;
    place.image = 0;
    place.pass = 0;
    place.head = 0;
    place.first = 0;
    place.count = 0;
    place.buffer = 0;
    place.out_pass = kNoPass;
    place.out_image = 0;
    place.out_head = 0;
    return place;
}

// Which third of qkv a pass keeps on chip: keys 1, values 2, none 0.
inline int resident_part(int pass) {
    return pass == kScores || pass == kQueryGradients ? 1 : (is_outer(pass) ? 0 : 2);
}

// The block that comes now, what the next head keeps on chip, and the head before, whose sums over queries are stored
// now. The last head's are stored behind all images. Few blocks a pass are followed by idle ones: what a pass stores is
// read by the next pass not before `kLead` blocks have gone, when the store must be done, as a channel holds no more
// than the block that is read and the one that is written.
inline void next_block(const AttentionJob& job, AttentionPlace& place, int& pass, int& image, int& head, int& first,
                       int& buffer, int& next_part, int& next_image, int& next_head, int& out_pass, int& out_image,
                       int& out_head, int& out_first) {
    const int base = job.backward ? int(kScoreGradients) : int(kScores);
    const bool ended = place.image == job.batch;
    const bool idle = place.head == job.heads || ended;
    const bool last_head = place.head >= job.heads - 1;
    const bool last_pass = place.pass == job.passes - 1;
    pass = base + place.pass;
    image = place.image;
    head = idle ? 0 : place.head;
    first = idle ? 2 * kMaxTokens : place.first;
    buffer = place.buffer;
    next_head = last_head ? 0 : place.head + 1;
    next_image = last_head && last_pass ? place.image + 1 : place.image;
    const int next_pass = last_head ? (last_pass ? base : base + place.pass + 1) : base + place.pass;
    next_part = next_image < job.batch ? resident_part(next_pass) : 0;
    out_pass = is_outer(place.out_pass) && (ended || !idle) ? place.out_pass : kNoPass;
    out_image = place.out_image;
    out_head = place.out_head;
    out_first = place.first;
    ++place.count;
    place.first += kQueryBlock;
    if (!idle && place.first >= job.tokens) {
        place.out_pass = pass;
        place.out_image = place.image;
        place.out_head = place.head;
        place.first = 0;
        ++place.head;
        place.buffer = 1 - place.buffer;
    }
    if (place.count == job.pass_blocks) {
        place.count = 0;
        place.head = 0;
        place.first = 0;
        place.pass = last_pass ? 0 : place.pass + 1;
        place.image = last_pass ? place.image + 1 : place.image;
    }
}

}  // namespace peelvit

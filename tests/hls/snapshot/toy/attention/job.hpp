// What the attention unit works on: its job, the passes, the steps through them, and the geometry of queries and keys.
//
// Queries are taken in groups of kLaneCount, one a lane, and groups in blocks, which are what the processes exchange.
// Their places count patches; where the class query is asked it comes behind the last of them. A query's keys have
// positions: the class key, then the listed ones; without a list the position is the token. Matrices over queries and
// keys (probabilities, gradients of scores) are by position in memory.
#pragma once

#include "../instruction.hpp"

namespace peelvit {

constexpr int kGroups = 2;
constexpr int kQueryBlock = kGroups * kLaneCount;
constexpr int kQueryBlocks = 11;
constexpr int kKeyTiles = 21;
constexpr int kKeyRows = kKeyTiles * kLaneCount;
constexpr int kHeadWords = kMaxHeadDim / kLanes;
constexpr int kTokenWords = 11;          // that a row over all tokens, and over all tiles of keys, takes on chip
constexpr int kBlockWords16 = kGroups * kTokenWords;  // of a lane
constexpr int kGroupSteps = kTokenWords * kLanes;
constexpr int kBlockSteps = kGroups * kGroupSteps;
constexpr int kLeadBlocks = 7;  // so many blocks of the first head's rows one before the first block brings
constexpr int kLeadRows = kLeadBlocks * kQueryBlock;
constexpr int kPatchQuery = 0;
constexpr int kClassQuery = 1;
constexpr int kNoPass = -1;
constexpr int kNoQuery = 2 * kMaxTokens;  // where a block without queries begins
constexpr int kNoClassQuery = 3 * kMaxTokens;  // place of the class query where it is not asked: behind all blocks
constexpr int kLead = 13;                 // blocks in all channels on the way from the first process to the last one

// Widths of sums: a product has 31 bits and a sign.
using dot_t = i38;
using gathered_t = i40;
static_assert(kMaxHeadDim <= 64, "a dot product has 38 bits");
static_assert(kMaxTokens <= 256, "a sum over keys or queries has 40 bits, a token 8");
using token_t = u8;
// Where a walk stands: places, tokens and counts have ten bits and a sign.
#ifdef PEELVIT_NATIVE
using place_t = int;
#else
using place_t = ap_int<11>;
#endif

// Forward the first two, backward the others. A pass goes over all heads of an image before the next one begins;
// backward a pair of them does, which need the same rows over keys: each block goes through both.
enum AttentionPass { kScores, kValues, kScoreGradients, kValueGradients, kQueryGradients, kKeyGradients };
constexpr int kPairPasses = 2;

struct AttentionJob {
    bool runs;  // or there is no job
    bool backward, sparse, has_map;
    int gap;  // rows of other images between class and patch rows
    int batch, patches, tokens, heads, head_words, part_words, key_count, map_rows;
    int queries;                            // rows of an image's that have a query
    int first_query, end_query;             // places of those that are asked
    int class_query;                        // place of the class query
    int head_blocks;                        // of a head
    int coming_rows;                        // of the next head, that a block brings
    int patch_keys, class_keys;  // keys of a query
    int first_pass, passes, pass_blocks;  // of an image; backward those of pairs
    int scale;                   // of scores; backward, of their gradients
    int gradient_shift;
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

// Fractions lie in -32 ... 64.
inline int fraction_of(int fraction) { return narrow<8>(fraction); }

inline int clamp_to(int value, int most) { return larger(0, smaller(value, most)); }

// Tokens, or places of queries, fit ten bits and a sign.
inline int short_of(int value) { return narrow<11>(value); }

// Queries, and tokens of resident rows, of the block that begins at `first`.
inline int block_queries(const AttentionJob& job, int first) {
    return clamp_to(short_of(job.end_query) - short_of(first), kQueryBlock);
}
inline int block_tokens(const AttentionJob& job, int first) {
    return clamp_to(short_of(job.tokens) - short_of(first), kQueryBlock);
}
// Which of the block's queries the last one is; above them all if it is in a later block, below 0 in an earlier one.
inline int last_place(const AttentionJob& job, int first) { return short_of(job.end_query) - 1 - short_of(first); }
// Which of them the class query is; above them all where it is not asked.
inline int class_place(const AttentionJob& job, int first) { return short_of(job.class_query) - short_of(first); }
inline bool has_class_query(const AttentionJob& job, int first) {
    const int place = class_place(job, first);
    return place >= 0 && place < kQueryBlock;
}
inline int block_patch_queries(const AttentionJob& job, int first) {
    return block_queries(job, first) - (has_class_query(job, first) ? 1 : 0);
}

// Words of a row over so many keys.
inline int key_words(int keys) { return words16(natural<9>(unsigned(keys))); }

// Groups of a block, and the key steps of one: those of its longest query.
inline int block_groups(const AttentionJob& job, int first) {
    return (natural<6>(unsigned(block_queries(job, first))) + kLaneCount - 1) / kLaneCount;
}
inline bool has_class_lane(const AttentionJob& job, int first, int group) {
    const int lane = class_place(job, first) - group * kLaneCount;
    return lane >= 0 && lane < kLaneCount;
}
inline int group_steps(const AttentionJob& job, int first, int group) {
    if (last_place(job, first) < group * kLaneCount) return 0;
    return narrow<10>(has_class_lane(job, first, group) ? job.class_keys : job.patch_keys);
}
inline int block_steps(const AttentionJob& job, int first) {
    int steps = 0;
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS unroll
        steps += group_steps(job, first, group);
    }
    return steps;
}

// Lanes, and so rows over keys, are split over the first two ports: a pass reads a row through the port that an earlier one
// wrote it through. Row `m` of a half is row `lanes_row` of the block.
constexpr int kHalf = kLaneCount / 2;
constexpr int kHalfRows = kGroups * kHalf;
static_assert(kGroups == 2, "lanes_row takes the first or the second group");

// Of `rows` of a block, those of `lanes` lanes from `lane` on; row `m` of them.
inline int lanes_rows(int rows, int lane, int lanes) {
    return clamp_to(rows - lane, lanes) + clamp_to(rows - kLaneCount - lane, lanes);
}
inline int lanes_row(int lane, int lanes, int m) {
    return lane + narrow<7>(m) + (narrow<7>(m) < lanes ? 0 : kLaneCount - lanes);
}

// Rows of a matrix that a block reads or writes; the class token's row lies apart from those of patches.
struct BlockRows {
    unsigned base;        // word address of row 0, if it is a patch's
    unsigned class_base;  // of the class token's row
    place_t class_row;    // which that is, if it is one of them
    u17 pitch;
};

inline unsigned address_of(const BlockRows& rows, int row) {
#pragma HLS inline
    const unsigned beyond = unsigned(multiply(u8(row), rows.pitch));
    return row == short_of(rows.class_row) ? rows.class_base : rows.base + beyond;
}

// Rows of a matrix from `row` on, and where the class token's is.
inline BlockRows rows_of(const Matrix& matrix, int row, int class_at, int class_row) {
#pragma HLS inline
    BlockRows rows;
    rows.base = row_address(matrix, unsigned(row));
    rows.class_base = row_address(matrix, unsigned(class_at));
    rows.class_row = class_row;
    rows.pitch = u17(matrix.pitch);
    return rows;
}

// Rows of an image's tokens from a patch on, from a word of them on. The image may be the one behind the last.
inline BlockRows token_rows(const AttentionJob& job, const Matrix& matrix, int image, int first_patch, int class_row,
                            int word) {
#pragma HLS inline
    const int row = job.batch + job.gap + short_product(image, job.patches) + first_patch;
    BlockRows rows = rows_of(matrix, row, image, class_row);
    rows.base += unsigned(word);
    rows.class_base += unsigned(word);
    return rows;
}

// Where a head of queries (part 0), keys or values begins in a row of them.
inline int head_word(const AttentionJob& job, int part, int head) {
#pragma HLS inline
    const int before = narrow<10>(job.part_words);
    return short_product(head, job.head_words) + (part == 0 ? 0 : (part == 1 ? before : 2 * before));
}

// Rows over keys of the queries from `first` on.
inline BlockRows matrix_rows(const AttentionJob& job, const Matrix& matrix, int image, int head, int first) {
#pragma HLS inline
    const int row = short_product(short_product(image, job.heads) + head, job.queries);
    return rows_of(matrix, row + first + 1, row, class_place(job, first));
}

// A walk over the steps of the groups of a block, so that one pipelined loop serves the block.
struct GroupWalk {
    place_t group;
    place_t step;
    place_t steps;
};

// Steps of a group; `padded`, so many that a word that is filled step by step has kHalf steps to itself.
inline int walked_steps(const AttentionJob& job, int first, int group, bool padded) {
    const int steps = group_steps(job, first, group);
    const int rest = steps % kLanes;
    return padded && rest > 0 && rest < kHalf ? steps - rest + kHalf : steps;
}

inline GroupWalk first_group(const AttentionJob& job, int first, bool padded) {
#pragma HLS inline
    GroupWalk walk;
    walk.group = 0;
    walk.step = 0;
    walk.steps = walked_steps(job, first, 0, padded);
    return walk;
}

inline void advance(const AttentionJob& job, int first, bool padded, GroupWalk& walk) {
#pragma HLS inline
    walk.step = narrow<10>(walk.step) + 1;
    if (narrow<10>(walk.step) == narrow<10>(walk.steps)) {
        walk.group = narrow<3>(walk.group) + 1;
        walk.step = 0;
        walk.steps = walk.group < kGroups ? walked_steps(job, first, walk.group, padded) : 0;
    }
}

}  // namespace peelvit

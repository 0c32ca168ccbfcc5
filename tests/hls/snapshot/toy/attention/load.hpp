// What the attention unit reads: rows of q, k, v and dy, rows of probabilities or of gradients of scores, and lists.
#pragma once

#include "job.hpp"

namespace peelvit {

// A block on its way to the multipliers. Words of a lane's row are `group * kTokenWords + word`.
struct QueryBlock {
    word_t own[kGroups][kLaneCount][kHeadWords];  // rows of q or dy by lane
    word_t matrix[kBlockWords16][kLaneCount];     // probabilities or gradients of scores, by position
    word_t list[kBlockWords16][kLaneCount];       // listed keys
};

// What either half of the lanes has still to read: rows of the matrix, then own rows, then lists.
struct HalfWalk {
    int kind;
    int row;
    int word;
};

constexpr int kMatrixRows = 0;
constexpr int kOwnRows = 1;
constexpr int kLists = 2;
constexpr int kNothing = 3;

// Words of each kind that a half reads.
struct HalfLoad {
    int rows, lists;
    bool reads_matrix, reads_own, reads_lists;
};

inline int row_words(const AttentionJob& job, const HalfLoad& load, int kind, int index) {
#pragma HLS inline
    if (kind == kMatrixRows) return load.reads_matrix ? words16(query_keys(job, index)) : 0;
    if (kind == kOwnRows) return load.reads_own ? job.head_words : 0;
    return kind == kLists && load.reads_lists ? words16(job.key_count) : 0;
}

inline HalfLoad half_load(const AttentionJob& job, int pass, int first, int half, bool fresh) {
#pragma HLS inline
    HalfLoad load;
    load.rows = half_rows(block_queries(job, first), half);
    load.lists = half_rows(block_patch_queries(job, first), half);
    load.reads_matrix = pass != kScores;
    load.reads_own = pass == kScores;
    load.reads_lists = fresh;
    return load;
}

// All words that a half reads.
inline int half_words(const AttentionJob& job, const HalfLoad& load, int first, int half) {
#pragma HLS inline
    const int last = job.queries - 1 - first;
    const bool has_class = has_class_query(job, first) && half_of(last) == half;
    const int more = has_class ? words16(job.class_keys) - words16(job.patch_keys) : 0;
    const int matrix = load.reads_matrix ? load.rows * words16(job.patch_keys) + more : 0;
    const int own = load.reads_own ? load.rows * job.head_words : 0;
    return matrix + own + (load.reads_lists ? load.lists * words16(job.key_count) : 0);
}

inline HalfWalk first_word(const HalfLoad& load) {
#pragma HLS inline
    HalfWalk walk;
    walk.kind = load.rows == 0 ? kNothing : (load.reads_matrix ? kMatrixRows : kOwnRows);
    walk.row = 0;
    walk.word = 0;
    return walk;
}

inline void advance(const AttentionJob& job, const HalfLoad& load, int index, HalfWalk& walk) {
#pragma HLS inline
    ++walk.word;
    if (walk.word < row_words(job, load, walk.kind, index)) return;
    walk.word = 0;
    ++walk.row;
    if (walk.row < (walk.kind == kLists ? load.lists : load.rows)) return;
    walk.row = 0;
    walk.kind = walk.kind != kLists && load.reads_lists && load.lists > 0 ? kLists : kNothing;
}

// The next word of a half, through the half's own port.
template <int kHalf>
inline void load_half(const word_t* mem, const AttentionJob& job, int pass, int image, int head, int first,
                      const HalfLoad& load, HalfWalk& walk, QueryBlock& to,
                      word_t (&lists)[kQueryBlocks * kBlockWords16][kLaneCount]) {
#pragma HLS inline
    if (walk.kind == kNothing) return;
    const int row = half_row(kHalf, walk.row);
    const int index = first + row;
    const int lane = kHalf * kHalfLanes + walk.row % kHalfLanes;
    const int group = walk.row / kHalfLanes;
    const Matrix matrix = pass == kQueryGradients || pass == kKeyGradients ? job.dscore : job.probability;
    const unsigned at_query = query_address(matrix, job, image, head, index);
    const unsigned at_own = job.qkv.address + token_row(job, image, query_token(job, index)) * unsigned(job.qkv.pitch) +
                            unsigned(head * job.head_words);
    const unsigned at_list = job.keys.address + unsigned(image * job.patches + index) * unsigned(job.keys.pitch);
    const unsigned address = walk.kind == kMatrixRows ? at_query : (walk.kind == kOwnRows ? at_own : at_list);
    const word_t word = read_word<kHalf>(mem, address + unsigned(walk.word));
    const int place = group * kTokenWords + walk.word;
    if (walk.kind == kMatrixRows) to.matrix[place][lane] = word;
    if (walk.kind == kOwnRows) to.own[group][lane][walk.word] = word;
    if (walk.kind == kLists) {
        to.list[place][lane] = word;
        lists[first / kQueryBlock * kBlockWords16 + place][lane] = word;
    }
    advance(job, load, index, walk);
}

// Lists are read for the first head and the first pass, and kept for the others.
inline void load(const word_t* mem0, const word_t* mem1, const word_t* mem2, const AttentionJob& job, int pass,
                 int image, int head, int first, int next_part, int next_image, int next_head,
                 word_t (&lists)[kQueryBlocks * kBlockWords16][kLaneCount], QueryBlock& to,
                 word_t (&vectors)[kQueryBlock][kHeadWords], word_t (&next_rows)[kQueryBlock][kHeadWords]) {
#pragma HLS inline off
    const bool first_pass = pass == kScores || pass == kScoreGradients;
    const bool uses_lists = job.sparse && block_patch_queries(job, first) > 0;
    const bool fresh = uses_lists && first_pass && head == 0;
    const HalfLoad load0 = half_load(job, pass, first, 0, fresh);
    const HalfLoad load1 = half_load(job, pass, first, 1, fresh);
    HalfWalk walk0 = first_word(load0);
    HalfWalk walk1 = first_word(load1);
    const int own_rows = pass == kScoreGradients || is_outer(pass) ? block_queries(job, first) : 0;
    const int rows = own_rows + (next_part != 0 ? block_tokens(job, first) : 0);
    const int kept_words = uses_lists && !fresh ? (kGroups - 1) * kTokenWords + words16(job.key_count) : 0;
    const int from_halves = larger(half_words(job, load0, first, 0), half_words(job, load1, first, 1));
    const int length = larger(larger(from_halves, kept_words), rows * job.head_words);
    int row = 0;
    int word = 0;
load_words:
    for (int n = 0; n < length; ++n) {
#pragma HLS loop_tripcount max = 208
        PIPELINE(n == 0, 1, kReadLatency);
        load_half<0>(mem0, job, pass, image, head, first, load0, walk0, to, lists);
        load_half<1>(mem1, job, pass, image, head, first, load1, walk1, to, lists);
        if (n < kept_words) {
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                to.list[n][lane] = lists[first / kQueryBlock * kBlockWords16 + n][lane];
            }
        }
        // The third port: rows of dy or q for the gradients, then the next head's rows.
        if (row < rows) {
            const bool is_own = row < own_rows;
            const int i = is_own ? row : row - own_rows;
            const int token = is_own ? query_token(job, first + i) : first + i;
            const Matrix matrix = is_own && pass != kKeyGradients ? job.dy : job.qkv;
            const int column = is_own ? head : next_part * job.heads + next_head;
            const unsigned at_row =
                matrix.address + token_row(job, is_own ? image : next_image, token) * unsigned(matrix.pitch);
            const word_t read = read_word<2>(mem2, at_row + unsigned(column * job.head_words + word));
            if (!is_own) next_rows[i][word] = read;
            if (is_own && pass == kScoreGradients) to.own[i / kLaneCount][i % kLaneCount][word] = read;
            if (is_own && pass != kScoreGradients) vectors[i][word] = read;
        }
        ++word;
        if (word == job.head_words) {
            word = 0;
            ++row;
        }
    }
}

// k or v of the first unit, before the blocks bring those of the next ones.
inline void load_first_unit(const word_t* mem2, const AttentionJob& job, word_t (&kept)[2 * kMaxTokens][kHeadWords]) {
#pragma HLS inline off
    const int part = job.backward ? 2 : 1;
first_unit_rows:
    for (int token = 0; token < job.tokens; ++token) {
#pragma HLS loop_tripcount max = 81
        const unsigned address = job.qkv.address + token_row(job, 0, token) * unsigned(job.qkv.pitch) +
                                 unsigned(part * job.heads * job.head_words);
    first_unit_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((token | w) == 0, 1, kReadLatency);
            kept[token][w] = read_word<2>(mem2, address + unsigned(w));
        }
    }
}

}  // namespace peelvit

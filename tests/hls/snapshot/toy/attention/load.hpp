// What the attention unit reads: rows of q, k, v and dy, rows of probabilities or of gradients of scores, and lists.
#pragma once

#include "job.hpp"

namespace peelvit {

// A block on its way to the multipliers; a port fills the banks of its own lanes.
struct QueryBlock {
    word_t own[kPorts][kGroups][kFrontLanes][kHeadWords];  // rows of q or dy by lane
    LaneWords matrix;                                      // probabilities or gradients of scores, by position
    LaneWords list;                                        // listed keys
};

// Lists of all blocks of an image.
using KeyLists = word_t[kPorts][kQueryBlocks * kBlockWords16][kFrontLanes];

// By port and place in it: rows of q or dy that go with rows of the matrix, and rows of the next head.
using QueryVectors = word_t[kPorts][kPortRows][kHeadWords];
using NextRows = word_t[kPorts][kNextRows][kHeadWords];

// What a port reads, kind by kind: rows of the matrix, own rows, lists, rows of the next head.
constexpr int kMatrixRows = 0;
constexpr int kOwnRows = 1;
constexpr int kLists = 2;
constexpr int kNextHead = 3;
constexpr int kNothing = 4;

struct PortLoad {
    int rows[kNothing];   // of each kind
    int words[kNothing];  // of a row; the class query's row of the matrix is longer
};

struct PortWalk {
    int kind;
    int row;
    int word;
};

inline PortLoad port_load(const AttentionJob& job, int pass, int first, int next_part, int port, bool fresh) {
#pragma HLS inline
    const int queries = port_rows(block_queries(job, first), port);
    const int next = next_part != 0 ? block_tokens(job, first) : 0;
    PortLoad load;
    load.rows[kMatrixRows] = pass == kScores ? 0 : queries;
    load.rows[kOwnRows] = pass == kValues || pass == kQueryGradients ? 0 : queries;
    load.rows[kLists] = fresh ? port_rows(block_patch_queries(job, first), port) : 0;
    load.rows[kNextHead] = clamp_to(next - first_next(port), port == 0 ? kFrontRows : kSideRows);
    load.words[kMatrixRows] = words16(job.patch_keys);
    load.words[kOwnRows] = job.head_words;
    load.words[kLists] = words16(job.key_count);
    load.words[kNextHead] = job.head_words;
    return load;
}

inline int port_words(const AttentionJob& job, const PortLoad& load, int first, int port) {
#pragma HLS inline
    const bool has_class = has_class_query(job, first) && port_of(job.queries - 1 - first) == port;
    int words = has_class && load.rows[kMatrixRows] > 0 ? words16(job.class_keys) - words16(job.patch_keys) : 0;
    for (int kind = 0; kind < kNothing; ++kind) {
#pragma HLS unroll
        words += load.rows[kind] * load.words[kind];
    }
    return words;
}

// The first kind from `kind` on of which the port has rows.
inline int next_kind(const PortLoad& load, int kind) {
#pragma HLS inline
    int found = kNothing;
    for (int i = kNothing - 1; i >= 0; --i) {
#pragma HLS unroll
        if (i >= kind && load.rows[i] > 0) found = i;
    }
    return found;
}

inline PortWalk first_word(const PortLoad& load) {
#pragma HLS inline
    PortWalk walk;
    walk.kind = next_kind(load, 0);
    walk.row = 0;
    walk.word = 0;
    return walk;
}

inline void advance(const AttentionJob& job, const PortLoad& load, int index, PortWalk& walk) {
#pragma HLS inline
    const int words = walk.kind == kMatrixRows ? words16(query_keys(job, index)) : load.words[walk.kind];
    ++walk.word;
    if (walk.word < words) return;
    walk.word = 0;
    ++walk.row;
    if (walk.row < load.rows[walk.kind]) return;
    walk.row = 0;
    walk.kind = next_kind(load, walk.kind + 1);
}

// The next word of a port.
template <int kPort>
inline void load_word(const word_t* mem, const AttentionJob& job, int pass, int image, int head, int first,
                      int next_part, int next_image, int next_head, const PortLoad& load, PortWalk& walk,
                      QueryBlock& to, KeyLists& lists, QueryVectors& vectors,
                      NextRows& next_rows) {
#pragma HLS inline
    if (walk.kind == kNothing) return;
    const int group = port_group(kPort, walk.row);
    const int lane = smaller(port_place(kPort, walk.row), kFrontLanes - 1);
    const int index = first + port_row(kPort, walk.row);
    const Matrix over_keys = pass == kQueryGradients || pass == kKeyGradients ? job.dscore : job.probability;
    const Matrix over_dims =
        walk.kind == kOwnRows && (pass == kScoreGradients || pass == kValueGradients) ? job.dy : job.qkv;
    const bool is_next = walk.kind == kNextHead;
    const int token = is_next ? first + first_next(kPort) + walk.row : query_token(job, index);
    const int column = is_next ? short_product(next_part, job.heads) + next_head : head;
    const unsigned at_query = query_address(over_keys, job, image, head, index);
    const unsigned at_token = row_address(over_dims, token_row(job, is_next ? next_image : image, token)) +
                              unsigned(short_product(column, job.head_words));
    const unsigned at_list = row_address(job.keys, unsigned(short_product(image, job.patches) + index));
    const unsigned address = walk.kind == kMatrixRows ? at_query : (walk.kind == kLists ? at_list : at_token);
    const word_t word = read_word<kPort>(mem, address + unsigned(walk.word));
    const int place = group * kTokenWords + walk.word;
    if (walk.kind == kMatrixRows) to.matrix[kPort][place][lane] = word;
    if (walk.kind == kOwnRows && is_dot(pass)) to.own[kPort][group][lane][walk.word] = word;
    if (walk.kind == kOwnRows && is_outer(pass)) vectors[kPort][walk.row][walk.word] = word;
    if (walk.kind == kLists) {
        to.list[kPort][place][lane] = word;
        lists[kPort][first / kQueryBlock * kBlockWords16 + place][lane] = word;
    }
    if (is_next) next_rows[kPort][walk.row][walk.word] = word;
    advance(job, load, index, walk);
}

// Lists are read for the first head and the first pass, and kept for the others.
inline void load(const word_t* mem0, const word_t* mem1, const word_t* mem2, const AttentionJob& job, int pass,
                 int image, int head, int first, int next_part, int next_image, int next_head,
                 KeyLists& lists, QueryBlock& to, QueryVectors& vectors,
                 NextRows& next_rows) {
#pragma HLS inline off
    const bool uses_lists = job.sparse && block_patch_queries(job, first) > 0;
    const bool fresh = uses_lists && is_dot(pass) && head == 0;
    const PortLoad load0 = port_load(job, pass, first, next_part, 0, fresh);
    const PortLoad load1 = port_load(job, pass, first, next_part, 1, fresh);
    const PortLoad load2 = port_load(job, pass, first, next_part, 2, fresh);
    PortWalk walk0 = first_word(load0);
    PortWalk walk1 = first_word(load1);
    PortWalk walk2 = first_word(load2);
    const int kept_words = uses_lists && !fresh ? (kGroups - 1) * kTokenWords + words16(job.key_count) : 0;
    const int longest = larger(larger(port_words(job, load0, first, 0), port_words(job, load1, first, 1)),
                               port_words(job, load2, first, 2));
    const int length = larger(longest, kept_words);
load_words:
    for (int n = 0; n < length; ++n) {
#pragma HLS loop_tripcount max = 208
        PIPELINE(n == 0, 1, kReadLatency);
        load_word<0>(mem0, job, pass, image, head, first, next_part, next_image, next_head, load0, walk0, to, lists,
                     vectors, next_rows);
        load_word<1>(mem1, job, pass, image, head, first, next_part, next_image, next_head, load1, walk1, to, lists,
                     vectors, next_rows);
        load_word<2>(mem2, job, pass, image, head, first, next_part, next_image, next_head, load2, walk2, to, lists,
                     vectors, next_rows);
        if (n < kept_words) {
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                for (int lane = 0; lane < kFrontLanes; ++lane) {
#pragma HLS unroll
                    to.list[port][n][lane] = lists[port][first / kQueryBlock * kBlockWords16 + n][lane];
                }
            }
        }
    }
}

template <int kPort>
inline word_t first_unit_word(const word_t* mem, const AttentionJob& job, int token, int w) {
#pragma HLS inline
    if (token >= job.tokens || w >= job.head_words) return zero_word();
    const int part = job.backward ? 2 : 1;
    const unsigned row = row_address(job.qkv, token_row(job, 0, token));
    return read_word<kPort>(mem, row + unsigned(short_product(short_product(part, job.heads), job.head_words) + w));
}

// k or v of the first head, before the blocks bring those of the next ones: a row a port, collected to be kept whole
// while the rows after them come in.
inline void load_first_unit(const word_t* mem0, const word_t* mem1, const word_t* mem2, const AttentionJob& job,
                            word_t (&kept)[2 * kMaxTokens][kHeadWords]) {
#pragma HLS inline off
    word_t line[2][kPorts][kHeadWords];
#pragma HLS array_partition variable = line type = complete dim = 0
first_unit_rows:
    for (int token = 0; token < job.tokens + kPorts; token += kPorts) {
#pragma HLS loop_tripcount max = 29
        const int side = token / kPorts % 2;
    first_unit_words:
        for (int w = 0; w < kHeadWords; ++w) {
            PIPELINE((token | w) == 0, 1, kReadLatency);
            line[side][0][w] = first_unit_word<0>(mem0, job, token, w);
            line[side][1][w] = first_unit_word<1>(mem1, job, token + 1, w);
            line[side][2][w] = first_unit_word<2>(mem2, job, token + 2, w);
            const int row = token - kPorts + w;
            if (w < kPorts && row >= 0 && row < job.tokens) {
                for (int i = 0; i < kHeadWords; ++i) {
#pragma HLS unroll
                    kept[row][i] = line[1 - side][w][i];
                }
            }
        }
    }
}

}  // namespace peelvit

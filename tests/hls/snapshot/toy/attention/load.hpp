// What the attention unit reads, a process a port. They share rows of q or dy for the queries after these and of what the
// next head keeps on chip, and bring, each for a half of the lanes, rows of probabilities or of gradients of scores, and
// lists. The second pass of a pair finds the rows of the first one.
#pragma once

#include "place.hpp"

namespace peelvit {

// Rows that come in for later, word by word, through a port.
constexpr int kComingWords = 128;
using ComingWords = word_t[kComingWords];

// Of a half of the lanes the block's rows over keys, and its lists: `row * kTokenWords + word`.
constexpr int kLoadedWords = kHalfRows * kTokenWords;
using MatrixRows = word_t[kLoadedWords];
struct LoadedRows {
    MatrixRows matrix;                   // by position
    token_t list[kLoadedWords][kLanes];  // tokens of listed keys
};

// A half of the lists of all blocks of an image.
using KeyLists = token_t[kQueryBlocks * kLoadedWords][kLanes];

// The unit's ports are the masters behind those of all other units.
constexpr int memory_of(int port) { return 3 + port; }

// What a port reads, kind by kind.
constexpr int kOwnRows = 0;
constexpr int kNextRows = 1;
constexpr int kMatrixRows = 2;
constexpr int kLists = 3;
constexpr int kNothing = 4;

struct PortLoad {
    place_t rows[kNothing];   // of each kind, of the port; of the first two those of both ports
    place_t words[kNothing];  // of a row
    place_t class_words;      // of the class query's row of the matrix
};

struct PortWalk {
    place_t kind;
    place_t row;
    place_t word;
};

inline PortLoad port_load(const AttentionJob& job, const Block& block, int port) {
#pragma HLS inline
    const int lane = port * kHalf;
    PortLoad load;
    load.rows[kOwnRows] = block.own_rows;
    load.rows[kNextRows] = block.next_rows;
    load.rows[kMatrixRows] = block.pass != kScores ? lanes_rows(block_queries(job, block.first), lane, kHalf) : 0;
    load.rows[kLists] = block.fresh_lists ? lanes_rows(block_patch_queries(job, block.first), lane, kHalf) : 0;
    load.words[kOwnRows] = narrow<6>(job.head_words);
    load.words[kNextRows] = narrow<6>(job.head_words);
    load.words[kMatrixRows] = key_words(job.patch_keys);
    load.words[kLists] = key_words(job.key_count);
    load.class_words = key_words(job.class_keys);
    return load;
}

// Row of the block, or of those that come in.
inline int row_of(const PortWalk& walk, int port) {
#pragma HLS inline
    return walk.kind < kMatrixRows ? int(walk.row) : lanes_row(port * kHalf, kHalf, int(walk.row));
}

inline int port_words(const AttentionJob& job, const Block& block, const PortLoad& load, int port) {
#pragma HLS inline
    const int place = class_place(job, block.first);
    const bool is_here = natural<5>(unsigned(place)) % kLaneCount / kHalf == port;
    const bool has_class = is_here && has_class_query(job, block.first);
    int words = has_class && load.rows[kMatrixRows] > 0 ? int(load.class_words - load.words[kMatrixRows]) : 0;
    const int coming_rows = through(load.rows[kOwnRows], port) + through(load.rows[kNextRows], port);
    words += short_product(coming_rows, load.words[kOwnRows]);
    words += short_product(load.rows[kMatrixRows], load.words[kMatrixRows]);
    return words + short_product(load.rows[kLists], load.words[kLists]);
}

// The first kind from `kind` on of which the port has rows.
inline int next_kind(const PortLoad& load, int kind, int port) {
#pragma HLS inline
    int found = kNothing;
    for (int i = kNothing - 1; i >= 0; --i) {
#pragma HLS unroll
        if (i >= kind && load.rows[i] > (i < kMatrixRows ? port : 0)) found = i;
    }
    return found;
}

// The first word of the first kind from `kind` on.
inline void begin_kind(const PortLoad& load, int kind, int port, PortWalk& walk) {
#pragma HLS inline
    walk.kind = next_kind(load, kind, port);
    walk.row = walk.kind < kMatrixRows ? port : 0;
    walk.word = 0;
}

inline PortWalk first_word(const PortLoad& load, int port) {
#pragma HLS inline
    PortWalk walk;
    begin_kind(load, 0, port, walk);
    return walk;
}

inline void advance(const PortLoad& load, int port, bool is_class, PortWalk& walk) {
#pragma HLS inline
    const int kind = narrow<4>(walk.kind);
    const bool is_longer = kind == kMatrixRows && is_class;
    const int words = int(is_longer ? load.class_words : load.words[kind]);
    walk.word = narrow<7>(walk.word) + 1;
    if (walk.word < words) return;
    walk.word = 0;
    walk.row = narrow<9>(walk.row) + (kind < kMatrixRows ? int(kAttentionPorts) : 1);
    if (walk.row < load.rows[kind]) return;
    begin_kind(load, kind + 1, port, walk);
}

// The token of a listed entry.
inline token_t entry_token(const AttentionJob& job, i16 entry) {
    return token_t(1 + smaller(int(entry) & 0xFFFF, narrow<10>(job.patches) - 1));
}

// The word at which the walk stands.
template <int kPort>
inline word_t word_at(const word_t* mem, const BlockRows (&rows)[kNothing], const PortWalk& walk) {
#pragma HLS inline
    const int kind = narrow<4>(walk.kind);
    BlockRows from;
    from.base = rows[kind].base;
    from.class_base = rows[kind].class_base;
    from.class_row = rows[kind].class_row;
    from.pitch = rows[kind].pitch;
    return read_word<memory_of(kPort)>(mem, address_of(from, row_of(walk, kPort)) + unsigned(narrow<7>(walk.word)));
}

// Where a list is that was kept.
struct ListWalk {
    place_t row;
    place_t word;
};

inline void advance(int words, ListWalk& walk) {
#pragma HLS inline
    walk.word = narrow<7>(walk.word) + 1;
    if (walk.word < words) return;
    walk.word = 0;
    walk.row = narrow<6>(walk.row) + 1;
}

// Lists are read for the first head and the first pass, and kept for the others.
template <int kPort>
inline void load(const word_t* mem, const AttentionJob& job, const Block& block, KeyLists& lists, MatrixRows& held,
                 ComingWords& coming, LoadedRows& to) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 2
    const PortLoad load = port_load(job, block, kPort);
    const bool has_kept = job.sparse && !block.fresh_lists;
    const int kept_rows = has_kept ? lanes_rows(block_patch_queries(job, block.first), kPort * kHalf, kHalf) : 0;
    const int kept_words = short_product(kept_rows, load.words[kLists]);
    const int length = larger(port_words(job, block, load, kPort), kept_words);
    const int block_words = narrow<7>(natural<10>(unsigned(int(block.first))) / kQueryBlock) * kLoadedWords;
    const BlockRows rows[kNothing] = {block.own, block.next, block.matrix_in, block.lists};
#pragma HLS array_partition variable = rows type = complete
    PortWalk walk = first_word(load, kPort);
    ListWalk kept;
    kept.row = 0;
    kept.word = 0;
    place_t arrived = 0;
load_words:
    for (int n = 0; n < length; ++n) {
#pragma HLS loop_tripcount max = 208
        PIPELINE(n == 0, 1, kReadLatency);
// A block reads what is held or writes it.
#pragma HLS dependence variable = held type = inter dependent = false
        const int kind = narrow<4>(walk.kind);
        const int read_place = narrow<6>(walk.row) * kTokenWords + narrow<7>(walk.word);
        const bool is_held = kind == kMatrixRows && block.same_rows;
        word_t word;
        if (is_held)
            word = held[read_place];
        else if (kind != kNothing)
            word = word_at<kPort>(mem, rows, walk);
        if (kind < kMatrixRows) {
            coming[arrived] = word;
            arrived = narrow<11>(arrived) + 1;
        }
        if (kind == kMatrixRows) to.matrix[read_place] = word;
        if (kind == kMatrixRows && !is_held) held[read_place] = word;
        const bool is_kept = n < kept_words;
        if (is_kept || kind == kLists) {
            const int place = is_kept ? narrow<6>(kept.row) * kTokenWords + narrow<7>(kept.word) : read_place;
            for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
                const token_t token = is_kept ? lists[block_words + place][k] : entry_token(job, get16(word, k));
                to.list[place][k] = token;
                if (!is_kept) lists[block_words + place][k] = token;
            }
            advance(load.words[kLists], kept);
        }
        if (kind != kNothing) advance(load, kPort, row_of(walk, kPort) == short_of(block.matrix_in.class_row), walk);
    }
}

}  // namespace peelvit

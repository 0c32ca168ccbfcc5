// How the vector unit streams matrices: blocks of several rows go through load / compute / store, eight elements a
// cycle.
//
// Rows that lie next to each other are one burst; others are a burst each and pay the read latency each.
#pragma once

#include "config.hpp"
#include "cycles.hpp"
#include "fixed.hpp"
#include "instruction.hpp"
#include "slots.hpp"

namespace peelvit {

constexpr int kMaxWords = kMaxColumns / kLanes;  // of an int16 row
constexpr int kBlockWords = 2 * kMaxWords;
constexpr int kBlockRowBits = 6;
constexpr int kBlockRows = 1 << kBlockRowBits;
constexpr int kCopyDepth = 4;
constexpr int kVectorDepth = 24;  // multiply, add, align, round

// A matrix of int16 rows cut into blocks of a power of two of rows. Every block pays a read latency, and filling the
// pipeline costs a block for each process; with blocks of about 4 * sqrt(all words) the two cost about the same.
struct Blocks {
    int rows;
    int words;    // of a row
    int columns;  // elements of a row
    int row_bits;
    int count;
};

inline int blocks_of(int rows, int row_bits) {
    const int bits = natural<4>(unsigned(row_bits));
    return natural<18>(unsigned(rows + (1 << bits) - 1)) >> bits;
}

inline Blocks cut(int rows, int words, int columns) {
    Blocks blocks;
    blocks.rows = rows;
    blocks.words = words;
    blocks.columns = columns;
    blocks.row_bits = 0;
block_rows:
    for (int bits = 1; bits <= kBlockRowBits; ++bits) {
#pragma HLS unroll
        const bool fits = natural<10>(unsigned(words)) << bits <= kBlockWords;
        const bool is_short = natural<10>(unsigned(words)) << 2 * bits <= natural<17>(unsigned(rows)) << 4;
        if (fits && is_short) blocks.row_bits = bits;
    }
    blocks.count = blocks_of(rows, blocks.row_bits);
    return blocks;
}

inline Blocks cut(int rows, int columns) { return cut(rows, words16(columns), columns); }

// In the bits of kMaxRows.
inline int first_row(const Blocks& blocks, int b) { return narrow<18>(narrow<18>(b) << narrow<5>(blocks.row_bits)); }
inline int rows_in(const Blocks& blocks, int b) {
    return narrow<10>(smaller(1 << narrow<5>(blocks.row_bits), narrow<18>(blocks.rows - first_row(blocks, b))));
}
inline int words_in(const Blocks& blocks, int b) { return short_product(rows_in(blocks, b), blocks.words); }

// Elements of word `word` of a row; lanes from there on are padding.
inline int lanes_in(const Blocks& blocks, int word) {
    return narrow<5>(smaller(kLanes, narrow<14>(blocks.columns - kLanes * word)));
}

// Where a walk over the words of a block stands.
struct Cursor {
    i16 row;
    i16 word;
};

inline Cursor start_of_block() {
    Cursor at;
    at.row = 0;
    at.word = 0;
    return at;
}

inline bool ends_row(const Cursor& at, const Blocks& blocks) { return i16(at.word + 1) == i16(blocks.words); }

inline void advance(Cursor& at, int words) {
    at.word = i16(at.word + 1);
    if (at.word == i16(words)) {
        at.word = 0;
        at.row = i16(at.row + 1);
    }
}

// How a block lies in memory.
struct Bursts {
    unsigned address;
    unsigned pitch;
    int count;
    int words;
};

inline Bursts bursts_of(const Matrix& matrix, const Blocks& blocks, int b) {
    const int rows = rows_in(blocks, b);
    const bool is_dense = matrix.pitch == blocks.words;
    Bursts bursts;
    bursts.pitch = unsigned(matrix.pitch);
    bursts.address = matrix.address + unsigned(multiply(u17(unsigned(first_row(blocks, b))), u32(bursts.pitch)));
    bursts.count = is_dense ? 1 : rows;
    bursts.words = is_dense ? short_product(rows, blocks.words) : blocks.words;
    return bursts;
}

template <int kPort>
inline void load_block(const word_t* mem, const Matrix& matrix, const Blocks& blocks, int b,
                       word_t block[kBlockWords]) {
    const Bursts bursts = bursts_of(matrix, blocks, b);
    int place = 0;
    unsigned address = bursts.address;
load_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 64
    load_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 64
            PIPELINE(w == 0, 1, kReadLatency);
            block[narrow<12>(place + w)] = read_word<kPort>(mem, address + unsigned(w));
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

template <int kPort>
inline void store_block(word_t* mem, const Matrix& matrix, const Blocks& blocks, int b,
                        const word_t block[kBlockWords]) {
    const Bursts bursts = bursts_of(matrix, blocks, b);
    int place = 0;
    unsigned address = bursts.address;
store_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 64
    store_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 64
            PIPELINE(w == 0, 1, kCopyDepth);
            write_word<kPort>(mem, address + unsigned(w), block[narrow<12>(place + w)]);
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

// One row on chip: `words` words from `address`.
template <int kPort>
inline void load_row(const word_t* mem, unsigned address, int words, word_t row[kMaxWords]) {
load_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
        PIPELINE(w == 0, 1, kReadLatency);
        row[w] = read_word<kPort>(mem, address + unsigned(w));
    }
}

// Group of a gradient's row: 0 patch rows, 1 class rows; as an offset to its slot.
inline int row_kind(int row, int split) { return row < split ? 1 : 0; }

// Statistics of stores whose fraction may differ from row to row.
struct Observed {
    i9 peak;
    unsigned saturations;
};

inline Observed nothing_observed() {
    Observed observed;
    observed.peak = kEmpty;
    observed.saturations = 0;
    return observed;
}

// `places`: lowest bits that are no part of what was stored.
inline void observe_peak(Observed& observed, uwide_t bits, int fraction, int places) {
    const int length = narrow<8>(bit_length_of(bits) - places);
    const int peak = peak_of(length, fraction);
    if (length > 0 && peak > observed.peak) observed.peak = i9(peak);
}

inline void observe(Observed& observed, const Statistics& statistics, int fraction, int places) {
    observe_peak(observed, statistics.bits, fraction, places);
    observed.saturations += statistics.saturations;
}

inline void record(Slots& slots, int slot, const Observed& observed) {
#pragma HLS inline off
    slots.peak[slot] = byte_of(larger(slots.peak[slot], observed.peak));
    slots.saturations[slot] += observed.saturations;
}

// Store the first `lanes` accumulators as a word of int16; the other lanes are padding.
inline word_t store_word(const wide_t acc[kLanes], int lanes, int shift, Statistics& statistics) {
    word_t word = zero_word();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        if (lane < lanes) put16(word, lane, i16(store(acc[lane], shift, 16, statistics)));
    }
    return word;
}

// The same for accumulators of 48 bits, its lanes sharing what the shift tells.
inline word_t fit_word(const acc_t acc[kLanes], int lanes, const Fit16& by, Seen& seen) {
    word_t word = zero_word();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        put16(word, lane, fit16(lane < lanes ? acc[lane] : acc_t(0), by, seen));
    }
    return word;
}

}  // namespace peelvit

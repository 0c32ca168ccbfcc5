// How the vector unit streams matrices through FIFOs: every task of a region begins with the first element it is
// handed, so filling the region costs little, and a block can be long.
#pragma once

#include "blocks.hpp"

namespace peelvit {

constexpr int kCutWords = 6 * kMaxWords;  // of a block
constexpr int kStreamWords = kCutWords + kMaxWords;  // and a row, where a stream takes the larger half of two blocks
constexpr int kStreamRowBits = 8;
constexpr int kStreamRows = 1 << kStreamRowBits;

// Blocks of so many words at most: those of a stream, or of two that share them.
inline Blocks cut_streams(int rows, int columns, int most) {
#pragma HLS inline off
    Blocks blocks;
    blocks.rows = rows;
    blocks.words = words16(columns);
    blocks.columns = columns;
    blocks.row_bits = 0;
stream_rows:
    for (int bits = 1; bits <= kStreamRowBits; ++bits) {
#pragma HLS unroll
        if (blocks.words << bits <= most) blocks.row_bits = bits;
    }
    blocks.count = blocks_of(rows, blocks.row_bits);
    return blocks;
}

// Rows of a matrix that lie in one stream.
struct Part {
    int first;
    int rows;
};

inline Part part_of(const Blocks& blocks, int b) {
    Part run;
    run.first = first_row(blocks, b);
    run.rows = rows_in(blocks, b);
    return run;
}

// A block that two streams share: the second part of its rows comes after the first one, and is half of them or a third.
struct Shares {
    Blocks blocks;
    bool in_thirds;
    bool in_lanes;    // the parts' rows that come at once are never the same place in words of eight rows
    int two_thirds;  // of a full block
};

inline Shares shares_of(const Blocks& blocks, bool in_thirds, bool in_lanes) {
    Shares shares;
    shares.blocks = blocks;
    shares.in_thirds = in_thirds;
    shares.in_lanes = in_lanes;
    shares.two_thirds = natural<8>((171u >> (kStreamRowBits - natural<4>(unsigned(blocks.row_bits)))) + 1);
    return shares;
}

inline int second_rows(const Shares& shares, int b) {
    const int rows = natural<9>(unsigned(rows_in(shares.blocks, b)));
    if (shares.in_thirds) return natural<8>(unsigned(larger(0, rows - shares.two_thirds)));  // which are no multiple of eight
    const int half = rows >> 1;
    const bool is_even = ((rows ^ half) & 1) == 0;  // the first part
    return natural<8>(unsigned(half - (shares.in_lanes && is_even ? 1 : 0)));
}

inline Part first_part_of(const Shares& shares, int b) {
    Part run = part_of(shares.blocks, b);
    run.rows = narrow<10>(run.rows - second_rows(shares, b));
    return run;
}

inline Part second_part_of(const Shares& shares, int b) {
    const Part first = first_part_of(shares, b);
    Part run;
    run.first = narrow<18>(first.first + first.rows);
    run.rows = second_rows(shares, b);
    return run;
}

inline int words_of(const Blocks& blocks) { return blocks.words; }
inline int words_of(const Shares& shares) { return shares.blocks.words; }

inline Bursts bursts_of(const Matrix& matrix, const Part& part, int words) {
    const bool is_dense = matrix.pitch == words;
    Bursts bursts;
    bursts.pitch = unsigned(matrix.pitch);
    bursts.address = row_address(matrix, unsigned(part.first));
    bursts.count = is_dense && part.rows > 0 ? 1 : narrow<10>(part.rows);
    bursts.words = narrow<14>(is_dense ? short_product(part.rows, words) : words);
    return bursts;
}

template <int kPort>
inline void load_stream(const word_t* mem, const Matrix& matrix, const Blocks& cut, int b,
                        word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(matrix, part_of(cut, b), words_of(cut));
    int place = 0;
    unsigned address = bursts.address;
load_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    load_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kReadLatency);
            stream[narrow<14>(place + w)] = read_word<kPort>(mem, address + unsigned(w));
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

template <int kPort>
inline void load_first(const word_t* mem, const Matrix& matrix, const Shares& cut, int b,
                       word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(matrix, first_part_of(cut, b), words_of(cut));
    int place = 0;
    unsigned address = bursts.address;
load_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    load_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kReadLatency);
            stream[narrow<14>(place + w)] = read_word<kPort>(mem, address + unsigned(w));
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

template <int kPort>
inline void load_second(const word_t* mem, const Matrix& matrix, const Shares& cut, int b,
                        word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(matrix, second_part_of(cut, b), words_of(cut));
    int place = 0;
    unsigned address = bursts.address;
load_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    load_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kReadLatency);
            stream[narrow<14>(place + w)] = read_word<kPort>(mem, address + unsigned(w));
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

template <int kPort>
inline void store_stream(word_t* mem, const Matrix& matrix, const Blocks& cut, int b,
                         const word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(matrix, part_of(cut, b), words_of(cut));
    int place = 0;
    unsigned address = bursts.address;
store_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    store_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kCopyDepth);
            write_word<kPort>(mem, address + unsigned(w), stream[narrow<14>(place + w)]);
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

template <int kPort>
inline void store_first(word_t* mem, const Matrix& matrix, const Shares& cut, int b,
                        const word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(matrix, first_part_of(cut, b), words_of(cut));
    int place = 0;
    unsigned address = bursts.address;
store_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    store_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kCopyDepth);
            write_word<kPort>(mem, address + unsigned(w), stream[narrow<14>(place + w)]);
        }
        place += bursts.words;
        address += bursts.pitch;
    }
}

// Two rows at once, from a port each.
inline void load_two_rows(const word_t* mem0, unsigned first, const word_t* mem1, unsigned second, int words,
                          word_t first_row[kMaxWords], word_t second_row[kMaxWords]) {
load_two_rows:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
        PIPELINE(w == 0, 1, kReadLatency);
        first_row[w] = read_word<0>(mem0, first + unsigned(w));
        second_row[w] = read_word<1>(mem1, second + unsigned(w));
    }
}

}  // namespace peelvit

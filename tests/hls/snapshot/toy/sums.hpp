// Sums over the rows of a matrix, kept on chip by column: patch rows and class rows apart, joined when they are stored.
#pragma once

#include "blocks.hpp"

namespace peelvit {

constexpr int kSumDistance = 4;  // cycles between two additions to one sum, at least

// By row kind, word and lane.
using ColumnSums = acc_t[2][kMaxWords][kLanes];

inline void clear(ColumnSums& sums, int words) {
#pragma HLS inline
clear_sums:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
        PIPELINE(w == 0, 1, 2);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            sums[0][w][lane] = 0;
            sums[1][w][lane] = 0;
        }
    }
}

// How the sums over patch rows and over class rows are joined.
struct Contraction {
    int fraction;
    int shift[2];
};

inline Contraction contraction(int rows, int split, int f_patch, int f_class) {
    const int f_one = split < rows ? f_patch : f_class;
    const bool has_both = split > 0 && split < rows;
    Contraction joined;
    joined.fraction = has_both ? reference_fraction(f_patch, f_class) : f_one;
    joined.shift[0] = f_patch - joined.fraction;
    joined.shift[1] = f_class - joined.fraction;
    return joined;
}

// Store (or add to what is there) `rows` int32 rows of joined sums from row `first` of `dw` on; the sums hold one after
// the other.
inline void store_sums(const word_t* mem0, word_t* mem2, const Matrix& dw, int first, int rows, int columns,
                       const ColumnSums& sums, const Contraction& joined, bool accumulates, int fraction,
                       Statistics& statistics) {
#pragma HLS inline
    const int words = words32(columns);
    const bool is_dense = dw.pitch == words;
    const int bursts = is_dense ? 1 : rows;
    const int length = is_dense ? rows * words : words;
    Cursor at = start_of_block();
    int place = 0;
store_sum_bursts:
    for (int i = 0; i < bursts; ++i) {
#pragma HLS loop_tripcount max = 64
        const unsigned address = row_address(dw, unsigned(first + i));
    store_sum_words:
        for (int w = 0; w < length; ++w) {
#pragma HLS loop_tripcount max = 64
            // Sums are few, so one lane's hardware serves the four of a word.
            PIPELINE(w == 0, 4, kReadLatency + kVectorDepth);
            const int lanes = columns - kWideLanes * at.word;
            word_t word = zero_word();
            if (accumulates) word = read_word<0>(mem0, address + unsigned(w));
            for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
                const int sum_lane = place % 2 * kWideLanes + lane;
                const wide_t patch_sum = sums[0][place / 2][sum_lane];
                const wide_t class_sum = sums[1][place / 2][sum_lane];
                const wide_t old = get32(word, lane);
                wide_t sum = round_shift(patch_sum, joined.shift[0]) + round_shift(class_sum, joined.shift[1]);
                if (accumulates) sum += align(old, fraction, joined.fraction);
                i32 kept = 0;
                if (lane < lanes) kept = i32(store(sum, joined.fraction - fraction, 32, statistics));
                put32(word, lane, kept);
            }
            write_word<2>(mem2, address + unsigned(w), word);
            ++place;
            advance(at, words);
        }
    }
}

}  // namespace peelvit

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
        for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                sums[kind][w][lane] = 0;
            }
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
// the other. Sums are few: one unit makes one a cycle, for all ops that have any.
inline void store_sums(const word_t* mem0, word_t* mem2, const Matrix& dw, int first, int rows, int columns,
                       const ColumnSums& sums, const Contraction& joined, bool accumulates, int fraction,
                       Statistics& statistics) {
#pragma HLS inline off
    const int words = words32(columns);
    const bool is_dense = dw.pitch == words;
    const int bursts = is_dense ? 1 : rows;
    const int length = is_dense ? short_product(rows, words) : words;
    unsigned address = row_address(dw, unsigned(first));
    int column = 0;
    int place = 0;  // of the word among all sums
    word_t old = zero_word();
    i32 kept[kWideLanes];  // shifted in
#pragma HLS array_partition variable=kept type=complete
store_sum_bursts:
    for (int i = 0; i < bursts; ++i) {
#pragma HLS loop_tripcount max = 64
    store_sum_columns:
        for (int c = 0; c < kWideLanes * length; ++c) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(c == 0, 1, kReadLatency + kVectorDepth);
            const int lane = c % kWideLanes;
            const int w = c / kWideLanes;
            if (lane == 0 && accumulates) old = read_word<0>(mem0, address + unsigned(w));
            const int sum_lane = place % 2 * kWideLanes + lane;
            // Fractions are at most kMaxSegmentSpread finer than a kind's own, and a kind without rows has sums of 0.
            wide_t sum = round_from<kMaxSegmentSpread>(sums[0][place / 2][sum_lane], joined.shift[0]) +
                         round_from<kMaxSegmentSpread>(sums[1][place / 2][sum_lane], joined.shift[1]);
            if (accumulates) sum += round_from<kMaxAlign>(get32(old, lane), fraction - joined.fraction);
            i32 value = 0;
            if (column < columns) value = i32(store(sum, joined.fraction - fraction, 32, statistics));
            for (int k = 0; k < kWideLanes - 1; ++k) {
#pragma HLS unroll
                kept[k] = kept[k + 1];
            }
            kept[kWideLanes - 1] = value;
            ++column;
            if (lane == kWideLanes - 1) {
                word_t word = zero_word();
                for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
                    put32(word, k, kept[k]);
                }
                write_word<2>(mem2, address + unsigned(w), word);
                ++place;
            }
            if (column == kWideLanes * words) column = 0;
        }
        address += unsigned(dw.pitch);
    }
}

}  // namespace peelvit

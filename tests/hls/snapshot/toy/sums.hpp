// Sums over the rows of a matrix, kept on chip by column: patch rows and class rows apart, joined when they are stored.
#pragma once

#include "blocks.hpp"

namespace peelvit {

constexpr int kSumDistance = 4;  // cycles between two additions to one sum, at least

// By row kind and word, and by lane.
using ColumnSums = acc_t[2 * kMaxWords][kLanes];
inline int place_of(int kind, int word) { return natural<6>(unsigned(kind * kMaxWords + word)); }

// Whether a row is the first of its kind: sums begin with it.
inline bool opens_sums(int row, int split) { return row == 0 || row == split; }

// How the sums over patch rows and over class rows are joined: those from kind `first` on.
struct Contraction {
    int fraction;
    int first, kinds;
    int shift[2];
};

inline Contraction contraction(int rows, int split, int f_patch, int f_class) {
    const int f_one = split < rows ? f_patch : f_class;
    const bool has_both = split > 0 && split < rows;
    Contraction joined;
    joined.fraction = has_both ? reference_fraction(f_patch, f_class) : f_one;
    joined.first = split < rows ? 0 : 1;
    joined.kinds = has_both ? 2 : 1;
    joined.shift[0] = narrow<10>(f_patch - joined.fraction);
    joined.shift[1] = narrow<10>(f_class - joined.fraction);
    return joined;
}

// Store (or add to what is there) `rows` int32 rows of joined sums from row `first` of `dw` on; the sums hold one after
// the other. Sums are few: one unit adds a term a cycle, for all ops that have any.
inline void store_sums(const word_t* mem0, word_t* mem2, const Matrix& dw, int first, int rows, int columns,
                       const ColumnSums& sums, const Contraction& joined, bool accumulates, int fraction,
                       Statistics& statistics) {
#pragma HLS inline off
    const int words = words32(columns);
    const bool is_dense = dw.pitch == words;
    const int bursts = is_dense ? 1 : rows;
    const int length = is_dense ? short_product(rows, words) : words;
    const int terms = joined.kinds + (accumulates ? 1 : 0);
    const int cycles = short_product(kWideLanes * length, terms);
    // Fractions are at most kMaxSegmentSpread finer than a kind's own.
    const u6 places_of_kind[2] = {places_from<kMaxSegmentSpread>(joined.shift[0]),
                                  places_from<kMaxSegmentSpread>(joined.shift[1])};
    const u6 places_of_old = places_from<kMaxAlign>(narrow<11>(fraction - joined.fraction));
    const Fit32 to_dw = fit32_of(narrow<11>(joined.fraction - fraction));
    unsigned address = row_address(dw, unsigned(first));
    i16 column = 0;
    i16 place = 0;  // of the word among all sums
    word_t old = zero_word();
    i32 kept[kWideLanes];  // shifted in
#pragma HLS array_partition variable=kept type=complete
store_sum_bursts:
    for (int i = 0; i < bursts; ++i) {
#pragma HLS loop_tripcount max = 256
        i16 w = 0;
        u6 term = 0;
        u6 lane = 0;
        wide_t sum = 0;
    store_sum_terms:
        for (int c = 0; c < cycles; ++c) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(c == 0, 1, kReadLatency + kVectorDepth);
            if (term == 0 && lane == 0 && accumulates) old = read_word<0>(mem0, address + unsigned(natural<13>(unsigned(w))));
            const bool is_old = term == u6(joined.kinds);
            const int kind = joined.first + (term == 1 ? 1 : 0);
            const unsigned at = unsigned(natural<13>(unsigned(place)));
            const unsigned lane_of_sums = (at & 1) * kWideLanes + lane;
            const wide_t lifted_old = wide_t(wide_t(get32(old, lane)) << (kMaxAlign + 1));
            const wide_t lifted_sum = wide_t(wide_t(sums[place_of(kind & 1, int(at >> 1))][lane_of_sums]) << (kMaxSegmentSpread + 1));
            const wide_t twice = (is_old ? lifted_old : lifted_sum) >> (is_old ? places_of_old : places_of_kind[kind & 1]);
            sum = wide_t(term == 0 ? wide_t(0) : sum) + wide_t(twice >> 1) + wide_t(twice & 1);  // rounded: a carry
            const bool is_whole = term == u6(terms - 1);
            const i32 fitted = fit32(is_whole && column < columns ? sum : wide_t(0), to_dw, statistics);
            word_t word = zero_word();
            for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
                put32(word, k, k + 1 < kWideLanes ? kept[(k + 1) % kWideLanes] : fitted);
            }
            term = is_whole ? u6(0) : u6(term + 1);
            if (is_whole) {
                for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
                    kept[k] = k + 1 < kWideLanes ? kept[(k + 1) % kWideLanes] : fitted;
                }
                column = column == i16(kWideLanes * words - 1) ? i16(0) : i16(column + 1);
                const bool is_full = lane == kWideLanes - 1;
                lane = is_full ? u6(0) : u6(lane + 1);
                if (is_full) {
                    write_word<2>(mem2, address + unsigned(natural<13>(unsigned(w))), word);
                    w = i16(w + 1);
                    place = i16(place + 1);
                }
            }
        }
        address += unsigned(dw.pitch);
    }
}

}  // namespace peelvit

// From sums to elements: the two kinds of queries at their common fraction, the scale, rounding. A word a cycle, or half
// a word where both kinds meet: a pass over queries takes longer anyway.
#pragma once

#include "multiply.hpp"

namespace peelvit {

constexpr int kRoundDepth = 16;
constexpr int kBothLanes = kLanes / 2;  // elements a cycle that are sums over both kinds of queries

// Rounded rows of a half of the lanes: `row * kHeadWords + word`.
using HalfSums = word_t[kHalfRows * kHeadWords];

// By third of qkv (y counts as q) and kind of row.
using RowStatistics = Statistics[3][2];

constexpr int kGatheredBits = 40;  // of a sum; moved so far to the right, nothing of it is left

// How sums over both kinds of queries meet at their common fraction: the coarser one moves left (or stays), the finer
// one right. Without patch queries their sum is 0 however it moves, and the class query's part stays.
struct Meeting {
    bool class_is_finer;
    i18 factor;  // a left shift as a product, which takes two multipliers instead of a shifter
    int right;
};

inline Meeting meeting_of(const int (&shift)[2]) {
#pragma HLS inline
    Meeting by;
    const int of_class = narrow<10>(shift[kClassQuery]);
    const int of_patches = narrow<10>(shift[kPatchQuery]);
    by.class_is_finer = of_class > of_patches;
    by.right = smaller(larger(by.class_is_finer ? of_class : of_patches, 0), kGatheredBits);
    const int left = smaller(larger(by.class_is_finer ? -of_patches : -of_class, 0), kMaxSegmentSpread);
    by.factor = i18(1 << natural<5>(unsigned(left)));
    return by;
}

// Sums of queries pass as they are: those of patches, with nothing from the class query.
inline Meeting no_meeting() {
    Meeting by;
    by.class_is_finer = false;
    by.right = 0;
    by.factor = 1;
    return by;
}

inline i56 both_kinds(gathered_t patches, i32 from_class, const Meeting& by) {
#pragma HLS inline
    const gathered_t finer = by.class_is_finer ? gathered_t(from_class) : patches;
    const wide_t near = wide_t(wide_t(finer) << 1) >> natural<6>(unsigned(by.right));  // and a bit more, for the half
    const gathered_t coarser = by.class_is_finer ? patches : gathered_t(from_class);
    const wide_t twice = multiply(coarser, by.factor) << 1;
    return i56(wide_t(twice + near + 1) >> 1);
}

inline void round_sums(const AttentionJob& job, const Block& block, const Sums& sums, HalfSums& rows0, HalfSums& rows1,
                       RowStatistics& statistics) {
#pragma HLS inline off
    const bool is_out = block.out_pass != kNoPass;
    const int pass = is_out ? block.out_pass : block.pass;
    const int first = short_of(is_out ? block.out_first : block.first);
    const bool outer = is_outer(pass);
    const int words = narrow<6>(job.head_words);
    const int length = short_product(sum_rows(job, block), words) * (outer ? 2 : 1);
    // Backward, patch rows without a query have no gradient.
    const int with_sum = outer ? int(kQueryBlock) : block_queries(job, first);
    const int class_row = outer || job.queries == 1 ? -first : class_place(job, first);
    const int part = pass == kValueGradients ? 2 : (pass == kKeyGradients ? 1 : 0);
    const Meeting by = outer ? meeting_of(pass == kKeyGradients ? job.dkey_shift : job.dvalue_shift) : no_meeting();
    const bool is_scaled = pass == kQueryGradients || pass == kKeyGradients;
    const u17 scale = u17(is_scaled ? job.scale : 1);
    FitWide to[2];
    Statistics seen[2];
#pragma HLS array_partition variable = to type = complete
#pragma HLS array_partition variable = seen type = complete
round_kinds:
    for (int kind = 0; kind < 2; ++kind) {  // one after the other: they share what they take
#pragma HLS pipeline off
        int fraction = fraction_of(job.f_probability) + fraction_of(job.f_qkv);
        int f_to = fraction_of(job.f_out[kind]);
        if (pass == kQueryGradients)
            fraction = fraction_of(job.f_dscore[kind]) + fraction_of(job.f_qkv) + job.gradient_shift;
        if (pass == kKeyGradients) {
            fraction = job.dkey_fraction;
            f_to = fraction_of(job.f_dkey[kind]);
        }
        if (pass == kValueGradients) {
            fraction = job.dvalue_fraction;
            f_to = fraction_of(job.f_dvalue[kind]);
        }
        to[kind] = fit_wide_of(fraction - f_to);
        seen[kind] = no_statistics();
    }
    place_t row = 0;
    place_t w = 0;
    bool is_rest = false;
    i16 held[kBothLanes];  // the first half of a word
#pragma HLS array_partition variable = held type = complete
round_words:
    for (int n = 0; n < length; ++n) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(n == 0, 1, kRoundDepth);
        const int r = narrow<6>(row);
        const int at = narrow<6>(w);
        const int kind = r == class_row ? kClassQuery : kPatchQuery;
        const int part = kSumParts * r + (at < kSumWords ? 0 : 1);
        const int from = kLanes * (at < kSumWords ? at : at - kSumWords);
        const i16 class_weight = outer ? sums.class_weight[r] : i16(0);
        const word_t class_word = sums.class_row[at];
        const u17 by_row = r < with_sum ? scale : u17(0);
        const u17 by_later = outer ? u17(0) : by_row;
        i16 result[kLanes];
#pragma HLS array_partition variable = result type = complete
        Statistics now = no_statistics();
        for (int i = 0; i < kBothLanes; ++i) {
#pragma HLS unroll
            const gathered_t first = sums.part[part][from + i];
            const gathered_t later = sums.part[part][from + kBothLanes + i];
            const i16 of_class = is_rest ? get16(class_word, kBothLanes + i) : get16(class_word, i);
            const i32 from_class = i32(product(class_weight, of_class));
            const i56 both = both_kinds(is_rest ? later : first, from_class, by);
            result[i] = fit16(multiply(both, by_row), to[kind], now);
            result[kBothLanes + i] = fit16(multiply(later, by_later), to[kind], now);
        }
        seen[kind] = merged(seen[kind], now);
        word_t word = zero_word();
        for (int i = 0; i < kBothLanes; ++i) {
#pragma HLS unroll
            if (!is_rest) held[i] = result[i];
            put16(word, i, held[i]);
            put16(word, kBothLanes + i, outer ? result[i] : result[kBothLanes + i]);
        }
        is_rest = outer && !is_rest;
        if (!is_rest) {
            const int group = r < kLaneCount ? 0 : 1;
            const int lane = r - group * kLaneCount;
            if (lane < kHalf)
                rows0[(group * kHalf + lane) * kHeadWords + at] = word;
            else
                rows1[(group * kHalf + lane - kHalf) * kHeadWords + at] = word;
            w = at + 1;
            if (w == words) {
                w = 0;
                row = r + 1;
            }
        }
    }
round_statistics:
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS pipeline off
        statistics[part][kind] = merged(statistics[part][kind], seen[kind]);
    }
}

}  // namespace peelvit

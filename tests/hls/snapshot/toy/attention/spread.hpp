// From the ports' halves to the lanes of the multipliers: weights by position, and the tokens of listed keys. For sums
// over queries, which go tile by tile over all tokens, a listed query's weights are moved to the places of their tokens.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kSpreadDepth = 6;

// By lane: `group * kTokenWords + word`, and place in the word.
using LaneWeights = i16[kLaneCount][kBlockWords16][kLanes];
using LaneTokens = token_t[kLaneCount][kBlockWords16][kLanes];

// Whether a listed entry counts: its token is above those of all entries before it.
inline bool rises(int step, int token, int highest) { return step == 0 || token > narrow<9>(highest); }

// Word `n` of a port's lanes as it is, or zeros to be filled.
template <int kPort>
inline void pass_word(const LoadedRows& from, int n, bool scatters, LaneWeights& weights, LaneTokens& tokens) {
#pragma HLS inline
    for (int i = 0; i < kHalf; ++i) {
#pragma HLS unroll
        for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
            weights[kPort * kHalf + i][n][k] = scatters ? i16(0) : get16(from.matrix[i][n], k);
            tokens[kPort * kHalf + i][n][k] = from.list[i][n][k];
        }
    }
}

// The entry of a port's lanes at a step, to the place of its token.
template <int kPort>
inline void scatter_entry(const AttentionJob& job, int first, const LoadedRows& from, const GroupWalk& at,
                          int (&highest)[kHalf], LaneWeights& weights) {
#pragma HLS inline
    const int step = narrow<9>(at.step);
    const int words = narrow<3>(at.group) * kTokenWords;
    const int entry = step - 1;
    const int place = class_place(job, first) - narrow<3>(at.group) * kLaneCount;  // of the class query
    for (int i = 0; i < kHalf; ++i) {
#pragma HLS unroll
        const int lane = kPort * kHalf + i;
        const bool is_class = lane == place;
        const bool exists = lane <= place && step < narrow<10>(is_class ? job.class_keys : job.patch_keys);
        const bool listed = !is_class && step > 0;
        const int token = listed ? int(from.list[i][words + entry / kLanes][entry % kLanes]) : step;
        if (exists && rises(step, token, highest[i])) {
            weights[lane][words + token / kLanes][token % kLanes] =
                get16(from.matrix[i][words + step / kLanes], step % kLanes);
            highest[i] = token;
        }
    }
}

inline void spread(const AttentionJob& job, const Block& block, const LoadedRows& rows0, const LoadedRows& rows1,
                   LaneWeights& weights, LaneTokens& tokens) {
#pragma HLS inline off
    const bool any = block_queries(job, block.first) > 0;
    const bool scatters = job.sparse && is_outer(block.pass);
    const int used = (kGroups - 1) * kTokenWords + narrow<7>(words16(job.class_keys));
    const int words = any && (job.sparse || block.pass != kScores) ? used : 0;
spread_words:
    for (int n = 0; n < words; ++n) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(n == 0, 1, 2);
        pass_word<0>(rows0, n, scatters, weights, tokens);
        pass_word<1>(rows1, n, scatters, weights, tokens);
    }
    const int steps = scatters ? block_steps(job, block.first) : 0;
    GroupWalk at = first_group(job, block.first, false);
    int highest[2][kHalf];
#pragma HLS array_partition variable = highest type = complete dim = 0
scatter_entries:
    for (int n = 0; n < steps; ++n) {
#pragma HLS loop_tripcount max = 162
        PIPELINE(n == 0, 1, kSpreadDepth);
        scatter_entry<0>(job, block.first, rows0, at, highest[0], weights);
        scatter_entry<1>(job, block.first, rows1, at, highest[1], weights);
        advance(job, block.first, false, at);
    }
}

}  // namespace peelvit

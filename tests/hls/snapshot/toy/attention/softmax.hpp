// Softmax over the keys of each query, and the gradients of the scores.
#pragma once

#include "../fixed.hpp"
#include "../functions.hpp"
#include "job.hpp"

namespace peelvit {

constexpr int kExponentialDepth = 16;
constexpr int kDividerDepth = 54;

inline void exponentials(const AttentionJob& job, int first, const acc_t (&score)[kBlockSteps][kPoolLanes],
                         const acc_t (&largest)[kQueryBlock], u32 (&exponential_of)[kBlockSteps][kPoolLanes],
                         wide_t (&sum)[kQueryBlock]) {
    const int length = walk_length(job, first);
    Walk walk = walk_query(job, first, 0);
    wide_t total = 0;
exponentials:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 328
        PIPELINE(c == 0, 1, kExponentialDepth);
        wide_t here = 0;
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            wide_t e = 0;
            if (walk.step * kPoolLanes + lane < walk.keys) {
                const wide_t distance = wide_t(largest[walk.query]) - wide_t(score[walk_entry(walk)][lane]);
                e = exponential(distance, 2 * job.f_qkv, job.scale);
            }
            exponential_of[walk_entry(walk)][lane] = u32(e);
            here += e;
        }
        total = walk.step == 0 ? here : wide_t(total + here);
        sum[walk.query] = total;
        walk = walk_on(job, first, walk);
    }
}

inline void reciprocals(const AttentionJob& job, int first, const wide_t (&sum)[kQueryBlock],
                        u32 (&inverse)[kQueryBlock]) {
    const int queries = block_queries(job, first);
reciprocals:
    for (int i = 0; i < queries; ++i) {
#pragma HLS loop_tripcount max = 8
        PIPELINE(i == 0, 1, kDividerDepth);
        inverse[i] = u32(reciprocal(sum[i]));  // at most 2^28
    }
}

// Probabilities, zero where a query has no key; backward also each query's sum of p dp. dp is handed on.
inline void probabilities(const AttentionJob& job, int first, const u32 (&exponential_of)[kBlockSteps][kPoolLanes],
                          const u32 (&inverse)[kQueryBlock], const acc_t (&dp)[kBlockSteps][kPoolLanes],
                          i16 (&probability)[kBlockSteps][kPoolLanes], acc_t (&dp_on)[kBlockSteps][kPoolLanes],
                          wide_t (&p_dp)[kQueryBlock], Statistics& statistics) {
    const int length = walk_length(job, first);
    const int shift = kProbabilityBits - job.f_probability;
    Walk walk = walk_query(job, first, 0);
    wide_t total = 0;
probabilities:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 328
        PIPELINE(c == 0, 1, kStoreDepth);
        wide_t here = 0;
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            i16 p = 0;
            if (walk.step * kPoolLanes + lane < walk.keys)
                p = i16(store(wide_t(exponential_of[walk_entry(walk)][lane]) * wide_t(inverse[walk.query]), shift, 16,
                              statistics));
            probability[walk_entry(walk)][lane] = p;
            if (job.backward) {
                const wide_t gradient = dp[walk_entry(walk)][lane];
                here += wide_t(p) * gradient;
                dp_on[walk_entry(walk)][lane] = gradient;
            }
        }
        total = walk.step == 0 ? here : wide_t(total + here);
        p_dp[walk.query] = total;
        walk = walk_on(job, first, walk);
    }
}

// Gradients of the scores. Probabilities are handed on, to the sums and to the map.
inline void score_gradients(const AttentionJob& job, int first, const i16 (&probability)[kBlockSteps][kPoolLanes],
                            const acc_t (&dp)[kBlockSteps][kPoolLanes], const wide_t (&p_dp)[kQueryBlock],
                            i16 (&for_sums)[kBlockSteps][kPoolLanes], i16 (&for_map)[kBlockSteps][kPoolLanes],
                            i16 (&dscore)[kBlockSteps][kPoolLanes], Statistics (&statistics)[2]) {
    const int length = walk_length(job, first);
    Walk walk = walk_query(job, first, 0);
score_gradients:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 328
        PIPELINE(c == 0, 1, kStoreDepth);
        const int kind = query_kind(job, first + walk.query);
        const int fraction = job.f_probability + job.f_dy[kind] + job.f_qkv;
        const wide_t mean = round_shift(p_dp[walk.query], job.f_probability);
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            const i16 p = probability[walk_entry(walk)][lane];
            for_sums[walk_entry(walk)][lane] = p;
            for_map[walk_entry(walk)][lane] = p;
            if (job.backward) {
                i16 ds = 0;
                if (walk.step * kPoolLanes + lane < walk.keys) {
                    const wide_t difference = wide_t(dp[walk_entry(walk)][lane]) - mean;
                    ds = i16(store(wide_t(p) * difference, fraction - job.f_dscore[kind], 16, statistics[kind]));
                }
                dscore[walk_entry(walk)][lane] = ds;
            }
        }
        walk = walk_on(job, first, walk);
    }
}

}  // namespace peelvit

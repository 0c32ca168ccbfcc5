// Between the dot products and what is stored, by step and lane: softmax over the keys of each query, and its gradient.
//
//                  terms               divide                       values
//   forward        e = exp(s - max)    1 / sum e                    p = round(e / sum)
//   backward       p dp                m = round(sum p dp)          ds = round(p (dp - m))
#pragma once

#include "../functions.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kTermDepth = 16;
constexpr int kDividerDepth = 20;

// By step and lane: exponentials, or dp with the probabilities.
struct Terms {
    acc_t value[kBlockSteps][kLaneCount];
    i16 weight[kBlockSteps][kLaneCount];
};

inline void terms(const AttentionJob& job, int pass, int first, const Products& products, Terms& to,
                  wide_t (&sum)[kGroups][kLaneCount]) {
#pragma HLS inline off
    const int length = is_dot(pass) ? block_steps(job, first) : 0;
    GroupWalk at = first_group(job, first);
    wide_t total[kLaneCount];
#pragma HLS array_partition variable = total type = complete
terms:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 162
        PIPELINE(c == 0, 1, kTermDepth);
        const int entry = at.group * kMaxTokens + at.step;
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            const i16 weight = products.weight[entry][lane];
            const acc_t value = products.value[entry][lane];
            wide_t term = 0;
            acc_t on = value;
            if (pass == kScoreGradients) {
                term = wide_t(weight) * wide_t(value);
            } else {
                if (weight != 0)
                    term = exponential(wide_t(products.largest[at.group][lane]) - wide_t(value), 2 * job.f_qkv,
                                       job.scale);
                on = acc_t(term);
            }
            to.value[entry][lane] = on;
            to.weight[entry][lane] = weight;
            total[lane] = at.step == 0 ? term : wide_t(total[lane] + term);
            sum[at.group][lane] = total[lane];
        }
        advance(job, first, at);
    }
}

inline void divide(const AttentionJob& job, int pass, int first, const wide_t (&sum)[kGroups][kLaneCount],
                   wide_t (&ratio)[kGroups][kLaneCount]) {
#pragma HLS inline off
    const int queries = is_dot(pass) ? block_queries(job, first) : 0;
divide:
    for (int i = 0; i < queries; ++i) {
#pragma HLS loop_tripcount max = 8
        PIPELINE(i == 0, 1, kDividerDepth);
        const wide_t total = sum[i / kLaneCount][i % kLaneCount];
        wide_t result = round_shift(total, job.f_probability);
        if (pass == kScores) result = reciprocal(total);
        ratio[i / kLaneCount][i % kLaneCount] = result;
    }
}

inline void values(const AttentionJob& job, int pass, int first, const Terms& from,
                   const wide_t (&ratio)[kGroups][kLaneCount], LaneWords& rows,
                   i16 (&for_map)[kBlockSteps][kLaneCount], Statistics& probability, Statistics (&dscore)[2]) {
#pragma HLS inline off
    const int length = is_dot(pass) ? block_steps(job, first) : 0;
    GroupWalk at = first_group(job, first);
    word_t word[kLaneCount];
#pragma HLS array_partition variable = word type = complete
values:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 162
        PIPELINE(c == 0, 1, kStoreDepth);
        const int entry = at.group * kMaxTokens + at.step;
        const int lane_of_word = at.step % kLanes;
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            const int index = first + at.group * kLaneCount + lane;
            const int kind = query_kind(job, index);
            const wide_t value = from.value[entry][lane];
            i16 result = 0;
            if (index < job.queries) {
                const wide_t weight = from.weight[entry][lane];
                const wide_t by = ratio[at.group][lane];
                if (pass == kScores) {
                    result = i16(store(probability_of(value, by), kProbabilityBits - job.f_probability, 16, probability));
                } else {
                    const int fraction = job.f_probability + job.f_dy[kind] + job.f_qkv;
                    const wide_t difference = value - by;
                    result = i16(store(weight * difference, fraction - job.f_dscore[kind], 16, dscore[kind]));
                }
            }
            if (lane_of_word == 0) word[lane] = zero_word();
            put16(word[lane], lane_of_word, result);
            rows[lane_port(lane)][at.group * kTokenWords + at.step / kLanes][lane_place(lane)] = word[lane];
            for_map[entry][lane] = result;
        }
        advance(job, first, at);
    }
}

}  // namespace peelvit

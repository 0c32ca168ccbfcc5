// Between the dot products and what is stored, by step and lane: softmax over the keys of each query, and its gradient.
//
//                  terms               divide                       values
//   forward        e = exp(s - max)    1 / sum e                    p = round(e / sum), as round(e (0 - -1 / sum))
//   backward       p dp                m = round(sum p dp)          ds = round(p (dp - m))
#pragma once

#include "../functions.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kTermDepth = 16;
constexpr int kDividerDepth = 20;
constexpr int kStoreDepth = 10;
constexpr int kDivideTurn = kQueryBlock > 16 ? kQueryBlock : 16;  // queries, and more than the cycles of a few bits
constexpr int kMeanBits = 38;  // of m, which no sum of probabilities that is about one exceeds

// By step and lane: exponentials, or dp with the probabilities.
struct Terms {
    dot_t value[kBlockSteps][kLaneCount];
    i16 weight[kBlockSteps][kLaneCount];
};

inline void terms(const AttentionJob& job, const Block& block, const Products& products, Terms& to,
                  wide_t (&sum)[kGroups][kLaneCount]) {
#pragma HLS inline off
    const int length = is_dot(block.pass) ? block_steps(job, block.first) : 0;
    const Distance unit = distance_unit(2 * job.f_qkv);
    GroupWalk at = first_group(job, block.first, false);
    wide_t total[kLaneCount];
#pragma HLS array_partition variable = total type = complete
terms:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 162
        PIPELINE(c == 0, 1, kTermDepth);
        const int group = narrow<3>(at.group);
        const int step = narrow<10>(at.step);
        const int entry = group * kGroupSteps + step;
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            const i16 weight = products.weight[entry][lane];
            const dot_t value = products.value[entry][lane];
            const bool of_gradients = block.pass == kScoreGradients;
            wide_t term = 0;
            if (of_gradients) {
                term = multiply(weight, value);
            } else {
                const wide_t distance = wide_t(products.largest[group][lane]) - wide_t(value);
                if (weight != 0) term = exponential_of(distance_q16(u38(distance), unit), job.scale);
            }
            to.value[entry][lane] = of_gradients ? value : dot_t(narrow<22>(int(term)));
            to.weight[entry][lane] = weight;
            total[lane] = (step == 0 ? wide_t(0) : total[lane]) + term;
            sum[group][lane] = total[lane];
        }
        advance(job, block.first, false, at);
    }
}

// Long division of all queries of a block in turn, a few bits of each at a time: a query's next bits come when the last
// ones are long there. A mean takes one turn.
inline void divide(const AttentionJob& job, const Block& block, const wide_t (&sum)[kGroups][kLaneCount],
                   dot_t (&ratio)[kGroups][kLaneCount]) {
#pragma HLS inline off
    const int queries = is_dot(block.pass) ? block_queries(job, block.first) : 0;
    const bool reciprocals = block.pass == kScores;
    const int turns = queries == 0 ? 0 : (reciprocals ? int(kDivideTurns) : 1);
    Division division[kDivideTurn];
#pragma HLS bind_storage variable = division type = ram_2p impl = lutram
    int turn = 0;
    int i = 0;
divide:
    for (int n = 0; n < turns * kDivideTurn; ++n) {
#pragma HLS loop_tripcount max = 128
        PIPELINE(n == 0, 1, kDividerDepth);
#pragma HLS dependence variable = division type = inter dependent = false
        const int query = natural<5>(unsigned(i));
        if (query < queries) {
            const wide_t total = sum[query / kLaneCount][query % kLaneCount];
            Division now;
            if (turn == 0)
                open(now);
            else
                now = division[query];
            divide_bits(u34(total), now);
            division[query] = now;
            const wide_t mean = saturate(round_shift(total, fraction_of(job.f_probability)), kMeanBits);
            ratio[query / kLaneCount][query % kLaneCount] = reciprocals ? dot_t(-wide_t(now.quotient)) : dot_t(mean);
        }
        i = query + 1;
        if (i == kDivideTurn) {
            i = 0;
            turn = narrow<5>(turn) + 1;
        }
    }
}

// Words of rows over keys, of a half of the lanes: `row * kTokenWords + word`.
using HalfRows = word_t[kHalfRows * kTokenWords];

inline void values(const AttentionJob& job, const Block& block, const Terms& from,
                   const dot_t (&ratio)[kGroups][kLaneCount], HalfRows& rows0, HalfRows& rows1,
                   i16 (&for_map)[kBlockSteps][kLaneCount], Statistics (&statistics)[2]) {
#pragma HLS inline off
    const bool any = is_dot(block.pass) && block_queries(job, block.first) > 0;
    GroupWalk at = first_group(job, block.first, true);
    int length = any ? int(kHalf) : 0;
value_groups:
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS pipeline off
        if (any) length += walked_steps(job, block.first, group, true);
    }
    const bool scores = block.pass == kScores;
    const int class_at = class_place(job, block.first);
    const int last_at = last_place(job, block.first);
    const int f_probability = fraction_of(job.f_probability);
    FitWide by[2];
    Statistics seen[2];
#pragma HLS array_partition variable = by type = complete
#pragma HLS array_partition variable = seen type = complete
value_kinds:
    for (int kind = 0; kind < 2; ++kind) {  // one after the other: they share what they take
#pragma HLS pipeline off
        const int shift = fraction_of(job.f_dy[kind]) + fraction_of(job.f_qkv) - fraction_of(job.f_dscore[kind]);
        by[kind] = fit_wide_of(scores ? kProbabilityBits - f_probability : f_probability + shift);
        seen[kind] = no_statistics();
    }
    i16 line[kLaneCount][kLanes];
    word_t full[2][kHalf];  // leaves word by word while the next ones are filled, a lane of each half a cycle
#pragma HLS array_partition variable = line type = complete dim = 0
#pragma HLS array_partition variable = full type = complete dim = 0
    place_t left = kHalf;
    place_t full_word = 0;
    place_t full_row = 0;
values:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 166
        PIPELINE(c == 0, 1, kStoreDepth);
        const int group = narrow<3>(at.group);
        const int step = natural<9>(unsigned(int(at.step)));
        if (left < kHalf) {
            const int place = (full_row + narrow<4>(left)) * kTokenWords + full_word;
            rows0[place] = full[0][narrow<4>(left)];
            rows1[place] = full[1][narrow<4>(left)];
            left = narrow<4>(left) + 1;
        }
        if (group < kGroups) {
            const int entry = group * kGroupSteps + step;
            const int place = step % kLanes;
            const int class_lane = class_at - group * kLaneCount;
            const int last_lane = last_at - group * kLaneCount;
            Statistics now = no_statistics();  // of patch queries
            Statistics one[kLaneCount];
#pragma HLS array_partition variable = one type = complete
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                const bool is_class = lane == class_lane;
                const dot_t value = from.value[entry][lane];
                const bool exists = lane <= last_lane && step < group_steps(job, block.first, group);
                const int weight = scores ? narrow<22>(int(value)) : int(from.weight[entry][lane]);
                const i40 factor = i40(wide_t(scores ? dot_t(0) : value) - wide_t(ratio[group][lane]));
                const wide_t product = multiply(i27(exists ? weight : 0), factor);
                one[lane] = no_statistics();
                const i16 result = fit16(i56(product), by[is_class ? kClassQuery : kPatchQuery], one[lane]);
                if (!is_class) now = merged(now, one[lane]);
                for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
                    if (place == 0) line[lane][k] = 0;
                }
                line[lane][place] = result;
                for_map[entry][lane] = result;
            }
            seen[kPatchQuery] = merged(seen[kPatchQuery], now);
            if (class_lane >= 0 && class_lane < kLaneCount)
                seen[kClassQuery] = merged(seen[kClassQuery], one[natural<4>(unsigned(class_lane)) % kLaneCount]);
            if (place == kLanes - 1 || step + 1 == at.steps) {
                for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                    for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
                        put16(full[lane / kHalf][lane % kHalf], k, line[lane][k]);
                    }
                }
                full_row = group * kHalf;
                full_word = step / kLanes;
                left = 0;
            }
            advance(job, block.first, true, at);
        }
    }
value_statistics:
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS pipeline off
        statistics[kind] = merged(statistics[kind], seen[kind]);
    }
}

}  // namespace peelvit

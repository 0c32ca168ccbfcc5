// The multipliers of the attention unit: kLaneCount lanes of kMaxHeadDim cells, one multiply-accumulate each a cycle.
//
//   dot products     lane = query: the lane's row of q or dy times the row of its key at this step       scores, dp
//   gathered sums    lane = query: + weight of the step times the row of its key                         y, dq
//   outer products   lane = key of a tile: + weight of (query, key) times the row of the query           dv, dk
//
// Rows of keys or values of one head are on chip in a copy for each lane, so a listed key costs what a dense one does;
// they are double buffered, and the next head's rows come in while this one's are read.
#pragma once

#include "../fixed.hpp"
#include "spread.hpp"

namespace peelvit {

constexpr int kMultiplyDepth16 = 14;

// What leaves the multipliers for the softmax: by step and lane.
struct Products {
    acc_t value[kBlockSteps][kLaneCount];
    i16 weight[kBlockSteps][kLaneCount];  // scores: whether the key counts; gradients: its probability
    acc_t largest[kGroups][kLaneCount];
};

// Finished sums: by half of the lanes and place in it, queries of the block or all keys of the head.
struct Sums {
    acc_t row[2][kHalfTiles][kMaxHeadDim];
    i16 class_weight[kMaxTokens];  // the class query's part of dk or dv has a fraction of its own
    word_t class_row[kHeadWords];
};

inline acc_t dot(const factor_t (&vector)[kMaxHeadDim], const word_t (&row)[kHeadWords]) {
#pragma HLS inline
    acc_t sum = 0;
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
            sum += product(vector[kLanes * w + i], get16(row[w], i));
        }
    }
    return sum;
}

inline void add_product(acc_t (&acc)[kMaxHeadDim], bool opens, factor_t weight, const word_t (&row)[kHeadWords]) {
#pragma HLS inline
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
            const acc_t before = opens ? acc_t(0) : acc[kLanes * w + i];
            acc[kLanes * w + i] = before + product(weight, get16(row[w], i));
        }
    }
}

// A sweep is a group of queries (their keys step by step) or a tile of keys (the block's patch queries step by step).
struct Sweep {
    int index;
    int step;
    int steps;
};

// Steps of a sweep: sums need enough of them for the sweep before to drain.
inline int sweep_steps(const AttentionJob& job, int pass, int first, int index) {
#pragma HLS inline
    if (is_dot(pass)) return group_steps(job, first, index);
    if (is_outer(pass)) return larger(block_patch_queries(job, first), kLaneCount);
    return larger(group_steps(job, first, index), kLaneCount);
}

inline int all_steps(const AttentionJob& job, int pass, int first) {
#pragma HLS inline
    if (block_queries(job, first) == 0) return 0;
    const int tiles = (job.tokens + kLaneCount - 1) / kLaneCount;
    if (is_outer(pass)) return tiles * sweep_steps(job, pass, first, 0) + kLaneCount;
    if (is_dot(pass)) return block_steps(job, first);
    int steps = kLaneCount;
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS unroll
        if (group < block_groups(job, first)) steps += sweep_steps(job, pass, first, group);
    }
    return steps;
}

inline void multiply(const AttentionJob& job, int pass, int first, int buffer, int next_part,
                     const word_t (&own)[kGroups][kLaneCount][kHeadWords],
                     const word_t (&matrix)[kBlockWords16][kLaneCount], const word_t (&list)[kBlockWords16][kLaneCount],
                     const SpreadRows& weights, const word_t (&vectors)[kQueryBlock][kHeadWords],
                     const word_t (&next_rows)[kQueryBlock][kHeadWords], word_t (&kept)[2 * kMaxTokens][kHeadWords],
                     acc_t (&gradient)[kKeyTiles * kLaneCount][kMaxHeadDim], Products& products,
                     i16 (&token_of)[kBlockSteps][kLaneCount], Sums& sums) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 128
    const bool dots = is_dot(pass);
    const bool outer = is_outer(pass);
    const bool closes = has_class_query(job, first);
    const int sweeps =
        block_queries(job, first) == 0
            ? 0
            : (outer ? (job.tokens + kLaneCount - 1) / kLaneCount : block_groups(job, first));
    const int patch_queries = block_patch_queries(job, first);
    const int kept_rows = next_part != 0 ? block_tokens(job, first) : 0;
    const int length = larger(all_steps(job, pass, first), kept_rows);
    factor_t vector[kLaneCount][kMaxHeadDim];
    acc_t acc[kLaneCount][kMaxHeadDim];
    acc_t done[kLaneCount][kMaxHeadDim];  // drains row by row while the next sweep accumulates
    acc_t most[kLaneCount];
    int highest[kLaneCount];
#pragma HLS array_partition variable = vector type = complete dim = 0
#pragma HLS array_partition variable = acc type = complete dim = 0
#pragma HLS array_partition variable = done type = complete dim = 0
#pragma HLS array_partition variable = most type = complete
#pragma HLS array_partition variable = highest type = complete
    Sweep at;
    at.index = 0;
    at.step = 0;
    at.steps = sweep_steps(job, pass, first, 0);
    int done_index = 0;
    int drained = kLaneCount;
    if (outer && closes) {
        const int row = job.queries - 1 - first;
        for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
            sums.class_weight[token] = weights[half_of(row)][place_in_half(row)][token];
        }
        for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
            sums.class_row[w] = vectors[row][w];
        }
    }
multiply_steps:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 172
        PIPELINE(c == 0, 1, kMultiplyDepth16);
#pragma HLS dependence variable = kept type = inter dependent = false
#pragma HLS dependence variable = gradient type = inter dependent = false
        if (c < kept_rows) {
            for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                kept[(1 - buffer) * kMaxTokens + first + c][w] = next_rows[c][w];
            }
        }
        if (drained < kLaneCount) {
            const int row = done_index * kLaneCount + drained;
            for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                acc_t sum = done[drained][d];
                if (outer) {
                    const acc_t before = first == 0 ? acc_t(0) : gradient[row][d];
                    sum += before;
                    gradient[row][d] = sum;
                }
                if (!outer || closes) sums.row[half_of(row)][place_in_half(row)][d] = sum;
            }
            ++drained;
        }
        if (at.index < sweeps) {
            const bool opens = at.step == 0;
            const int word = at.index * kTokenWords;
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                const int index = first + at.index * kLaneCount + lane;
                const bool listed = is_listed(job, index) && at.step > 0;
                const bool exists = index < job.queries && at.step < query_keys(job, index);
                word_t right[kHeadWords];
                factor_t weight = 0;
                if (outer) {
                    const int half = half_of(at.step);
                    const int key = at.index * kLaneCount + lane;
                    if (at.step < patch_queries && key < kMaxTokens)
                        weight = weights[half][place_in_half(at.step)][key];
                    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                        right[w] = at.step < patch_queries ? vectors[at.step][w] : zero_word();
                    }
                } else {
                    int token = smaller(at.step, kMaxTokens - 1);
                    if (listed && exists) {
                        const int entry = at.step - 1;
                        token = entry_token(job, get16(list[word + entry / kLanes][lane], entry % kLanes));
                    }
                    const bool counts = exists && (opens || token > highest[lane]);
                    if (counts) {
                        highest[lane] = token;
                        weight = pass == kScores
                                     ? i16(1)
                                     : get16(matrix[word + at.step / kLanes][lane], at.step % kLanes);
                    }
                    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                        right[w] = kept[buffer * kMaxTokens + (exists ? token : 0)][w];
                    }
                    if (dots) {
                        if (opens) {
                            for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                                for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
                                    vector[lane][kLanes * w + i] =
                                        w < job.head_words ? get16(own[at.index][lane][w], i) : i16(0);
                                }
                            }
                        }
                        const int entry = at.index * kMaxTokens + at.step;
                        const acc_t value = dot(vector[lane], right);
                        if (opens || (counts && value > most[lane])) most[lane] = value;
                        products.value[entry][lane] = value;
                        products.weight[entry][lane] = i16(weight);
                        products.largest[at.index][lane] = most[lane];
                        token_of[entry][lane] = i16(token);
                    }
                }
                if (!dots) add_product(acc[lane], opens, weight, right);
            }
            ++at.step;
            if (at.step == at.steps) {
                for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                    for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                        done[lane][d] = acc[lane][d];
                    }
                }
                done_index = at.index;
                drained = dots ? kLaneCount : 0;
                ++at.index;
                at.step = 0;
                at.steps = sweep_steps(job, pass, first, at.index);
            }
        }
    }
}

}  // namespace peelvit

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

// The class query's part of dk or dv has a fraction of its own: one product, added when the sum is stored.
struct ClassQuery {
    i16 weight[kMaxTokens];
    word_t row[kHeadWords];
};

// Finished sums by port and place in it: of the block's queries, or of as many keys of the head before.
struct Sums {
    acc_t row[kPorts][kPortRows][kMaxHeadDim];
    ClassQuery class_query;
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

// The keys of the head before whose sums leave with this block.
inline int out_rows(const AttentionJob& job, int out_pass, int out_first) {
    return out_pass == kNoPass ? 0 : clamp_to(job.tokens - out_first, kQueryBlock);
}

inline void copy(const ClassQuery& from, ClassQuery& to) {
#pragma HLS inline
    for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
        to.weight[token] = from.weight[token];
    }
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        to.row[w] = from.row[w];
    }
}

inline void multiply(const AttentionJob& job, int pass, int first, int buffer, int next_part, int out_pass,
                     int out_first,
                     const word_t (&own)[kGroups][kLaneCount][kHeadWords],
                     const word_t (&matrix)[kBlockWords16][kLaneCount], const word_t (&list)[kBlockWords16][kLaneCount],
                     const SpreadRows& weights, const QueryVectors& vectors, const NextRows& next_rows,
                     word_t (&kept)[2 * kMaxTokens][kHeadWords], acc_t (&gradient)[2 * kKeyRows][kMaxHeadDim],
                     ClassQuery (&class_query)[2], Products& products, i16 (&token_of)[kBlockSteps][kLaneCount],
                     Sums& sums) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 128
    const bool dots = is_dot(pass);
    const bool outer = is_outer(pass);
    const int sweeps =
        block_queries(job, first) == 0
            ? 0
            : (outer ? (job.tokens + kLaneCount - 1) / kLaneCount : block_groups(job, first));
    const int patch_queries = block_patch_queries(job, first);
    const int kept_rows = next_part != 0 ? block_tokens(job, first) : 0;
    const int leaving = out_rows(job, out_pass, out_first);
    // Rows leave while nothing drains, as in the first sweep.
    const int late = clamp_to(leaving - sweep_steps(job, pass, first, 0), kQueryBlock);
    const int length = larger(all_steps(job, pass, first) + late, kept_rows);
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
    int left = 0;
    copy(class_query[1 - buffer], sums.class_query);
    if (outer && has_class_query(job, first)) {
        const int row = job.queries - 1 - first;
        for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
            class_query[buffer].weight[token] = weights[port_of(row)][place_in_port(row)][token];
        }
        for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
            class_query[buffer].row[w] = vectors[port_of(row)][place_in_port(row)][w];
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
                kept[(1 - buffer) * kMaxTokens + first + c][w] = next_rows[next_port(c)][c - first_next(next_port(c))][w];
            }
        }
        const bool drains = drained < kLaneCount;
        const bool leaves = !drains && left < leaving;
        if (drains || leaves) {
            const int key = drains ? buffer * kKeyRows + done_index * kLaneCount + drained
                                   : (1 - buffer) * kKeyRows + out_first + left;
            const int row = drains ? done_index * kLaneCount + drained : left;
            for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                const acc_t before = drains && (!outer || first == 0) ? acc_t(0) : gradient[key][d];
                const acc_t sum = drains ? acc_t(before + done[drained][d]) : before;
                if (drains && outer)
                    gradient[key][d] = sum;
                else
                    sums.row[port_of(row)][place_in_port(row)][d] = sum;
            }
            if (drains)
                ++drained;
            else
                ++left;
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
#pragma HLS array_partition variable = right type = complete
                factor_t weight = 0;
                if (outer) {
                    const int port = port_of(at.step);
                    const int place = place_in_port(at.step);
                    const int key = at.index * kLaneCount + lane;
                    if (at.step < patch_queries && key < kMaxTokens) weight = weights[port][place][key];
                    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                        right[w] = at.step < patch_queries ? vectors[port][place][w] : zero_word();
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

// The multipliers of the attention unit: kLaneCount lanes of kMaxHeadDim cells, one multiply-accumulate each a cycle.
//
//   dot products     lane = query: the lane's row of q or dy times the row of its key at this step       scores, dp
//   gathered sums    lane = query: + weight of the step times the row of its key                         y, dq
//   outer products   lane = key of a tile: + weight of (query, key) times the row of the query           dv, dk
//
// Weights are in a memory for each query of a group. In outer products a step takes a weight of each query, so that
// every memory is read once: lane `l` is `l` queries ahead of lane 0, and goes on with the group's first query behind
// the last.
//
// Rows of keys or values of one head are on chip in a copy for each lane, so a listed key costs what a dense one does;
// they are double buffered, and the next head's rows come in while this one's are read. Backward rows of queries lie in
// front of them, for outer products: so the right factor always comes from these copies.
#pragma once

#include "../fixed.hpp"
#include "spread.hpp"

namespace peelvit {

constexpr int kMultiplyDepth16 = 14;

// What leaves the multipliers for the softmax: by step and lane.
struct Products {
    dot_t value[kBlockSteps][kLaneCount];
    i16 weight[kBlockSteps][kLaneCount];  // scores: whether the key counts; gradients: its probability
    dot_t largest[kGroups][kLaneCount];
};

// Finished sums: of the block's queries, or of as many keys of the head before. The class query's part of the latter
// has a fraction of its own: one product, added when the sum is stored. A row comes in parts, one a step, since nothing
// waits for it: memories that are half as wide and twice as deep take half the LUTs.
constexpr int kSumParts = 2;  // the second may be shorter
constexpr int kSumWords = (kHeadWords + kSumParts - 1) / kSumParts;
constexpr int kSumLanes = kSumWords * kLanes;

// Sums over queries, by part of a row, for the keys of two heads.
using KeySums = gathered_t[kSumParts * 2 * kKeyRows][kSumLanes];

struct Sums {
    gathered_t part[kSumParts * kQueryBlock][kSumLanes];
    i16 class_weight[kQueryBlock];
    word_t class_row[kHeadWords];
};

// Rows of q or dy of two blocks.
constexpr int kOwnRowCount = 2 * kQueryBlock;
using OwnRows = word_t[kOwnRowCount][kHeadWords];
// Those once more, and resident rows of two heads.
using KeptRows = word_t[kOwnRowCount + 2 * kMaxTokens][kHeadWords];

// What is held of the class query while sums over queries are made: its weights by key, its row; of two heads.
struct ClassQuery {
    i16 weight[2 * kKeyTiles][kLaneCount];
    word_t row[2][kHeadWords];  // of this head and the one before
};

// A sweep is a group of queries (their keys step by step) or a tile of keys (the block's queries step by step). Before
// dot products one sweep brings the first group's rows.
struct Sweep {
    place_t index;
    place_t step;
    place_t steps;
    place_t keys;  // steps of queries' keys
};

constexpr int kDrained = kSumParts * kLaneCount;  // parts of the finished sums
constexpr int kRowSteps = kLaneCount + 1;  // to bring the rows of a group and take them over
static_assert(kDrained == kGroups * kLaneCount, "outer products have a step for each query of a block");

// Steps of a sweep, at least: dot products need enough of them for the rows of the next one, sums for those before to
// drain, part by part. So all queries of a block take part in outer products, if only with zeros.
inline int least_steps(const Block& block) {
#pragma HLS inline
    return is_dot(block.pass) ? int(kRowSteps) : int(kDrained);
}

// Steps of the queries' keys in a sweep.
inline int sweep_keys(const int (&keys)[kGroups], bool outer, int index) {
#pragma HLS inline
    return outer || index < 0 || index >= kGroups ? 0 : narrow<10>(keys[index]);
}

inline int key_tiles(const AttentionJob& job) {
    return (natural<9>(unsigned(job.tokens)) + kLaneCount - 1) / kLaneCount;
}

inline int all_steps(const AttentionJob& job, const Block& block) {
#pragma HLS inline
    if (block_queries(job, block.first) == 0) return 0;
    const int least = least_steps(block);
    if (is_outer(block.pass)) return key_tiles(job) * kDrained + kDrained;
    int steps = least;
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS unroll
        if (group < block_groups(job, block.first)) steps += larger(group_steps(job, block.first, group), least);
    }
    return steps;
}

// Of the first two factors one is zero; so the machine needs 32 bits, where synthesis adds in front of its multiplier.
#ifdef PEELVIT_NATIVE
inline i32 lane_product(factor_t a, factor_t b, i16 right) { return (a + b) * i32(right); }
#else
inline ap_int<33> lane_product(factor_t a, factor_t b, i16 right) { return product(i17(a + b), right); }
#endif

// The sum of a lane's products, which are at most 2^30; three at a time, which one carry chain adds. The machine adds
// them only where the sum is used, hardware always.
inline dot_t sum_of(const i32 (&term)[kMaxHeadDim], bool is_used) {
#pragma HLS inline
    dot_t sum = 0;
#ifdef PEELVIT_NATIVE
    for (int d = 0; is_used && d < kMaxHeadDim; ++d) sum += term[d];
#else
    i33 level0[11];
#pragma HLS array_partition variable = level0 type = complete
    for (int i = 0; i < 11; ++i) {
#pragma HLS unroll
        const dot_t second = 3 * i + 1 < 32 ? dot_t(term[3 * i + 1]) : dot_t(0);
        const dot_t third = 3 * i + 2 < 32 ? dot_t(term[3 * i + 2]) : dot_t(0);
        level0[i] = i33(dot_t(term[3 * i]) + second + third);
    }
    dot_t level1[4];
#pragma HLS array_partition variable = level1 type = complete
    for (int i = 0; i < 4; ++i) {
#pragma HLS unroll
        const dot_t second = 3 * i + 1 < 11 ? dot_t(level0[3 * i + 1]) : dot_t(0);
        const dot_t third = 3 * i + 2 < 11 ? dot_t(level0[3 * i + 2]) : dot_t(0);
        level1[i] = dot_t(dot_t(level0[3 * i]) + second + third);
    }
    dot_t level2[2];
#pragma HLS array_partition variable = level2 type = complete
    for (int i = 0; i < 2; ++i) {
#pragma HLS unroll
        const dot_t second = 3 * i + 1 < 4 ? dot_t(level1[3 * i + 1]) : dot_t(0);
        const dot_t third = 3 * i + 2 < 4 ? dot_t(level1[3 * i + 2]) : dot_t(0);
        level2[i] = dot_t(dot_t(level1[3 * i]) + second + third);
    }
    dot_t level3[1];
#pragma HLS array_partition variable = level3 type = complete
    for (int i = 0; i < 1; ++i) {
#pragma HLS unroll
        const dot_t second = 3 * i + 1 < 2 ? dot_t(level2[3 * i + 1]) : dot_t(0);
        const dot_t third = 3 * i + 2 < 2 ? dot_t(level2[3 * i + 2]) : dot_t(0);
        level3[i] = dot_t(dot_t(level2[3 * i]) + second + third);
    }
    sum = level3[0];
#endif
    return sum;
}
static_assert(kMaxHeadDim <= 81, "four levels of three");

// A place in a group, behind whose last one the first one comes again.
constexpr bool kIsPower = (kLaneCount & (kLaneCount - 1)) == 0;
inline int around(int place) {
    const int in_two = natural<6>(unsigned(place));
    return kIsPower ? in_two % kLaneCount : (in_two < kLaneCount ? in_two : in_two - kLaneCount);
}
static_assert(kLaneCount <= 32, "a place in two groups has six bits");

// Where a port's next word belongs. The second port starts a step behind the first, so that they are never at the same
// word.
struct Arrival {
    bool is_next;  // a row of what the next head keeps
    place_t row, word;
    place_t count;  // words taken
};

inline bool waits(int c, int port) { return port == 1 && c == 0; }

inline Arrival first_arrival(const Block& block, int port) {
#pragma HLS inline
    Arrival at;
    at.is_next = block.own_rows <= port;
    at.row = port;
    at.word = port == 1 ? int(kHeadWords) - 1 : 0;
    at.count = 0;
    return at;
}

// Steps in which rows come in.
inline int arriving_steps(const Block& block) {
#pragma HLS inline
    const int rows = through(block.own_rows, 0) + through(block.next_rows, 0);
    return rows > 0 ? rows * kHeadWords + 1 : 0;
}

// Where a head's half of the resident rows begins.
inline int half_of(bool buffer) { return kOwnRowCount + (buffer ? int(kMaxTokens) : 0); }

// Rows that come in, word by word, to the other half of the own rows, and of those kept.
inline void take_rows(const AttentionJob& job, const Block& block, int c, const ComingWords& coming0,
                      const ComingWords& coming1, Arrival (&at)[kAttentionPorts], KeptRows& kept, OwnRows& own) {
#pragma HLS inline
    bool brings[kAttentionPorts];
    word_t word[kAttentionPorts];
    int place[kAttentionPorts];
#pragma HLS array_partition variable = brings type = complete
#pragma HLS array_partition variable = word type = complete
#pragma HLS array_partition variable = place type = complete
    const int own_place = block.parity ? 0 : int(kQueryBlock);
    const int next_place = half_of(!block.buffer) + narrow<10>(block.next_first);
    for (int port = 0; port < kAttentionPorts; ++port) {
#pragma HLS unroll
        const int row = narrow<9>(at[port].row);
        const bool exists = at[port].is_next ? row < block.next_rows : row < block.own_rows;
        brings[port] = exists && !waits(c, port);
        word[port] = zero_word();  // behind a head's dimensions
        if (brings[port] && at[port].word < job.head_words) {
            const int count = narrow<11>(at[port].count);
            word[port] = port == 0 ? coming0[count] : coming1[count];
            at[port].count = count + 1;
        }
        place[port] = (at[port].is_next ? next_place : own_place) + row;
    }
    bool takes[kHeadWords], is_next[kHeadWords];
    int to[kHeadWords];
    word_t taken[kHeadWords];
#pragma HLS array_partition variable = takes type = complete
#pragma HLS array_partition variable = is_next type = complete
#pragma HLS array_partition variable = to type = complete
#pragma HLS array_partition variable = taken type = complete
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        const bool first = brings[0] && at[0].word == w;
        const bool second = brings[1] && at[1].word == w;
        takes[w] = first || second;
        is_next[w] = first ? at[0].is_next : at[1].is_next;
        to[w] = first ? place[0] : place[1];
        taken[w] = first ? word[0] : word[1];
    }
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        if (takes[w] && (is_next[w] || job.backward)) kept[to[w]][w] = taken[w];
        if (takes[w] && !is_next[w]) own[narrow<7>(to[w])][w] = taken[w];
    }
    for (int port = 0; port < kAttentionPorts; ++port) {
#pragma HLS unroll
        at[port].word = narrow<6>(at[port].word) + 1;
        if (at[port].word == kHeadWords) {
            at[port].word = 0;
            if (!waits(c, port)) at[port].row = narrow<9>(at[port].row) + kAttentionPorts;
            if (!at[port].is_next && at[port].row >= block.own_rows) {
                at[port].is_next = true;
                at[port].row = port;
            }
        }
    }
}

inline void multiply(const AttentionJob& job, const Block& block, const LaneWeights& weights, const LaneTokens& tokens,
                     const LaneMarks& marks, const ComingWords& coming0, const ComingWords& coming1,
                     OwnRows& own, KeptRows& kept,
                     KeySums& gradient, ClassQuery& class_query, Products& products,
                     token_t (&token_of)[kBlockSteps][kLaneCount], Sums& sums) {
#pragma HLS inline off
#pragma HLS expression_balance off  // sums of three stay what they are
    const bool dots = is_dot(block.pass);
    const bool outer = is_outer(block.pass);
    const int queries = block_queries(job, block.first);
    const int patch_queries = block_patch_queries(job, block.first);
    const int class_at = class_place(job, block.first);
    const bool has_class = has_class_query(job, block.first);
    const int sweeps = queries == 0 ? 0 : (outer ? key_tiles(job) : block_groups(job, block.first));
    const int leaving = out_rows(job, block);
    const int kept_half = half_of(block.buffer);
    const int own_row = block.parity ? int(kQueryBlock) : 0;
    const int keys_of = block.buffer ? int(kKeyRows) : 0;
    const int keys_before = block.buffer ? 0 : int(kKeyRows);
    const int tiles_of = block.buffer ? int(kKeyTiles) : 0;
    const int tiles_before = block.buffer ? 0 : int(kKeyTiles);
    const int least = least_steps(block);
    int keys[kGroups];
#pragma HLS array_partition variable = keys type = complete
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS unroll
        keys[group] = group_steps(job, block.first, group);
    }
    // Rows leave while nothing drains.
    const int steps = all_steps(job, block);
    const int free_steps = narrow<11>(steps - sweeps * (outer ? int(kDrained) : int(kLaneCount)));
    const int late = clamp_to(kSumParts * leaving - free_steps, kSumParts * kQueryBlock);
    const int arriving = arriving_steps(block);
    const int length = narrow<11>(larger(steps + late, arriving));
    factor_t vector[kLaneCount][kMaxHeadDim];         // of dot products, else zeros
    factor_t coming_vector[kLaneCount][kMaxHeadDim];
    gathered_t acc[kLaneCount][kMaxHeadDim];
    // Drains while the next sweep accumulates; where sums over queries leave, it is zero when it has.
    gathered_t done[kLaneCount][kMaxHeadDim];
    dot_t most[kLaneCount];
    i16 class_weight[kLaneCount];
    Arrival arrival[kAttentionPorts];
#pragma HLS array_partition variable = vector type = complete dim = 0
#pragma HLS array_partition variable = coming_vector type = complete dim = 0
#pragma HLS array_partition variable = acc type = complete dim = 0
#pragma HLS array_partition variable = done type = complete dim = 0
#pragma HLS array_partition variable = most type = complete
#pragma HLS array_partition variable = class_weight type = complete
#pragma HLS array_partition variable = arrival type = complete
    for (int port = 0; port < kAttentionPorts; ++port) {
#pragma HLS unroll
        arrival[port] = first_arrival(block, port);
    }
    if (leaving > 0 && block.out_first == 0) {
        for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
            class_query.row[1][w] = class_query.row[0][w];
        }
    }
    for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
        for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
            vector[lane][d] = 0;
            coming_vector[lane][d] = 0;
            done[lane][d] = 0;
        }
    }
    Sweep at;
    at.index = dots ? -1 : 0;
    at.step = 0;
    at.keys = sweep_keys(keys, outer, at.index);
    at.steps = larger(at.keys, least);
    place_t done_index = 0;
    place_t drained = kDrained;
    place_t left = 0;
multiply_steps:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 172
        PIPELINE(c == 0, 1, kMultiplyDepth16);
// Rows that come in are of heads and blocks to come; a sum is read again after a whole sweep.
#pragma HLS dependence variable = kept type = inter dependent = false
#pragma HLS dependence variable = own type = inter dependent = false
#pragma HLS dependence variable = gradient type = inter dependent = false
        if (c < arriving) take_rows(job, block, c, coming0, coming1, arrival, kept, own);
        const bool drains = drained < kDrained;
        const bool leaves = !drains && left < kSumParts * leaving;
        if (drains || leaves) {
            const int turn = natural<7>(unsigned(int(drains ? drained : left)));
            const int part = turn % kSumParts;
            const int lane = turn / kSumParts % kLaneCount;
            const int drain_row = narrow<7>(done_index) * kLaneCount + lane;
            const int leave_row = natural<9>(unsigned(block.out_first + turn / kSumParts));
            const int key = drains ? keys_of + drain_row : keys_before + leave_row;
            const int row = narrow<6>(drains ? drain_row : turn / kSumParts);
            const bool adds = leaves || (outer && block.first != 0);
            gathered_t sum[kSumLanes];
#pragma HLS array_partition variable = sum type = complete
            for (int d = 0; d < kSumLanes; ++d) {
#pragma HLS unroll
                const int later = kSumLanes + d < kMaxHeadDim ? kSumLanes + d : d;  // of the second part
                const gathered_t before = adds ? gradient[kSumParts * key + part][d] : gathered_t(0);
                sum[d] = before + (part == 0 ? done[lane][d] : done[lane][later]);
                if (drains && outer) {
                    gradient[kSumParts * key + part][d] = sum[d];
                    if (part == 1)
                        done[lane][later] = 0;
                    else
                        done[lane][d] = 0;
                }
            }
            if (leaves || !outer) {
                for (int i = 0; i < kSumLanes; ++i) {
#pragma HLS unroll
                    sums.part[kSumParts * row + part][i] = sum[i];
                }
            }
            if (leaves)
                sums.class_weight[row] =
                    class_query.weight[tiles_before + leave_row / kLaneCount][leave_row % kLaneCount];
            if (drains)
                drained = turn + 1;
            else
                left = turn + 1;
        }
        const int index = narrow<7>(at.index);
        const int step = narrow<10>(at.step);
        if (index < sweeps) {
            const bool brings_row = dots && step < kLaneCount;
            if (brings_row) {
                const int row = narrow<7>(own_row + (index + 1) * kLaneCount + step);
                if (index + 1 < kGroups) {
                    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                        const word_t word = own[row][w];
                        for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
                            coming_vector[step][kLanes * w + i] = get16(word, i);
                        }
                    }
                }
            }
            const bool opens = step == 0;
            const bool ends = step + 1 == narrow<10>(at.steps);
            const int outer_group = step < kLaneCount ? 0 : 1;
            const int group = outer ? outer_group : (index < 0 ? 0 : narrow<3>(index));
            const int turn = outer ? natural<5>(unsigned(step - outer_group * kLaneCount)) : 0;
            const int first_query = group * kLaneCount;
            const int group_queries = (outer ? patch_queries : queries) - first_query;
            const int class_of_group = class_at - first_query;
            const int first_row = outer ? own_row + first_query : 0;
            const int entry = narrow<3>(group) * kGroupSteps + step;
            i16 found[kLaneCount];
#pragma HLS array_partition variable = found type = complete
            for (int i = 0; i < kLaneCount; ++i) {
#pragma HLS unroll
                const int key = natural<8>(unsigned(index * kLaneCount + around(i + kLaneCount - turn)));
                const int place = natural<9>(unsigned(outer ? outer_group * kGroupSteps + key : entry));
                const bool is_marked = (unsigned(marks[i][place / kLanes]) >> place % kLanes & 1u) != 0;
                found[i] = outer && job.sparse && !is_marked ? i16(0) : weights[i][place];
            }
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                const int place = around(turn + lane);
                const i16 own_weight = block.pass == kScores && !job.sparse ? i16(1) : found[place];
                const bool exists = place < group_queries && (outer || step < narrow<10>(at.keys));
                const int listed = exists ? int(tokens[entry][lane]) : 0;  // nobody wrote others
                const int token = job.sparse ? listed : natural<8>(unsigned(step));
                const factor_t weight = exists ? own_weight : i16(0);
                if (outer && place == class_of_group) class_weight[lane] = own_weight;
                if (outer && ends && has_class) class_query.weight[tiles_of + index][lane] = class_weight[lane];
                const int row = outer ? first_row + place : kept_half + natural<8>(unsigned(token));
                const factor_t common = dots ? factor_t(0) : weight;  // factor of all products
                i16 right[kMaxHeadDim];
                i32 term[kMaxHeadDim];
#pragma HLS array_partition variable = right type = complete
#pragma HLS array_partition variable = term type = complete
                for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                    for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
                        right[kLanes * w + i] = get16(kept[row][w], i);
                    }
                }
                for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                    if (!outer || lane != 0 || step != class_at) continue;
                    for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
                        put16(class_query.row[0][w], i, right[kLanes * w + i]);
                    }
                }
                for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                    const gathered_t before = dots || opens ? gathered_t(0) : acc[lane][d];
                    acc[lane][d] = before + lane_product(vector[lane][d], common, right[d]);
                    term[d] = i32(acc[lane][d]);
                }
                const dot_t value = sum_of(term, dots);
                if (dots && index >= 0) {
                    if (opens || (weight != 0 && value > most[lane])) most[lane] = value;
                    products.value[entry][lane] = value;
                    products.weight[entry][lane] = i16(weight);
                    products.largest[group][lane] = most[lane];
                    token_of[entry][lane] = token_t(token);
                }
            }
            at.step = step + 1;
            if (ends) {
                for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                    for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                        vector[lane][d] = coming_vector[lane][d];
                        if (!dots) done[lane][d] = acc[lane][d];
                    }
                }
                done_index = index;
                if (!dots) drained = 0;
                at.index = index + 1;
                at.step = 0;
                at.keys = sweep_keys(keys, outer, index + 1);
                at.steps = larger(at.keys, least);
            }
        }
    }
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        sums.class_row[w] = class_query.row[1][w];
    }
}

}  // namespace peelvit

// Both pools of multipliers of the attention unit: products of rows with rows, and weighted sums of rows.
//
// Each pool has kPoolLanes * kMaxHeadDim multipliers, kKeyLanes * kMaxHeadDim together, and takes kPoolLanes keys a
// cycle; the products of a pool are computed one after the other. k and v are kept as often as a pool has lanes, so
// that any kPoolLanes rows are read at once: a listed key costs what a dense one does. Both are double buffered.
#pragma once

#include "../fixed.hpp"
#include "load.hpp"
#include "store.hpp"

namespace peelvit {

constexpr int kDotDepth = 14;
constexpr int kScatterDepth = 8;

// The first `words` words of a row; zeros after them.
inline void spread(const word_t (&row)[kHeadWords], int words, factor_t (&vector)[kMaxHeadDim]) {
#pragma HLS inline
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            vector[kLanes * w + lane] = w < words ? get16(row[w], lane) : i16(0);
        }
    }
}

inline acc_t dot(const factor_t (&vector)[kMaxHeadDim], const word_t (&row)[kHeadWords]) {
#pragma HLS inline
    acc_t sum = 0;
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            sum += product(vector[kLanes * w + lane], get16(row[w], lane));
        }
    }
    return sum;
}

// Products of the block's rows with those of their keys, kPoolLanes keys a cycle, and the largest one of each query.
inline void row_products(const AttentionJob& job, int first, int buffer, const word_t (&rows)[kQueryBlock][kHeadWords],
                         const word_t (&keys)[kQueryBlock][kKeyWords], const word_t (&kept)[2 * kMaxTokens][kHeadWords],
                         acc_t (&result)[kBlockSteps][kPoolLanes], acc_t (&largest)[kQueryBlock]) {
#pragma HLS inline off
    const int length = walk_length(job, first);
    Walk walk = walk_query(job, first, 0);
    factor_t vector[kMaxHeadDim];
#pragma HLS array_partition variable = vector type = complete
    acc_t most = 0;
row_products:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 328
        PIPELINE(c == 0, 1, kDotDepth);
        if (walk.step == 0) spread(rows[walk.query], job.head_words, vector);
        acc_t most_here = 0;
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            const int position = walk.step * kPoolLanes + lane;
            const bool exists = position < walk.keys;
            const int token = exists ? key_token(job, keys, walk.listed, walk.query, position) : 0;
            const acc_t sum = dot(vector, kept[buffer * kMaxTokens + token]);
            result[walk_entry(walk)][lane] = sum;
            if (lane == 0 || (exists && sum > most_here)) most_here = sum;
        }
        if (walk.step == 0 || most_here > most) most = most_here;
        largest[walk.query] = most;
        walk = walk_on(job, first, walk);
    }
}

// The first pool, one row of products after the other; then the next unit's rows are kept.
inline void scores(const AttentionJob& job, int first, int buffer, const RowBlock& rows,
                   const word_t (&keys)[kQueryBlock][kKeyWords], word_t (&key_rows)[2 * kMaxTokens][kHeadWords],
                   word_t (&value_rows)[2 * kMaxTokens][kHeadWords], acc_t (&score)[kBlockSteps][kPoolLanes],
                   acc_t (&largest)[kQueryBlock], acc_t (&dp)[kBlockSteps][kPoolLanes]) {
#pragma HLS inline off
#pragma HLS allocation function instances = row_products limit = 1
    row_products(job, first, buffer, rows.query, keys, key_rows, score, largest);
    keep_rows(job, first, buffer, rows.key, key_rows);
    if (job.backward) {
        acc_t unused[kQueryBlock];
        row_products(job, first, buffer, rows.dy, keys, value_rows, dp, unused);
        keep_rows(job, first, buffer, rows.value, value_rows);
    }
}

// sums[query] = sum over its keys of weight * row of the key: y = p v, dq = ds k.
inline void gather_sums(const AttentionJob& job, int first, int buffer, const i16 (&weight)[kBlockSteps][kPoolLanes],
                        const word_t (&keys)[kQueryBlock][kKeyWords], const word_t (&kept)[2 * kMaxTokens][kHeadWords],
                        acc_t (&sums)[kQueryBlock][kMaxHeadDim]) {
#pragma HLS inline
    const int length = walk_length(job, first);
    Walk walk = walk_query(job, first, 0);
    acc_t acc[kMaxHeadDim];
#pragma HLS array_partition variable = acc type = complete
gather_sums:
    for (int c = 0; c < length; ++c) {
#pragma HLS loop_tripcount max = 328
        PIPELINE(c == 0, 1, kDotDepth);
        factor_t factor[kPoolLanes];
        int row[kPoolLanes];
#pragma HLS array_partition variable = factor type = complete
#pragma HLS array_partition variable = row type = complete
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            const int position = walk.step * kPoolLanes + lane;
            const int token = position < walk.keys ? key_token(job, keys, walk.listed, walk.query, position) : 0;
            factor[lane] = weight[walk_entry(walk)][lane];
            row[lane] = buffer * kMaxTokens + token;
        }
        for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
            for (int d = 0; d < kLanes; ++d) {
#pragma HLS unroll
                acc_t sum = walk.step == 0 ? acc_t(0) : acc[kLanes * w + d];
                for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
                    sum += product(factor[lane], get16(kept[row[lane]][w], d));
                }
                acc[kLanes * w + d] = sum;
            }
        }
        if (walk.step + 1 == walk.steps) {
            for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                sums[walk.query][d] = acc[d];
            }
        }
        walk = walk_on(job, first, walk);
    }
}

// One query's part of the sums of all its keys: dv += p dy in the first half of the entries, dk += ds q in the second.
// A bank holds the keys of equal remainder. No key occurs twice in `run` steps, so their additions overlap; lists that
// are not ascending (the compiler makes none) may repeat keys and are taken key by key.
inline void scatter_sums(const AttentionJob& job, int index, int query, const RowBlock& rows,
                         const i16 (&probability)[kBlockSteps][kPoolLanes],
                         const i16 (&dscore)[kBlockSteps][kPoolLanes], const word_t (&keys)[kQueryBlock][kKeyWords],
                         const KeyBanks& banks, acc_t (&gradient)[2 * kKeySteps][kPoolLanes][kMaxHeadDim]) {
#pragma HLS inline
    const bool listed = is_listed(job, index);
    const bool single = listed && !banks.ascending[query];
    int steps = single ? job.patch_keys : job.patch_steps;
    if (listed && !single) {
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            steps = lane == 0 ? banks.used[query][0] : larger(steps, banks.used[query][lane]);
        }
    }
    const int run = single ? 1 : 2 * steps;
    factor_t dy[kMaxHeadDim];
    factor_t q[kMaxHeadDim];
#pragma HLS array_partition variable = dy type = complete
#pragma HLS array_partition variable = q type = complete
    spread(rows.dy[query], job.head_words, dy);
    spread(rows.query[query], job.head_words, q);
scatter_runs:
    for (int start = 0; start < 2 * steps; start += run) {
#pragma HLS loop_tripcount max = 162
    scatter_sums:
        for (int c = 0; c < run; ++c) {
#pragma HLS loop_tripcount max = 162
            PIPELINE(c == 0, 1, kScatterDepth);
#pragma HLS dependence variable = gradient type = inter dependent = false
            const bool is_key = start + c >= steps;
            const int step = is_key ? start + c - steps : start + c;
            const int single_token = single ? key_token(job, keys, true, query, step) : 0;
            factor_t vector[kMaxHeadDim];
#pragma HLS array_partition variable = vector type = complete
            for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                vector[d] = is_key ? q[d] : dy[d];
            }
            for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
                int position = step * kPoolLanes + lane;
                int row = step;
                bool exists = position < job.class_keys;
                if (single) {
                    position = step;
                    row = single_token / kPoolLanes;
                    exists = single_token % kPoolLanes == lane;
                } else if (listed) {
                    exists = step < banks.used[query][lane];
                    position = exists ? int(banks.position[query * kKeySteps + step][lane]) : 0;
                    row = exists ? int(banks.row[query * kKeySteps + step][lane]) : 0;
                }
                if (exists) {
                    const int entry = query * kKeySteps + position / kPoolLanes;
                    const factor_t weight =
                        is_key ? dscore[entry][position % kPoolLanes] : probability[entry][position % kPoolLanes];
                    const int sums = is_key ? kKeySteps + row : row;
                    for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                        gradient[sums][lane][d] += product(weight, vector[d]);
                    }
                }
            }
        }
    }
}

inline void keep_class_query(const AttentionJob& job, int query, const RowBlock& rows,
                             const i16 (&probability)[kBlockSteps][kPoolLanes],
                             const i16 (&dscore)[kBlockSteps][kPoolLanes], ClassQuery& kept) {
#pragma HLS inline
    for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
        kept.query[w] = rows.query[query][w];
        kept.dy[w] = rows.dy[query][w];
    }
keep_class_query:
    for (int step = 0; step < job.class_steps; ++step) {
#pragma HLS loop_tripcount max = 41
        PIPELINE(step == 0, 1, 2);
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            kept.probability[step][lane] = probability[query * kKeySteps + step][lane];
            kept.dscore[step][lane] = dscore[query * kKeySteps + step][lane];
        }
    }
}

// The second pool: forward it reads rows of v, backward rows of k.
inline void weighted_sums(word_t* mem1, word_t* mem2, const AttentionJob& job, int image, int head, int first,
                          int buffer, const RowBlock& rows, const word_t (&keys)[kQueryBlock][kKeyWords],
                          const KeyBanks& banks, const i16 (&probability)[kBlockSteps][kPoolLanes],
                          const i16 (&dscore)[kBlockSteps][kPoolLanes], acc_t (&sums)[kQueryBlock][kMaxHeadDim],
                          word_t (&kept)[2 * kMaxTokens][kHeadWords],
                          acc_t (&gradient)[2 * kKeySteps][kPoolLanes][kMaxHeadDim], ClassQuery& class_query,
                          Statistics (&dkey)[2], Statistics (&dvalue)[2]) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 64
    const int queries = block_queries(job, first);
    if (!job.backward) {
        gather_sums(job, first, buffer, probability, keys, kept, sums);
        keep_rows(job, first, buffer, rows.value, kept);
        return;
    }
    gather_sums(job, first, buffer, dscore, keys, kept, sums);
    keep_rows(job, first, buffer, rows.key, kept);
scatter_queries:
    for (int query = 0; query < queries; ++query) {
#pragma HLS loop_tripcount max = 8
        if (query_kind(job, first + query) == kPatchQuery) {
            scatter_sums(job, first + query, query, rows, probability, dscore, keys, banks, gradient);
        } else {
            keep_class_query(job, query, rows, probability, dscore, class_query);
            store_key_gradients(mem1, mem2, job, image, head, class_query, gradient, dkey, dvalue);
        }
    }
}

}  // namespace peelvit

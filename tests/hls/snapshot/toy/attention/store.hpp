// What the attention unit writes: rows of y or dq, the map of the heads, and rows of dk and dv.
#pragma once

#include "../fixed.hpp"
#include "job.hpp"

namespace peelvit {

constexpr int kMapWords = (kMaxTokens + kLanes - 1) / kLanes * 2;

// What the class query adds to dk and dv when they are stored.
struct ClassQuery {
    i16 probability[kKeySteps][kPoolLanes];
    i16 dscore[kKeySteps][kPoolLanes];
    word_t query[kHeadWords];
    word_t dy[kHeadWords];
};

// The sum over both kinds of queries, at their common fraction.
inline wide_t both_kinds(const AttentionJob& job, acc_t patches, i16 class_weight, i16 class_factor,
                         const int (&shift)[2]) {
#pragma HLS inline
    const wide_t from_class = acc_t(product(class_weight, class_factor));
    if (job.queries == 1) return from_class;
    const wide_t shifted = round_shift(wide_t(patches), shift[kPatchQuery]);
    return shifted + round_shift(from_class, shift[kClassQuery]);
}

// Store dk and dv of a head and clear their sums for the next one.
inline void store_key_gradients(word_t* mem1, word_t* mem2, const AttentionJob& job, int image, int head,
                                const ClassQuery& kept, acc_t (&gradient)[2 * kKeySteps][kPoolLanes][kMaxHeadDim],
                                Statistics (&dkey)[2], Statistics (&dvalue)[2]) {
#pragma HLS inline
store_gradient_rows:
    for (int token = 0; token < job.tokens; ++token) {
#pragma HLS loop_tripcount max = 81
    store_gradient_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((token | w) == 0, 1, kStoreDepth);
            const int kind = token == 0 ? kClassQuery : kPatchQuery;
            const int step = token / kPoolLanes;
            const int lane = token % kPoolLanes;
            const i16 p = kept.probability[step][lane];
            const i16 ds = kept.dscore[step][lane];
            word_t key_word = zero_word();
            word_t value_word = zero_word();
            for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
                const int d = kLanes * w + i;
                const wide_t value_sum =
                    both_kinds(job, gradient[step][lane][d], p, get16(kept.dy[w], i), job.dvalue_shift);
                const wide_t key_sum =
                    both_kinds(job, gradient[kKeySteps + step][lane][d], ds, get16(kept.query[w], i), job.dkey_shift);
                put16(value_word, i, i16(store(value_sum, job.dvalue_fraction - job.f_dvalue[kind], 16, dvalue[kind])));
                const wide_t scaled = key_sum * wide_t(job.gradient_mantissa);
                put16(key_word, i, i16(store(scaled, job.dkey_fraction - job.f_dkey[kind], 16, dkey[kind])));
                gradient[step][lane][d] = 0;
                gradient[kKeySteps + step][lane][d] = 0;
            }
            const unsigned row = job.out.address + token_row(job, image, token) * unsigned(job.out.pitch);
            write_word<1>(mem1, row + unsigned((job.heads + head) * job.head_words + w), key_word);
            write_word<2>(mem2, row + unsigned((2 * job.heads + head) * job.head_words + w), value_word);
        }
    }
}

inline void store_rows(word_t* mem0, const AttentionJob& job, int image, int head, int first,
                       const acc_t (&sums)[kQueryBlock][kMaxHeadDim], Statistics (&statistics)[2]) {
#pragma HLS inline
    // Backward, patch rows without a query have no gradient.
    const int rows = job.backward ? block_tokens(job, first) : block_queries(job, first);
store_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 8
    store_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((i | w) == 0, 1, kStoreDepth);
            const bool is_query = first + i < job.queries;
            const int kind = query_kind(job, first + i);
            const int token = is_query ? query_token(job, first + i) : first + i;
            const int f_in =
                job.backward ? job.f_dscore[kind] + job.f_qkv + job.gradient_shift : job.f_probability + job.f_qkv;
            const wide_t factor = job.backward ? job.gradient_mantissa : 1;
            word_t word = zero_word();
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                if (is_query) {
                    const wide_t acc = wide_t(sums[i][kLanes * w + lane]) * factor;
                    put16(word, lane, i16(store(acc, f_in - job.f_out[kind], 16, statistics[kind])));
                }
            }
            const unsigned row = job.out.address + token_row(job, image, token) * unsigned(job.out.pitch);
            write_word<0>(mem0, row + unsigned(head * job.head_words + w), word);
        }
    }
}

// Add one query's probabilities to its row of the map, token by token of a word; the last head's sum is stored.
inline void add_dense_row(word_t* mem0, const AttentionJob& job, bool opens, bool closes, int query, unsigned address,
                          const i16 (&probability)[kBlockSteps][kPoolLanes], word_t (&row)[kMapWords]) {
#pragma HLS inline
    const int words = words32(job.tokens);
dense_map_words:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(w == 0, 1, 6);
        word_t word = opens ? zero_word() : row[w];
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            const int token = kWideLanes * w + lane;
            if (token < job.tokens) {
                const wide_t p = probability[query * kKeySteps + token / kPoolLanes][token % kPoolLanes];
                put32(word, lane, i32(wide_t(get32(word, lane)) + p));
            }
        }
        if (closes)
            write_word<0>(mem0, address + unsigned(w), word);
        else
            row[w] = word;
    }
}

// The same of a query with listed keys: cleared, added to key by key, stored. (A map of listed keys is rarely asked
// for.)
inline void add_listed_row(word_t* mem0, const AttentionJob& job, bool opens, bool closes, int query, unsigned address,
                           const word_t (&keys)[kQueryBlock][kKeyWords],
                           const i16 (&probability)[kBlockSteps][kPoolLanes], word_t (&row)[kMapWords]) {
#pragma HLS inline
    const int words = words32(job.tokens);
    const int cleared = opens ? words : 0;
    const int stored = closes ? words : 0;
clear_map_words:
    for (int w = 0; w < cleared; ++w) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(w == 0, 1, 2);
        row[w] = zero_word();
    }
listed_map_keys:
    for (int position = 0; position < job.patch_keys; ++position) {
#pragma HLS loop_tripcount max = 81
        PIPELINE(position == 0, 3, 4);
        const int token = key_token(job, keys, true, query, position);
        const wide_t p = probability[query * kKeySteps + position / kPoolLanes][position % kPoolLanes];
        const int lane = token % kWideLanes;
        word_t word = row[token / kWideLanes];
        put32(word, lane, i32(wide_t(get32(word, lane)) + p));
        row[token / kWideLanes] = word;
    }
store_map_words:
    for (int w = 0; w < stored; ++w) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(w == 0, 1, 2);
        write_word<0>(mem0, address + unsigned(w), row[w]);
    }
}

inline void finish(word_t* mem0, const AttentionJob& job, int image, int head, int first,
                   const acc_t (&sums)[kQueryBlock][kMaxHeadDim], const word_t (&keys)[kQueryBlock][kKeyWords],
                   const i16 (&probability)[kBlockSteps][kPoolLanes], word_t (&map)[kMaxTokens][kMapWords],
                   Statistics (&statistics)[2]) {
#pragma HLS inline off
    store_rows(mem0, job, image, head, first, sums, statistics);
    const int queries = job.has_map ? block_queries(job, first) : 0;
    const bool opens = head == 0;
    const bool closes = head == job.heads - 1;
map_queries:
    for (int i = 0; i < queries; ++i) {
#pragma HLS loop_tripcount max = 8
        const int token = query_token(job, first + i);
        const unsigned address = job.map.address + unsigned(image * job.map_rows + token) * unsigned(job.map.pitch);
        if (token < job.map_rows) {
            if (is_listed(job, first + i))
                add_listed_row(mem0, job, opens, closes, i, address, keys, probability, map[token]);
            else
                add_dense_row(mem0, job, opens, closes, i, address, probability, map[token]);
        }
    }
}

}  // namespace peelvit

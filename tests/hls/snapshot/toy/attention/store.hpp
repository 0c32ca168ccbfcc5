// What the attention unit writes: probabilities or gradients of scores, the map, and rows of y, dq, dk and dv. Rows of
// either half of the lanes go through a port of their own.
#pragma once

#include "map.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kSumStoreDepth = 16;

// By third of qkv (y counts as q) and kind of row.
using RowStatistics = Statistics[3][2];

// Word `w` of row `m` of a half, from its lane.
template <int kHalf>
inline void store_matrix_word(word_t* mem, const AttentionJob& job, int pass, int image, int head, int first, int m,
                              int w, const word_t (&rows)[kBlockWords16][kLaneCount]) {
#pragma HLS inline
    const int index = first + half_row(kHalf, m);
    if (index >= job.queries || w >= words16(query_keys(job, index))) return;
    const Matrix matrix = pass == kScores ? job.probability : job.dscore;
    const unsigned address = query_address(matrix, job, image, head, index) + unsigned(w);
    write_word<kHalf>(mem, address, rows[m / kHalfLanes * kTokenWords + w][kHalf * kHalfLanes + m % kHalfLanes]);
}

template <int kHalf>
inline void store_map_word(word_t* mem, const AttentionJob& job, int image, int first, int m, int w,
                           const word_t (&rows)[kGroups * kMapWords][kLaneCount]) {
#pragma HLS inline
    const int index = first + half_row(kHalf, m);
    const int token = query_token(job, index);
    if (index >= job.queries || token >= job.map_rows) return;
    const unsigned address = job.map.address + unsigned(image * job.map_rows + token) * unsigned(job.map.pitch);
    write_word<kHalf>(mem, address + unsigned(w),
                      rows[m / kHalfLanes * kMapWords + w][kHalf * kHalfLanes + m % kHalfLanes]);
}

// A row's sum over both kinds of queries, at their common fraction: the class query's part is one product.
inline wide_t both_kinds(const AttentionJob& job, acc_t patches, i16 class_weight, i16 class_factor,
                         const int (&shift)[2]) {
#pragma HLS inline
    const wide_t from_class = acc_t(product(class_weight, class_factor));
    if (job.queries == 1) return from_class;
    const wide_t shifted = round_shift(wide_t(patches), shift[kPatchQuery]);
    return shifted + round_shift(from_class, shift[kClassQuery]);
}

// Word `w` of row `m` of a half: rounded sums.
template <int kHalf>
inline void store_sum_word(word_t* mem, const AttentionJob& job, int pass, int image, int head, int first, int rows,
                           int m, int w, const Sums& sums, RowStatistics& statistics) {
#pragma HLS inline
    const int row = half_row(kHalf, m);
    if (row >= rows) return;
    const bool outer = is_outer(pass);
    const bool is_query = outer || first + row < job.queries;
    const int token = outer ? row : (is_query ? query_token(job, first + row) : first + row);
    const int kind = token == 0 ? kClassQuery : kPatchQuery;
    const int part = pass == kValueGradients ? 2 : (pass == kKeyGradients ? 1 : 0);
    const bool is_scaled = pass == kQueryGradients || pass == kKeyGradients;
    int fraction = job.f_probability + job.f_qkv;
    int f_to = job.f_out[kind];
    if (pass == kQueryGradients) fraction = job.f_dscore[kind] + job.f_qkv + job.gradient_shift;
    if (pass == kKeyGradients) {
        fraction = job.dkey_fraction;
        f_to = job.f_dkey[kind];
    }
    if (pass == kValueGradients) {
        fraction = job.dvalue_fraction;
        f_to = job.f_dvalue[kind];
    }
    word_t word = zero_word();
    for (int i = 0; i < kLanes; ++i) {
#pragma HLS unroll
        if (is_query) {
            const acc_t sum = sums.row[kHalf][m][kLanes * w + i];
            wide_t acc = sum;
            if (outer)
                acc = both_kinds(job, sum, sums.class_weight[smaller(token, kMaxTokens - 1)], get16(sums.class_row[w], i),
                                 pass == kKeyGradients ? job.dkey_shift : job.dvalue_shift);
            if (is_scaled) acc = acc * wide_t(job.gradient_mantissa);
            put16(word, i, i16(store(acc, fraction - f_to, 16, statistics[part][kind])));
        }
    }
    const unsigned address = job.out.address + token_row(job, image, token) * unsigned(job.out.pitch);
    write_word<kHalf>(mem, address + unsigned((part * job.heads + head) * job.head_words + w), word);
}

inline void store_results(word_t* mem0, word_t* mem1, const AttentionJob& job, int pass, int image, int head, int first,
                        const word_t (&rows)[kBlockWords16][kLaneCount],
                        const word_t (&map_rows)[kGroups * kMapWords][kLaneCount], const Sums& sums,
                        RowStatistics& statistics) {
#pragma HLS inline off
    const int matrix_rows = is_dot(pass) ? half_rows(block_queries(job, first), 0) : 0;
store_matrix_rows:
    for (int m = 0; m < matrix_rows; ++m) {
#pragma HLS loop_tripcount max = 4
        const int words =
            words16(larger(query_keys(job, first + half_row(0, m)), query_keys(job, first + half_row(1, m))));
    store_matrix_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 11
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            store_matrix_word<0>(mem0, job, pass, image, head, first, m, w, rows);
            store_matrix_word<1>(mem1, job, pass, image, head, first, m, w, rows);
        }
    }
    const bool has_map = pass == kScores && head == job.heads - 1 && job.has_map;
    const int mapped_rows = has_map ? half_rows(block_queries(job, first), 0) : 0;
    const int map_words = words32(job.tokens);
store_map_rows:
    for (int m = 0; m < mapped_rows; ++m) {
#pragma HLS loop_tripcount max = 4
        const int words = is_mapped(job, first, m / kHalfLanes) ? map_words : 0;
    store_map_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            store_map_word<0>(mem0, job, image, first, m, w, map_rows);
            store_map_word<1>(mem1, job, image, first, m, w, map_rows);
        }
    }
    // Backward, patch rows without a query have no gradient, and dk and dv of a head are complete with its last block.
    int sum_rows = 0;
    if (pass == kValues) sum_rows = block_queries(job, first);
    if (pass == kQueryGradients) sum_rows = block_tokens(job, first);
    if (is_outer(pass) && has_class_query(job, first)) sum_rows = job.tokens;
    const int sum_pairs = half_rows(sum_rows, 0);
store_sum_rows:
    for (int m = 0; m < sum_pairs; ++m) {
#pragma HLS loop_tripcount max = 42
    store_sum_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((m | w) == 0, 1, kSumStoreDepth);
            store_sum_word<0>(mem0, job, pass, image, head, first, sum_rows, m, w, sums, statistics);
            store_sum_word<1>(mem1, job, pass, image, head, first, sum_rows, m, w, sums, statistics);
        }
    }
}

}  // namespace peelvit

// What the attention unit writes: probabilities or gradients of scores, the map, and rows of y, dq, dk and dv. Rows are
// split over the ports by lane.
#pragma once

#include "map.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kSumStoreDepth = 16;

// By third of qkv (y counts as q) and kind of row.
using RowStatistics = Statistics[3][2];

// Word `w` of row `m` of a port, from its lane.
template <int kPort>
inline void store_matrix_word(word_t* mem, const AttentionJob& job, int pass, int image, int head, int first, int m,
                              int w, const LaneWords& rows) {
#pragma HLS inline
    const int index = first + port_row(kPort, m);
    const int lane = smaller(port_place(kPort, m), kFrontLanes - 1);
    if (!is_port_row(kPort, m) || index >= job.queries || w >= words16(query_keys(job, index))) return;
    const Matrix matrix = pass == kScores ? job.probability : job.dscore;
    const unsigned address = query_address(matrix, job, image, head, index) + unsigned(w);
    write_word<kPort>(mem, address, rows[kPort][port_group(kPort, m) * kTokenWords + w][lane]);
}

template <int kPort>
inline void store_map_word(word_t* mem, const AttentionJob& job, int image, int first, int m, int w,
                           const HeadMapRows& rows) {
#pragma HLS inline
    const int index = first + port_row(kPort, m);
    const int lane = smaller(port_place(kPort, m), kFrontLanes - 1);
    const int token = query_token(job, index);
    if (!is_port_row(kPort, m) || index >= job.queries || token >= job.map_rows) return;
    const unsigned address = row_address(job.map, unsigned(short_product(image, job.map_rows) + token));
    write_word<kPort>(mem, address + unsigned(w),
                      rows[kPort][port_group(kPort, m) * kMapWords + w][lane]);
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

// Word `w` of row `m` of a port: rounded sums.
template <int kPort>
inline void store_sum_word(word_t* mem, const AttentionJob& job, int pass, int image, int head, int first, int rows,
                           int m, int w, const Sums& sums, RowStatistics& statistics) {
#pragma HLS inline
    const int row = port_row(kPort, m);
    if (!is_port_row(kPort, m) || row >= rows) return;
    const bool outer = is_outer(pass);
    const bool is_query = outer || first + row < job.queries;
    const int token = outer ? first + row : (is_query ? query_token(job, first + row) : first + row);
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
            const acc_t sum = sums.row[kPort][m][kLanes * w + i];
            wide_t acc = sum;
            if (outer)
                acc = both_kinds(job, sum, sums.class_query.weight[smaller(token, kMaxTokens - 1)],
                                 get16(sums.class_query.row[w], i),
                                 pass == kKeyGradients ? job.dkey_shift : job.dvalue_shift);
            if (is_scaled) acc = acc * wide_t(job.gradient_mantissa);
            put16(word, i, i16(store(acc, fraction - f_to, 16, statistics[part][kind])));
        }
    }
    const unsigned address = row_address(job.out, token_row(job, image, token));
    write_word<kPort>(mem, address + unsigned(short_product(short_product(part, job.heads) + head, job.head_words) + w), word);
}

inline void store_results(word_t* mem0, word_t* mem1, word_t* mem2, const AttentionJob& job, int pass, int image,
                          int head, int first, int out_pass, int out_image, int out_head, int out_first,
                          const LaneWords& rows,
                          const HeadMapRows& map_rows, const Sums& sums,
                          RowStatistics& statistics) {
#pragma HLS inline off
    const int queries = port_rows(block_queries(job, first), 0);
    const int matrix_rows = is_dot(pass) ? queries : 0;
store_matrix_rows:
    for (int m = 0; m < matrix_rows; ++m) {
#pragma HLS loop_tripcount max = 8
        const int words = words16(longest_row(job, first, m));
    store_matrix_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 11
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            store_matrix_word<0>(mem0, job, pass, image, head, first, m, w, rows);
            store_matrix_word<1>(mem1, job, pass, image, head, first, m, w, rows);
            store_matrix_word<2>(mem2, job, pass, image, head, first, m, w, rows);
        }
    }
    const bool has_map = pass == kScores && head == job.heads - 1 && job.has_map;
    const int map_pairs = has_map ? queries : 0;
    const int map_words = words32(job.tokens);
store_map_rows:
    for (int m = 0; m < map_pairs; ++m) {
#pragma HLS loop_tripcount max = 8
        const bool mapped = is_mapped(job, first, port_group(0, m)) || is_mapped(job, first, port_group(1, m));
        const int words = mapped ? map_words : 0;
    store_map_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            store_map_word<0>(mem0, job, image, first, m, w, map_rows);
            store_map_word<1>(mem1, job, image, first, m, w, map_rows);
            store_map_word<2>(mem2, job, image, first, m, w, map_rows);
        }
    }
    // Backward, patch rows without a query have no gradient. Sums over queries are those of the head before.
    const bool is_out = out_pass != kNoPass;
    int count = out_rows(job, out_pass, out_first);
    if (pass == kValues) count = block_queries(job, first);
    if (pass == kQueryGradients) count = block_tokens(job, first);
    const int sum_rows = port_rows(count, 0);
store_sum_rows:
    for (int m = 0; m < sum_rows; ++m) {
#pragma HLS loop_tripcount max = 8
    store_sum_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((m | w) == 0, 1, kSumStoreDepth);
            const int of_pass = is_out ? out_pass : pass;
            const int of_image = is_out ? out_image : image;
            const int of_head = is_out ? out_head : head;
            const int of_first = is_out ? out_first : first;
            store_sum_word<0>(mem0, job, of_pass, of_image, of_head, of_first, count, m, w, sums, statistics);
            store_sum_word<1>(mem1, job, of_pass, of_image, of_head, of_first, count, m, w, sums, statistics);
            store_sum_word<2>(mem2, job, of_pass, of_image, of_head, of_first, count, m, w, sums, statistics);
        }
    }
}

}  // namespace peelvit

// What the attention unit writes, a half of the lanes through a port: probabilities or gradients of scores, the map,
// and rows of y, dq, dk and dv.
#pragma once

#include "map.hpp"
#include "round.hpp"
#include "softmax.hpp"

namespace peelvit {

template <int kPort>
inline void store_block(word_t* mem, const AttentionJob& job, const Block& block, const HalfRows& rows,
                  const HalfMapRows& map_rows, const HalfSums& sums) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 1
    const int lane = kPort * kHalf;
    const int queries = lanes_rows(block_queries(job, block.first), lane, kHalf);
    const int class_at = class_place(job, block.first);
    const int matrix_rows = is_dot(block.pass) ? queries : 0;
store_matrix_rows:
    for (int m = 0; m < matrix_rows; ++m) {
#pragma HLS loop_tripcount max = 4
        const int row = lanes_row(lane, kHalf, m);
        const int words = key_words(row == class_at ? job.class_keys : job.patch_keys);
        const unsigned address = address_of(block.matrix_out, row);
    store_matrix_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 11
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            write_word<memory_of(kPort)>(mem, address + unsigned(w), rows[m * kTokenWords + w]);
        }
    }
    const bool has_map = block.pass == kScores && block.head == job.heads - 1 && job.has_map;
    const int map_queries = has_map ? queries : 0;
store_map_rows:
    for (int m = 0; m < map_queries; ++m) {
#pragma HLS loop_tripcount max = 4
        const int row = lanes_row(lane, kHalf, m);
        const bool mapped = row == class_at || short_of(block.first) + narrow<6>(row) + 1 < short_of(job.map_rows);
        const int words = mapped ? 2 * key_words(job.tokens) : 0;
        const unsigned address = address_of(block.map_out, row);
    store_map_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            word_t word = zero_word();
            for (int i = 0; i < kWideLanes; ++i) {
#pragma HLS unroll
                put32(word, i, i32(map_rows[m * kMapLines + w * kWideLanes / kMapLanes][w * kWideLanes % kMapLanes + i]));
            }
            write_word<memory_of(kPort)>(mem, address + unsigned(w), word);
        }
    }
    const int lane_rows = lanes_rows(sum_rows(job, block), lane, kHalf);
store_sum_rows:
    for (int m = 0; m < lane_rows; ++m) {
#pragma HLS loop_tripcount max = 4
        const unsigned address = address_of(block.sums_out, lanes_row(lane, kHalf, m));
    store_sum_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((m | w) == 0, 1, kStoreDepth);
            write_word<memory_of(kPort)>(mem, address + unsigned(w), sums[m * kHeadWords + w]);
        }
    }
}

}  // namespace peelvit

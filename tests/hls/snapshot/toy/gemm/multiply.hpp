// The multipliers of the GEMM engine: outer products of a row tile and a column tile, summed over a chunk.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kMultiplyDepth = 8;

// kRowTile x kColumnTile multiply-accumulates each cycle.
inline void multiply(const GemmJob& job, const GemmStep& step, int rows, const i16 (&panel)[kPanelDepth][kRowTile],
                     const i16 (&tile)[kChunk][kColumnTile], acc_t (&sums)[kPanelRows][kColumnTile]) {
    const int row_tiles = (rows + kRowTile - 1) / kRowTile;
multiply_tiles:
    for (int row_tile = 0; row_tile < row_tiles; ++row_tile) {
#pragma HLS loop_tripcount max = 3
        acc_t acc[kRowTile][kColumnTile];
#pragma HLS array_partition variable=acc type=complete dim=0
    clear:
        for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                acc[i][j] = 0;
            }
        }
        const int base = row_tile * job.stride + step.chunk.start;
    multiply_steps:
        for (int c = 0; c < step.chunk.count; ++c) {
#pragma HLS loop_tripcount max = 16
            PIPELINE(c == 0, 1, kMultiplyDepth);
            factor_t b[kColumnTile];
#pragma HLS array_partition variable=b type=complete
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                b[j] = tile[c][j];
            }
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                const factor_t a = panel[base + c][i];
                for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                    acc[i][j] += product(a, b[j]);
                }
            }
        }
    drain:
        for (int i = 0; i < kRowTile; ++i) {
            PIPELINE(i == 0, 1, 2);
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                sums[row_tile * kRowTile + i][j] = acc[i][j];
            }
        }
    }
}

}  // namespace peelvit

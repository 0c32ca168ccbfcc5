// The multipliers of the GEMM engine: outer products of a row tile and a column tile, summed over a chunk.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kMultiplyDepth = 8;
constexpr int kDrainRows = 2;  // finished rows handed on in a cycle
constexpr int kDrainCycles = kRowTile / kDrainRows;

// Sums of a step by row and lane.
using SumBuffer = acc_t[kStepRows][kColumnTile];
// Sums of the first operand over the contraction, by row.
using RowSumBuffer = acc_t[kStepRows];

// kRowTile x kColumnTile multiply-accumulates in a cycle; `opens` begins new sums.
inline void rank_1(acc_t (&acc)[kRowTile][kColumnTile], bool opens, const factor_t (&a)[kRowTile], const factor_t (&b)[kColumnTile]) {
#pragma HLS inline
    for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
        for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
            const acc_t before = opens ? acc_t(0) : acc[i][j];
            acc[i][j] = before + product(a[i], b[j]);
        }
    }
}

// One loop over row tiles and contraction steps. A tile's sums drain into `sums` while the next tile is summed. New rows
// and columns are used as they arrive and kept in `panel` and `column_tile` for the steps that follow.
inline void multiply(const GemmStep& step, const RowBuffer& rows, const ColumnBuffer& columns,
                     i16 (&panel)[kPorts][kPanelTiles * kThirdChunk][kRowTile], ColumnBuffer& column_tile, SumBuffer& sums, RowSumBuffer& row_sums) {
    acc_t acc[kRowTile][kColumnTile];
    acc_t finished[kRowTile][kColumnTile];
    acc_t row_acc[kRowTile];
    acc_t row_finished[kRowTile];
#pragma HLS array_partition variable=row_acc type=complete
#pragma HLS array_partition variable=row_finished type=complete
#pragma HLS array_partition variable=acc type=complete dim=0
#pragma HLS array_partition variable=finished type=complete dim=0
    const int third = third_of(step.chunk);
    const int turn = larger(step.chunk.count, kDrainCycles);  // cycles of a row tile
    const int cycles = step.tiles * turn + kDrainCycles;
    int tile = 0;
    int c = 0;       // contraction step: kPorts * place + bank
    int place = 0;
    int bank = 0;
    int drained = kDrainCycles;
multiply_steps:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS loop_tripcount max = 53
        PIPELINE(cycle == 0, 1, kMultiplyDepth);
        if (drained < kDrainCycles) {
            for (int row = 0; row < kDrainRows; ++row) {
#pragma HLS unroll
                row_sums[(tile - 1) * kRowTile + kDrainRows * drained + row] = row_finished[kDrainRows * drained + row];
                for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                    sums[(tile - 1) * kRowTile + kDrainRows * drained + row][j] = finished[kDrainRows * drained + row][j];
                }
            }
            ++drained;
        }
        if (tile < step.tiles && c < step.chunk.count) {
            factor_t a[kRowTile];
            factor_t b[kColumnTile];
#pragma HLS array_partition variable=a type=complete
#pragma HLS array_partition variable=b type=complete
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                i16& kept = panel[bank][(step.panel_tile + tile) * third + place][i];
                const i16 value = step.loads_rows ? rows[bank][tile * third + place][i] : kept;
                if (step.loads_rows) kept = value;
                a[i] = value;
                const acc_t before = c == 0 ? acc_t(0) : row_acc[i];
                row_acc[i] = before + acc_t(value);
            }
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                i16& kept = column_tile[step.kept_column + c][j];
                const i16 value = step.loads_columns ? columns[c][j] : kept;
                if (step.loads_columns) kept = value;
                b[j] = value;
            }
            rank_1(acc, c == 0, a, b);
        }
        ++c;
        ++bank;
        if (bank == kPorts) {
            bank = 0;
            ++place;
        }
        if (c == turn && tile < step.tiles) {
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                row_finished[i] = row_acc[i];
                for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                    finished[i][j] = acc[i][j];
                }
            }
            c = 0;
            bank = 0;
            place = 0;
            drained = 0;
            ++tile;
        }
    }
}

}  // namespace peelvit

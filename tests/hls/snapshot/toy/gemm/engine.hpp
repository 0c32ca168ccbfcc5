// The GEMM engine: out[i][j] = sum_c first[i][c] * second[c][j] for the three forms of a linear layer.
//
//   for panel of output rows (as many row tiles as the on-chip panel of the first operand holds)
//     load panel                                       first operand, whole contraction
//     for column tile, for chunk of the contraction    dataflow:
//       load_tile       second operand: kChunk x kColumnTile
//       multiply        per row tile a rank-1 update of kRowTile x kColumnTile accumulators each cycle
//       finish          add chunks and segments, epilogue, store
#pragma once

#include "../slots.hpp"
#include "finish.hpp"
#include "load.hpp"
#include "multiply.hpp"

namespace peelvit {

// All column tiles and chunks of one panel.
inline void gemm_steps(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, int steps, int row0, int rows,
                       const i16 (&panel)[kPanelDepth][kRowTile], acc_t (&partial)[kPanelRows][kColumnTile],
                       wide_t (&total)[kPanelRows][kColumnTile], GemmStatistics& statistics) {
#pragma HLS inline off
gemm_steps:
    for (int index = 0; index < steps; ++index) {
#pragma HLS loop_tripcount max = 256
        DATAFLOW(index == 0);
        GemmStep load;
        GemmStep product;
        GemmStep result;
        i16 tile[kChunk][kColumnTile];
#pragma HLS array_partition variable=tile type=complete dim=2
        acc_t sums[kPanelRows][kColumnTile];
#pragma HLS array_partition variable=sums type=complete dim=2
        PROCESS(next_step(job, index, load, product, result));
        PROCESS(load_tile(mem0, job, load, tile));
        COMPUTE(multiply(job, product, rows, panel, tile, sums));
        PROCESS(finish(mem1, mem2, job, result, row0, rows, sums, partial, total, statistics));
    }
}

inline void gemm_panel(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, int row0, int rows,
                       const i16 (&panel)[kPanelDepth][kRowTile], GemmStatistics& statistics) {
    acc_t partial[kPanelRows][kColumnTile];
    wide_t total[kPanelRows][kColumnTile];
#pragma HLS array_partition variable=partial type=cyclic factor=8 dim=2
#pragma HLS array_partition variable=total type=cyclic factor=8 dim=2
    const int steps = (job.columns + kColumnTile - 1) / kColumnTile * job.chunks;
    gemm_steps(mem0, mem1, mem2, job, steps, row0, rows, panel, partial, total, statistics);
}

// Run a job whose shapes, places and fractions are set.
inline void gemm(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, Slots& slots) {
#pragma HLS inline off
    i16 panel[kPanelDepth][kRowTile];
#pragma HLS array_partition variable=panel type=complete dim=2
    GemmStatistics statistics;
    statistics.out[kPatchRows] = no_statistics();
    statistics.out[kClassRows] = no_statistics();
    statistics.pre = no_statistics();
    const int panel_rows = smaller(kPanelRows, kPanelDepth / job.stride * kRowTile);  // lint: divider
panels:
    for (int row0 = 0; row0 < job.rows; row0 += panel_rows) {
#pragma HLS loop_tripcount max = 512
        const int rows = smaller(panel_rows, job.rows - row0);
        load_panel(mem1, job, row0, rows, panel);
        gemm_panel(mem0, mem1, mem2, job, row0, rows, panel, statistics);
    }
    const int out_fraction = job.has_gelu ? kGeluBits : job.fraction[kPatchRows];
    record(slots, job.slot[kPatchRows], statistics.out[kPatchRows], out_fraction);
    if (job.form == kNn) record(slots, job.slot[kClassRows], statistics.out[kClassRows], job.fraction[kClassRows]);
    if (job.has_gelu) record(slots, job.pre.slot, statistics.pre, job.fraction[kPatchRows]);
}

// A job with nothing optional in it.
inline GemmJob plain_job(GemmForm form, int rows, int columns, int contraction, int split, const Matrix& first, const Matrix& second, const Matrix& out) {
    GemmJob job;
    job.form = form;
    job.rows = rows;
    job.columns = columns;
    job.contraction = contraction;
    job.stride = kLanes * words16(contraction);
    job.split = split;
    job.first = first;
    job.second = second;
    job.out = out;
    job.bias = out;
    job.residual = out;
    job.pre = out;
    job.has_bias = false;
    job.has_residual = false;
    job.has_gelu = false;
    job.has_gelu_backward = false;
    job.accumulates = false;
    job.residual_period = rows;
    job.chunks = 0;
    job.f_bias = 0;
    job.f_pre = 0;
    for (int group = 0; group < 2; ++group) {
#pragma HLS unroll
        job.slot[group] = out.slot;
        job.f_residual[group] = 0;
        for (int segment = 0; segment < 3; ++segment) {
#pragma HLS unroll
            job.segment_shift[segment][group] = 0;
        }
    }
    return job;
}

}  // namespace peelvit

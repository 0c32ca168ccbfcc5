// The GEMM engine: out[i][j] = sum_c first[i][c] * second[c][j] for the three forms of a linear layer.
//
//   for panel of output rows, for group of column tiles, for chunk of the contraction
//     for column tile, for block of row tiles       a step, in a dataflow region:
//       load          what is new: rows of the block, the column tile, what the epilogue reads
//       multiply      a rank-2 update of kRowTile x kColumnTile accumulators each cycle
//       finish        add chunks and segments; epilogue, rounding
//       store         write
//
// Rows stay on chip over the column tiles of a group, a column tile over the row blocks of a panel. Where the contraction
// takes several chunks, a group has as many columns as sums can wait on chip.
#pragma once

#include "../slots.hpp"
#include "store.hpp"

namespace peelvit {

inline void gemm_steps(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, int steps, GemmWalk& walk, RowPanel& panel,
                       ColumnBuffer& column_tile, WaitingSums& waiting0, WaitingSums& waiting1, PartialRowSums& row_partial, TotalRowSums& row_total,
                       BiasWord& open_bias, GemmStatistics& statistics) {
#pragma HLS inline off
gemm_steps:
    for (int index = 0; index < steps; ++index) {
#pragma HLS loop_tripcount max = 170
        DATAFLOW(index == 0);
        GemmStep to_load;
        GemmStep to_multiply;
        GemmStep to_finish;
        GemmStep to_store;
        RowBuffer rows;
#pragma HLS array_partition variable=rows type=complete dim=1
#pragma HLS array_partition variable=rows type=complete dim=2
#pragma HLS stream variable=rows type=pipo depth=3
        ColumnBuffer columns;
#pragma HLS array_partition variable=columns type=complete dim=2
#pragma HLS array_partition variable=columns type=complete dim=3
#pragma HLS array_partition variable=columns type=complete dim=4
#pragma HLS stream variable=columns type=pipo depth=3
        ExtraBuffer extra;
#pragma HLS array_partition variable=extra type=complete dim=1
#pragma HLS stream variable=extra type=pipo depth=4
        SavedBuffer saved;
#pragma HLS array_partition variable=saved type=complete dim=1
#pragma HLS stream variable=saved type=pipo depth=4
        BiasBuffer beside_rows;
#pragma HLS bind_storage variable=beside_rows type=ram_s2p impl=lutram
#pragma HLS stream variable=beside_rows type=pipo depth=4
        SumBuffer sums;
#pragma HLS array_reshape variable=sums type=complete dim=2
#pragma HLS stream variable=sums type=fifo depth=32
        RowSumBuffer row_sums;
#pragma HLS stream variable=row_sums type=fifo depth=32
        ResultBuffer results;
#pragma HLS array_partition variable=results type=complete dim=1
#pragma HLS stream variable=results type=fifo depth=32
        ResultBuffer seconds;
#pragma HLS array_partition variable=seconds type=complete dim=1
#pragma HLS stream variable=seconds type=fifo depth=32
        BiasBuffer new_bias;
#pragma HLS stream variable=new_bias type=fifo depth=7
        PROCESS(next_step(job, walk, to_load, to_multiply, to_finish, to_store));
        AHEAD(load(mem0, mem1, mem2, job, to_load, rows, columns, extra, saved, beside_rows), kStepBuffers);
        COMPUTE(multiply(to_multiply, rows, columns, panel, column_tile, sums, row_sums));
        FED(finish(job, to_finish, sums, row_sums, extra, saved, beside_rows, waiting0, waiting1, row_partial, row_total, open_bias, results, seconds, new_bias, statistics), cycles_to_first_sums(to_multiply), cycles_from_last_sums(to_finish));
        FED(store_results(mem0, mem1, mem2, job, to_store, results, seconds, new_bias), kFinishDepth + kRowBeats, kStoreTail);
    }
}

// Run a job whose shapes, places and fractions are set.
inline void gemm(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, Slots& slots) {
#pragma HLS inline off
    RowPanel panel;
#pragma HLS array_partition variable=panel type=complete dim=1
#pragma HLS array_partition variable=panel type=complete dim=2
    ColumnBuffer column_tile;
#pragma HLS array_reshape variable=column_tile type=complete dim=2
#pragma HLS array_reshape variable=column_tile type=complete dim=3
#pragma HLS array_reshape variable=column_tile type=complete dim=4
    WaitingSums waiting0;
    WaitingSums waiting1;
#pragma HLS array_reshape variable=waiting0 type=complete dim=2
#pragma HLS array_reshape variable=waiting1 type=complete dim=2
    PartialRowSums row_partial;
    TotalRowSums row_total;
    BiasWord open_bias;
#pragma HLS array_partition variable=open_bias type=complete
    GemmStatistics statistics;
    statistics.bias = no_statistics();
    statistics.out[kPatchRows] = no_statistics();
    statistics.out[kClassRows] = no_statistics();
    statistics.pre = no_statistics();
    GemmWalk walk = start_of_walk();
    gemm_steps(mem0, mem1, mem2, job, count_steps(job), walk, panel, column_tile, waiting0, waiting1, row_partial, row_total, open_bias, statistics);
    const int out_fraction = job.has_gelu ? kGeluBits : int(job.fraction[kPatchRows]);
    record(slots, job.slot[kPatchRows], statistics.out[kPatchRows], out_fraction);
    if (job.form == kNn) record(slots, job.slot[kClassRows], statistics.out[kClassRows], job.fraction[kClassRows]);
    if (job.sums_rows) record(slots, job.bias.slot, statistics.bias, job.fraction[kPatchRows] - job.f_second);
    if (job.has_gelu) record(slots, job.pre.slot, statistics.pre, job.fraction[kPatchRows]);
}

// A job with nothing optional in it.
inline GemmJob plain_job(GemmForm form, int rows, int columns, int split, const Matrix& first, const Matrix& second, const Matrix& out) {
    GemmJob job;
    job.form = form;
    job.rows = rows;
    job.columns = columns;
    job.column_tiles = column_tiles_of(columns);
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
    job.adds_class_row = false;
    job.sums_rows = false;
    job.residual_period = rows;
    job.holds_both = false;
    job.chunks = 0;
    job.segments = 0;
    job.f_second = 0;
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

// The GEMM engine: out[i][j] = sum_c first[i][c] * second[c][j] for the three forms of a linear layer.
//
//   for panel of output rows, for group of column tiles, for chunk of the contraction
//     for column tile, for block of row tiles       a step, in a dataflow region; over a panel one of two column tiles:
//       load          what is new: rows of the block, the column tiles, what the epilogue reads
//       multiply      a rank-2 update of kRowTile x kColumnTile accumulators each cycle
//       finish        add chunks and segments; epilogue, rounding
//       update        pass on, or let gradients update the weight
//       store         write
//
// Rows stay on chip over the column tiles of a group, a column tile over the row blocks of a panel. Where the contraction
// takes several chunks, a group has as many columns as sums can wait on chip.
#pragma once

#include "../slots.hpp"
#include "store.hpp"
#include "walk.hpp"

namespace peelvit {

constexpr int kUpdateBlocks = 2;  // passes whose weights, low halves and momenta their FIFOs hold

inline void gemm_steps(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const SgdUpdate& by, int steps, GemmWalk& walk, TurnedBlock& turned, RowPanel& panel,
                       KeptColumns& column_tile, WaitingSums& waiting0, WaitingSums& waiting1, PartialRowSums& row_partial, TotalRowSums& row_total,
                       BiasWord& open_bias, GemmStatistics& statistics, Renewal& renewal) {
#pragma HLS inline off
gemm_steps:
    for (int index = 0; index <= steps; ++index) {
#pragma HLS loop_tripcount max = 170
        DATAFLOW(index == 0);
        GemmStep to_load;
        GemmStep behind;
        GemmStep to_multiply;
        GemmStep to_finish;
        GemmStep to_update;
        GemmStep to_store;
        RowBuffer rows;
#pragma HLS array_partition variable=rows type=complete dim=1
#pragma HLS array_partition variable=rows type=complete dim=2
#pragma HLS bind_storage variable=rows type=ram_s2p impl=bram
#pragma HLS stream variable=rows type=pipo depth=3
        ColumnBuffer columns;
#pragma HLS array_partition variable=columns type=complete dim=2
#pragma HLS array_reshape variable=columns type=complete dim=3
#pragma HLS array_partition variable=columns type=complete dim=4
#pragma HLS stream variable=columns type=fifo depth=512
        ExtraBuffer extra;
#pragma HLS array_partition variable=extra type=complete dim=1
#pragma HLS stream variable=extra type=pipo depth=4
        SavedBuffer saved;
#pragma HLS array_partition variable=saved type=complete dim=1
#pragma HLS stream variable=saved type=pipo depth=4
        BiasBuffer beside_rows;
#pragma HLS bind_storage variable=beside_rows type=ram_s2p impl=lutram
#pragma HLS stream variable=beside_rows type=pipo depth=4
        WeightBuffer lows;
#pragma HLS array_partition variable=lows type=complete dim=2
#pragma HLS stream variable=lows type=fifo depth=42
        WeightBuffer old_weights;
#pragma HLS array_partition variable=old_weights type=complete dim=2
#pragma HLS stream variable=old_weights type=fifo depth=42
#pragma HLS bind_storage variable=old_weights type=fifo impl=bram
        StateBuffer momenta;
#pragma HLS array_partition variable=momenta type=complete dim=2
#pragma HLS array_partition variable=momenta type=complete dim=3
#pragma HLS stream variable=momenta type=fifo depth=42
        SumBuffer sums;
#pragma HLS array_reshape variable=sums type=complete dim=2
#pragma HLS stream variable=sums type=fifo depth=32
        RowSumBuffer row_sums;
#pragma HLS stream variable=row_sums type=fifo depth=32
        MadeBuffer made;
#pragma HLS array_reshape variable=made type=complete dim=2
#pragma HLS stream variable=made type=fifo depth=32
#pragma HLS bind_storage variable=made type=fifo impl=bram
        ResultBuffer results;
#pragma HLS array_partition variable=results type=complete dim=2
#pragma HLS stream variable=results type=fifo depth=32
#pragma HLS bind_storage variable=results type=fifo impl=bram
        SecondBuffer seconds;
#pragma HLS array_partition variable=seconds type=complete dim=2
#pragma HLS array_partition variable=seconds type=complete dim=3
#pragma HLS stream variable=seconds type=fifo depth=32
#pragma HLS bind_storage variable=seconds type=fifo impl=bram
        WeightBuffer weights;
#pragma HLS array_partition variable=weights type=complete dim=2
#pragma HLS stream variable=weights type=fifo depth=32
#pragma HLS bind_storage variable=weights type=fifo impl=bram
        BiasBuffer new_bias;
#pragma HLS stream variable=new_bias type=fifo depth=7
        PROCESS(next_step(job, walk, to_load, behind, to_multiply, to_finish, to_update, to_store));
        STOCKS(load(mem0, mem1, mem2, job, to_load, behind, turned, rows, columns, extra, saved, beside_rows, lows, old_weights, momenta), kStepBuffers, 3, updates_weights(job, to_load) ? kUpdateBlocks : 0, new_pairs(to_load) * to_load.new_tiles, kColumnPairs);
        DRAWS(multiply(to_multiply, rows, columns, panel, column_tile, sums, row_sums), to_multiply.column_tiles > to_multiply.new_tiles ? cycles_apart(to_multiply) : 0, new_pairs(to_multiply), to_multiply.new_tiles, cycles_apart(to_multiply));
        FED(finish(job, to_finish, sums, row_sums, extra, saved, beside_rows, waiting0, waiting1, row_partial, row_total, open_bias, made, new_bias, statistics), cycles_to_first_sums(to_multiply), cycles_from_last_sums(to_finish));
        FED(update(job, to_update, by, made, lows, old_weights, momenta, results, seconds, weights, renewal), kFinishDepth + kRowBeats, cycles_to_first_words(job));
        FED(store_results(mem0, mem1, mem2, job, to_store, results, seconds, weights, new_bias), cycles_to_first_words(job), kStoreTail);
    }
}

// Run a job whose shapes, places and fractions are set.
inline void gemm(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& made, const SgdUpdate& update, RowPanel& panel,
                 KeptColumns& column_tile, Held& held, Slots& slots) {
#pragma HLS inline off
    GemmJob job = made;
    job.is_short_update = job.form == kTn && job.updates && !job.accumulates && job.chunks == 1;
    job.part_tiles = column_tiles_of(job);
    const int tiles = natural<8>(unsigned(job.part_tiles));
    job.last_columns = job.columns - (tiles - 1) * tile_columns(job);
    job.column_tiles = job.parts == 1 ? tiles : kColumnParts * tiles;
    job.has_rows = job.may_have_rows && is_same(held.rows, held_rows_of(job));
    job.keeps_columns = job.chunks == 1 && short_product(job.column_tiles, pairs_of(job.segment[0].count)) <= kKeptPairs;
    job.has_room_for_two = 2 * pairs_of(job.chunks == 1 ? int(job.segment[0].count) : int(kChunk)) <= kColumnPairs;
    job.held_tiles = 0;
    if (job.may_have_columns && is_same(held.columns, held_columns_of(job)))
        job.held_tiles = job.form == kTn ? int(job.column_tiles) : tiles_that_stay(job.columns, job.segment[0].count);
    if (job.rows > 0) held.rows = held_rows_of(job);
    if (job.next_tiles > 0)
        held.columns = held_weights(job);
    else
        held.columns = job.form == kTn && job.keeps_columns ? held_columns_of(job) : no_matrix();
    WaitingSums waiting0;
    WaitingSums waiting1;
#pragma HLS array_reshape variable=waiting0 type=complete dim=2
#pragma HLS bind_storage variable=waiting0 type=ram_s2p impl=bram
#pragma HLS array_reshape variable=waiting1 type=complete dim=2
#pragma HLS bind_storage variable=waiting1 type=ram_s2p impl=bram
    PartialRowSums row_partial;
    TotalRowSums row_total;
    BiasWord open_bias;
#pragma HLS array_partition variable=open_bias type=complete
    GemmStatistics statistics;
    statistics.bias = no_statistics();
    statistics.out[kPatchRows] = no_statistics();
    statistics.out[kClassRows] = no_statistics();
    statistics.pre = no_statistics();
    Renewal renewal = no_renewal();
    GemmWalk walk = start_of_walk(job);
    TurnedBlock turned;
    turned.order = 0;
#pragma HLS array_partition variable=turned.element type=complete dim=1
#pragma HLS array_partition variable=turned.element type=complete dim=2
    gemm_steps(mem0, mem1, mem2, job, update, count_steps(job), walk, turned, panel, column_tile, waiting0, waiting1, row_partial, row_total, open_bias, statistics, renewal);
    const int out_fraction = job.has_gelu ? kGeluBits : int(job.fraction[kPatchRows]);
    if (job.has_products) record(slots, job.slot[kPatchRows], statistics.out[kPatchRows], out_fraction);
    if (job.form == kNn) record(slots, job.slot[kClassRows], statistics.out[kClassRows], job.fraction[kClassRows]);
    if (job.sums_rows) record(slots, job.bias.slot, statistics.bias, job.fraction[kPatchRows] - job.f_second);
    if (job.has_gelu) record(slots, job.pre.slot, statistics.pre, job.fraction[kPatchRows]);
    if (job.updates) renew(slots, job.weight.slot, update.scale, renewal);
}

// A job with nothing optional in it.
inline GemmJob plain_job(GemmForm form, int rows, int columns, int split, const Matrix& first, const Matrix& second, const Matrix& out) {
    GemmJob job;
    job.form = form;
    job.rows = rows;
    job.columns = columns;
    job.parts = 1;
    job.between = 0;
    job.split = split;
    job.first = first;
    job.second = second;
    job.out = out;
    job.bias = out;
    job.residual = out;
    job.pre = out;
    job.state = out;
    job.weight = out;
    job.may_have_rows = false;
    job.may_have_columns = false;
    job.next.matrix = second;
    job.next.columns = 0;
    job.next.length = 0;
    job.next_tiles = 0;
    job.has_products = true;
    job.has_bias = false;
    job.has_residual = false;
    job.has_gelu = false;
    job.has_gelu_backward = false;
    job.accumulates = false;
    job.updates = false;
    job.is_short_update = false;
    job.adds_class_row = false;
    job.sums_rows = false;
    job.residual_period = larger(rows, 1);
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

// Have the first weights of a later job on chip when this one has ended.
inline void set_next(GemmJob& job, const Matrix& weights, int columns, int length) {
    job.next.matrix = weights;
    job.next.columns = columns;
    job.next.length = length;
    job.next_tiles = columns > 0 ? tiles_that_stay(columns, length) : 0;
}

// Let the job's gradients update a weight.
inline void set_update(GemmJob& job, const Matrix& state, const Matrix& weight) {
    job.updates = true;
    job.state = state;
    job.weight = weight;
}

}  // namespace peelvit

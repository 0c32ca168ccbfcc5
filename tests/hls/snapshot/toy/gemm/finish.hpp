// What becomes of the sums of a step: added over chunks and segments, then the epilogue, rounding and storing.
#pragma once

#include "../fixed.hpp"
#include "../functions.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kFinishDepth = 24;
constexpr int kFinishLanes = kPorts * kLanes;  // sums of a row that are finished in a cycle

// Sums that wait for further chunks: within a segment, and over the segments before it.
using PartialSums = acc_t[kSumRows * kPortWords][kFinishLanes];
using TotalSums = wide_t[kSumRows * kPortWords][kFinishLanes];

// The same for the sums of the first operand, by row of the panel.
using PartialRowSums = acc_t[kPanelRows];
using TotalRowSums = wide_t[kPanelRows];

struct GemmStatistics {
    Statistics out[2];
    Statistics pre;
    Statistics bias;
};

// The sums within the open segment and over all closed ones.
struct RunningSum {
    acc_t partial;
    wide_t total;
};

inline RunningSum add_chunk(const Chunk& chunk, acc_t sum, int shift, acc_t partial, wide_t total) {
#pragma HLS inline
    const acc_t before = chunk.opens ? acc_t(0) : partial;
    const wide_t earlier = chunk.segment == 0 ? wide_t(0) : total;
    RunningSum running;
    running.partial = before + sum;
    running.total = chunk.closes ? wide_t(earlier + round_shift(wide_t(running.partial), shift)) : earlier;
    return running;
}

inline void accumulate(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, PartialSums& partial, TotalSums& total) {
accumulate_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
    accumulate_words:
        for (int w = 0; w < kPortWords; ++w) {
            PIPELINE((i | w) == 0, 1, 8);
            const int shift = job.segment_shift[step.chunk.segment][row_group(job, step.row + i)];
            const int place = (step.sum_row + i) * kPortWords + w;
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                    const int lane = kLanes * port + l;
                    const acc_t sum = sums[i][kLanes * (port * kPortWords + w) + l];
                    const RunningSum running = add_chunk(step.chunk, sum, shift, partial[place][lane], total[place][lane]);
                    partial[place][lane] = running.partial;
                    total[place][lane] = running.total;
                }
            }
        }
    }
}

// The finished sum of one element.
inline wide_t finished_sum(const GemmJob& job, const GemmStep& step, int i, int port, int w, int l, const SumBuffer& sums,
                           const PartialSums& partial, const TotalSums& total) {
#pragma HLS inline
    const int shift = job.segment_shift[step.chunk.segment][row_group(job, step.row + i)];
    const int place = (step.sum_row + i) * kPortWords + w;
    const int lane = kLanes * port + l;
    const bool waits = job.chunks > 1;
    const acc_t before = waits ? partial[place][lane] : acc_t(0);
    const wide_t earlier = waits ? total[place][lane] : wide_t(0);
    return add_chunk(step.chunk, sums[i][kLanes * (port * kPortWords + w) + l], shift, before, earlier).total;
}

// One activation from its sum: epilogue and rounding. `y` is what `out` stores, `pre` the input of GELU where there is one.
inline void activation(const GemmJob& job, int group, wide_t sum, i16 bias, i16 residual, i16 saved, GemmStatistics& statistics, i16& y, i16& pre) {
#pragma HLS inline
    wide_t acc = sum;
    const int fraction = job.fraction[group];
    if (job.has_gelu_backward) acc = acc * wide_t(gelu_slope(saved, job.f_pre));
    if (job.has_bias) acc = acc + align(wide_t(bias), job.f_bias, fraction);
    if (job.has_residual) acc = acc + align(wide_t(residual), job.f_residual[group], fraction);
    if (job.has_gelu) {
        pre = i16(store(acc, fraction - job.f_pre, 16, statistics.pre));
        y = i16(store(gelu_value(pre, job.f_pre), kGeluBits - job.f_out[group], 16, statistics.out[group]));
    } else {
        pre = 0;
        y = i16(store(acc, fraction - job.f_out[group], 16, statistics.out[group]));
    }
}

// Each port writes its part of a row; with GELU the row of its inputs first, then the row of its values.
inline void store_activations(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const SumBuffer& sums,
                              const ExtraBuffer& extra, const SavedBuffer& saved, const PartialSums& partial, const TotalSums& total,
                              GemmStatistics& statistics) {
    const int words = port_words(step.columns);
    const unsigned column_word = unsigned(step.column / kLanes);
store_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const int row = step.row + i;
        const int group = row_group(job, row);
        const unsigned y_address = job.out.address + unsigned(row) * unsigned(job.out.pitch) + column_word;
        const unsigned pre_address = job.pre.address + unsigned(row) * unsigned(job.pre.pitch) + column_word;
    store_passes:
        for (int pass = job.has_gelu ? 0 : 1; pass < 2; ++pass) {
#pragma HLS loop_tripcount max = 2
            const bool stores_y = pass == 1;
            const unsigned address = stores_y ? y_address : pre_address;
        store_words:
            for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 1
                PIPELINE(i == 0 && w == 0 && (pass == 0 || !job.has_gelu), 1, kFinishDepth);
                word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    const word_t bias = extra[port][w];
                    const word_t residual = extra[port][(1 + i) * kPortWords + w];
                    const word_t before_gelu = saved[port][i * kPortWords + w];
                    const bool counts = stores_y && is_first_port(port, w, step.columns);
                    word[port] = zero_word();
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        const int column = kLanes * (port_start(port, step.columns) + w) + l;
                        if (column < step.columns) {
                            const wide_t sum = finished_sum(job, step, i, port, w, l, sums, partial, total);
                            GemmStatistics seen = statistics;
                            i16 y = 0;
                            i16 pre = 0;
                            activation(job, group, sum, get16(bias, l), get16(residual, l), get16(before_gelu, l), seen, y, pre);
                            if (counts) statistics = seen;
                            put16(word[port], l, stores_y ? y : pre);
                        }
                    }
                }
                write_word<0>(mem0, address + unsigned(port_start(0, step.columns) + w), word[0]);
                write_word<1>(mem1, address + unsigned(port_start(1, step.columns) + w), word[1]);
                write_word<2>(mem2, address + unsigned(port_start(2, step.columns) + w), word[2]);
            }
        }
    }
}

// Weight gradients: int32, so two words for eight columns.
inline void store_gradients(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const SumBuffer& sums,
                            const ExtraBuffer& extra, const PartialSums& partial, const TotalSums& total, GemmStatistics& statistics) {
store_gradient_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const unsigned address = job.out.address + unsigned(step.row + i) * unsigned(job.out.pitch) + unsigned(2 * (step.column / kLanes));
    store_gradient_words:
        for (int w = 0; w < 2 * port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 1, kFinishDepth);
            word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const word_t before = extra[port][2 * i * kPortWords + w];
                const bool counts = is_first_port(port, w / 2, step.columns);
                word[port] = zero_word();
                for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
                    const int lane = kWideLanes * (w % 2) + l;
                    const int column = kLanes * (port_start(port, step.columns) + w / 2) + lane;
                    if (column < step.columns) {
                        const wide_t sum = finished_sum(job, step, i, port, w / 2, lane, sums, partial, total);
                        const wide_t old = align(wide_t(get32(before, l)), job.f_out[kPatchRows], job.fraction[kPatchRows]);
                        const wide_t acc = job.accumulates ? wide_t(sum + old) : sum;
                        Statistics seen = statistics.out[kPatchRows];
                        put32(word[port], l, i32(store(acc, job.fraction[kPatchRows] - job.f_out[kPatchRows], 32, seen)));
                        if (counts) statistics.out[kPatchRows] = seen;
                    }
                }
            }
            write_word<0>(mem0, address + unsigned(2 * port_start(0, step.columns) + w), word[0]);
            write_word<1>(mem1, address + unsigned(2 * port_start(1, step.columns) + w), word[1]);
            write_word<2>(mem2, address + unsigned(2 * port_start(2, step.columns) + w), word[2]);
        }
    }
}

inline void accumulate_rows(const GemmJob& job, const GemmStep& step, const RowSumBuffer& row_sums, PartialRowSums& row_partial,
                            TotalRowSums& row_total) {
    const int shift = job.segment_shift[step.chunk.segment][kPatchRows];
row_sums:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        PIPELINE(i == 0, 1, 8);
        const int place = step.panel_tile * kRowTile + i;
        const RunningSum running = add_chunk(step.chunk, row_sums[i], shift, row_partial[place], row_total[place]);
        row_partial[place] = running.partial;
        row_total[place] = running.total;
    }
}

// The bias gradients of a panel.
inline void store_bias_gradient(word_t* mem0, const GemmJob& job, const GemmStep& step, const BiasBuffer& old_bias,
                                const TotalRowSums& row_total, Statistics& statistics) {
    const unsigned address = bias_address(job, step);
    const int fraction = job.fraction[kPatchRows] - job.f_second;
store_bias_gradient:
    for (int w = 0; w < words32(step.stored_sums); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kFinishDepth);
        word_t word = zero_word();
        for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
            const int row = kWideLanes * w + l;
            if (row < step.stored_sums) {
                const wide_t old = align(wide_t(get32(old_bias[w], l)), job.f_bias, fraction);
                const wide_t acc = job.accumulates ? wide_t(row_total[row] + old) : row_total[row];
                put32(word, l, i32(store(acc, fraction - job.f_bias, 32, statistics)));
            }
        }
        write_word<0>(mem0, address + unsigned(w), word);
    }
}

inline void finish(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const SumBuffer& sums,
                   const ExtraBuffer& extra, const SavedBuffer& saved, const RowSumBuffer& row_sums, const BiasBuffer& old_bias, PartialSums& partial, TotalSums& total,
                   PartialRowSums& row_partial, TotalRowSums& row_total, GemmStatistics& statistics) {
    if (step.sums_rows) accumulate_rows(job, step, row_sums, row_partial, row_total);
    if (step.stored_sums > 0) store_bias_gradient(mem0, job, step, old_bias, row_total, statistics.bias);
    if (!step.closes_sum)
        accumulate(job, step, sums, partial, total);
    else if (job.form == kTn)
        store_gradients(mem0, mem1, mem2, job, step, sums, extra, partial, total, statistics);
    else
        store_activations(mem0, mem1, mem2, job, step, sums, extra, saved, partial, total, statistics);
}

}  // namespace peelvit

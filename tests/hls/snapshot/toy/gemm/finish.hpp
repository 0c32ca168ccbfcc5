// What becomes of the sums of a chunk: added over chunks and segments, then the epilogue, rounding and storing.
#pragma once

#include "../fixed.hpp"
#include "../functions.hpp"
#include "job.hpp"

namespace peelvit {

constexpr int kFinishDepth = 24;

struct GemmStatistics {
    Statistics out[2];
    Statistics pre;
};

// The sum over all segments so far, after this chunk; what is not finished stays in `partial` and `total`.
inline wide_t add_chunk(const GemmStep& step, acc_t chunk_sum, int shift, acc_t& partial, wide_t& total) {
#pragma HLS inline
    const acc_t before = step.chunk.opens ? acc_t(0) : partial;
    const acc_t segment = before + chunk_sum;
    partial = segment;
    if (step.chunk.closes) {
        const wide_t earlier = step.chunk.segment == 0 ? wide_t(0) : total;
        const wide_t shifted = round_shift(wide_t(segment), shift);
        total = earlier + shifted;
    }
    return total;
}

inline void accumulate(const GemmJob& job, const GemmStep& step, int row0, int rows, const acc_t (&sums)[kPanelRows][kColumnTile],
                       acc_t (&partial)[kPanelRows][kColumnTile], wide_t (&total)[kPanelRows][kColumnTile]) {
accumulate_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 24
    accumulate_words:
        for (int w = 0; w < kColumnTile / kLanes; ++w) {
            PIPELINE((i | w) == 0, 1, 4);
            const int shift = job.segment_shift[step.chunk.segment][row_group(job, row0 + i)];
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const int j = kLanes * w + lane;
                add_chunk(step, sums[i][j], shift, partial[i][j], total[i][j]);
            }
        }
    }
}

inline void load_bias(const word_t* mem1, const GemmJob& job, const GemmStep& step, i16 (&bias)[kColumnTile]) {
bias_words:
    for (int w = 0; w < kColumnTile / kLanes; ++w) {
        PIPELINE(w == 0, 1, kReadLatency);
        word_t word = zero_word();
        if (job.has_bias && step.column + kLanes * w < job.columns) word = read_word<1>(mem1, job.bias.address + unsigned(step.column / kLanes + w));
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            bias[kLanes * w + lane] = get16(word, lane);
        }
    }
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

inline void store_activations(word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, int row0, int rows,
                              const acc_t (&sums)[kPanelRows][kColumnTile], acc_t (&partial)[kPanelRows][kColumnTile],
                              wide_t (&total)[kPanelRows][kColumnTile], GemmStatistics& statistics) {
    i16 bias[kColumnTile];
#pragma HLS array_partition variable=bias type=complete
    load_bias(mem1, job, step, bias);
    const int words = words16(smaller(kColumnTile, job.columns - step.column));
    int residual_row = row0 % job.residual_period;  // lint: divider
store_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 24
    store_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 1, kReadLatency + kFinishDepth);
            const int row = row0 + i;
            const int group = row_group(job, row);
            const int shift = job.segment_shift[step.chunk.segment][group];
            const unsigned word_index = unsigned(step.column / kLanes + w);
            word_t residual = zero_word();
            word_t saved = zero_word();
            if (job.has_residual) residual = read_word<1>(mem1, job.residual.address + unsigned(residual_row) * unsigned(job.residual.pitch) + word_index);
            if (job.has_gelu_backward) saved = read_word<2>(mem2, job.pre.address + unsigned(row) * unsigned(job.pre.pitch) + word_index);
            word_t y = zero_word();
            word_t pre = zero_word();
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const int j = kLanes * w + lane;
                if (step.column + j < job.columns) {
                    const wide_t sum = add_chunk(step, sums[i][j], shift, partial[i][j], total[i][j]);
                    i16 y_lane = 0;
                    i16 pre_lane = 0;
                    activation(job, group, sum, bias[j], get16(residual, lane), get16(saved, lane), statistics, y_lane, pre_lane);
                    put16(y, lane, y_lane);
                    put16(pre, lane, pre_lane);
                }
            }
            write_word<2>(mem2, job.out.address + unsigned(row) * unsigned(job.out.pitch) + word_index, y);
            if (job.has_gelu) write_word<1>(mem1, job.pre.address + unsigned(row) * unsigned(job.pre.pitch) + word_index, pre);
        }
        ++residual_row;
        if (residual_row == job.residual_period) residual_row = 0;
    }
}

// Weight gradients: int32, so two words for eight columns.
inline void store_gradients(word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, int row0, int rows,
                            const acc_t (&sums)[kPanelRows][kColumnTile], acc_t (&partial)[kPanelRows][kColumnTile],
                            wide_t (&total)[kPanelRows][kColumnTile], GemmStatistics& statistics) {
    const int words = words16(smaller(kColumnTile, job.columns - step.column));
gradient_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 24
    gradient_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 2, kReadLatency + kFinishDepth);
            const int shift = job.segment_shift[step.chunk.segment][kPatchRows];
            const unsigned address = job.out.address + unsigned(row0 + i) * unsigned(job.out.pitch) + unsigned(2 * (step.column / kLanes + w));
            word_t word[2];
#pragma HLS array_partition variable=word type=complete
            for (int half = 0; half < 2; ++half) {
#pragma HLS unroll
                word_t before = zero_word();
                if (job.accumulates) before = read_word<1>(mem1, address + unsigned(half));
                word[half] = zero_word();
                for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
                    const int j = kLanes * w + kWideLanes * half + lane;
                    if (step.column + j < job.columns) {
                        const wide_t sum = add_chunk(step, sums[i][j], shift, partial[i][j], total[i][j]);
                        const wide_t old = align(wide_t(get32(before, lane)), job.f_out[kPatchRows], job.fraction[kPatchRows]);
                        const wide_t acc = job.accumulates ? wide_t(sum + old) : sum;
                        put32(word[half], lane, i32(store(acc, job.fraction[kPatchRows] - job.f_out[kPatchRows], 32, statistics.out[kPatchRows])));
                    }
                }
            }
            for (int half = 0; half < 2; ++half) {
#pragma HLS unroll
                write_word<2>(mem2, address + unsigned(half), word[half]);
            }
        }
    }
}

inline void finish(word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, int row0, int rows,
                   const acc_t (&sums)[kPanelRows][kColumnTile], acc_t (&partial)[kPanelRows][kColumnTile],
                   wide_t (&total)[kPanelRows][kColumnTile], GemmStatistics& statistics) {
    if (!step.closes_sum)
        accumulate(job, step, row0, rows, sums, partial, total);
    else if (job.form == kTn)
        store_gradients(mem1, mem2, job, step, row0, rows, sums, partial, total, statistics);
    else
        store_activations(mem1, mem2, job, step, row0, rows, sums, partial, total, statistics);
}

}  // namespace peelvit

// What becomes of sums: they are added over the contraction, then the epilogue, and rounding.
//
// Twelve sums a cycle, four columns of each port's: as many as int32 results leave the chip in a cycle, and with int16
// results still no slower than the multipliers hand them on.
#pragma once

#include "../functions.hpp"
#include "accumulate.hpp"

namespace peelvit {

constexpr int kFinishDepth = 40;

// Words of a step's results, in the order in which they are written; and of a panel's bias gradients.
using ResultBuffer = word_t[kPorts][kStepRows * kRowBeats];

struct GemmStatistics {
    Statistics out[2];
    Statistics pre;
    Statistics bias;
};

inline void merge(Statistics& statistics, const Statistics& seen) {
    statistics.bits |= seen.bits;
    statistics.saturations += seen.saturations;
}

// A store by `shift` of 16 or 32 bits through one shifter. What a left shift finds beyond 33 bits saturates as well with
// less.
struct StoreShift {
    RaisedShift by;
    bool is_left;
};

inline StoreShift store_shift_of(int shift) {
    StoreShift stored;
    stored.is_left = shift < 0;
    stored.by = raised_shift_of(shift, 63, 0);
    if (stored.is_left) stored.by.right = u6(kMaxAlign - smaller(-shift, kMaxAlign));
    return stored;
}

inline i32 store_either(wide_t value, const StoreShift& stored, bool is_wide, Statistics& statistics) {
#pragma HLS inline
    statistics.bits |= uwide_t(value ^ (value >> 63));
    const wide_t raised = stored.is_left ? wide_t(wide_t(bounded33(value)) << kMaxAlign) : value;
    const i33 near = bounded33(wide_t(raised >> stored.by.right));
    const i33 rounded = stored.by.leaves_nothing ? i33(0) : (stored.by.rounds ? i33((near + 1) >> 1) : near);
    const i33 limit = is_wide ? i33(0x7FFFFFFF) : i33(0x7FFF);
    const i33 least = is_wide ? i33(-0x7FFFFFFF) : i33(-0x7FFF);
    const i32 kept = i32(rounded > limit ? limit : (rounded < least ? least : rounded));
    if (kept != rounded) ++statistics.saturations;
    return kept;
}

// How the rows of a group are finished.
struct Epilogue {
    RaisedShift segment;
    RaisedShift addend;
    StoreShift input;  // with GELU
    StoreShift out;
};

inline void set_epilogue(const GemmJob& job, const GemmStep& step, int group, Epilogue& epilogue) {
    const int fraction = job.fraction[group];
    epilogue.segment = segment_shift(job, step, group);
    epilogue.addend = raised_shift_of((job.accumulates ? job.f_out[group] : job.f_residual[group]) - fraction, 32, kMaxAlign);
    epilogue.input = store_shift_of(fraction - job.f_pre);
    epilogue.out = store_shift_of((job.has_gelu ? kGeluBits : fraction) - job.f_out[group]);
}

// One element from its sum: with GELU also its input. `addend` is a residual or the gradient that is added to.
struct Finished {
    i16 input;
    i32 out;
};

inline Finished finished_element(const GemmJob& job, const Epilogue& epilogue, total_t total, wide_t bias, i32 addend, i16 saved,
                       Statistics& seen_input, Statistics& seen_out) {
#pragma HLS inline
    const wide_t added = job.has_residual || job.accumulates ? shift_raised(addend, kMaxAlign, epilogue.addend) : wide_t(0);
    const wide_t before = total + bias;
    const wide_t linear = before + added;
    Finished result;
    result.input = 0;
    wide_t acc = linear;
    if (job.has_gelu) {
        result.input = i16(store_either(linear, epilogue.input, false, seen_input));
        acc = gelu_value(result.input, job.f_pre);
    }
    if (job.has_gelu_backward) acc = multiply(sum_t(total), i18(gelu_slope(saved, job.f_pre))) + added;
    result.out = store_either(acc, epilogue.out, job.form == kTn, seen_out);
    return result;
}

// The step's sums, a row in kRowBeats cycles. The bias comes as the line before the first row: it is aligned in the same
// lanes and kept.
inline void finish_rows(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums,
                        const ExtraBuffer& extra, const SavedBuffer& saved, PartialSums& partial, TotalSums& total,
                        PartialRowSums& row_partial, TotalRowSums& row_total, ResultBuffer& results, ResultBuffer& inputs,
                        GemmStatistics& statistics) {
    const bool is_wide = job.form == kTn;
    const int beats = 2 * port_words(step.columns);
    const int first_line = step.closes_sum && job.has_bias ? 0 : 1;
    const RaisedShift bias_shift = raised_shift_of(job.f_bias - job.fraction[kPatchRows], 16, kMaxAlign);
    Epilogue epilogues[2];
#pragma HLS array_partition variable=epilogues type=complete
    set_epilogue(job, step, kPatchRows, epilogues[kPatchRows]);
    set_epilogue(job, step, kClassRows, epilogues[kClassRows]);
    chunk_t row_of_sums[kPorts][kRowBeats][kWideLanes];
#pragma HLS array_partition variable=row_of_sums type=complete dim=0
    i48 bias[kRowBeats][kFinishLanes];
#pragma HLS array_reshape variable=bias type=complete dim=2
    PortWords word;
#pragma HLS array_partition variable=word type=complete
    PortWords input;
#pragma HLS array_partition variable=input type=complete
    int result = 0;  // place of the next result words
finish_lines:
    for (int line = first_line; line <= step.rows; ++line) {
#pragma HLS loop_tripcount max = 21
    finish_beats:
        for (int beat = 0; beat < beats; ++beat) {
#pragma HLS loop_tripcount max = 2
            PIPELINE(line == first_line && beat == 0, 1, kFinishDepth);
            const bool is_bias = line == 0;
            const int i = is_bias ? 0 : line - 1;
            const int w = beat / 2;
            const int half = beat % 2;
            const int group = row_group(job, step.row + i);
            const Epilogue epilogue = epilogues[group];
            if (beat == 0 && !is_bias) {
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    for (int b = 0; b < kRowBeats; ++b) {
#pragma HLS unroll
                        for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
                            row_of_sums[port][b][l] = sums[i][kWideLanes * (port * kRowBeats + b) + l];
                        }
                    }
                }
                const int place = step.panel_row + i;
                const RunningSum running = add_chunk(step.chunk, row_sums[i], epilogue.segment, row_partial[place], row_total[place]);
                if (step.sums_rows) {
                    row_partial[place] = running.partial;
                    row_total[place] = running.total;
                }
            }
            const int waiting = step.waits ? (step.sum_row + i) * kRowBeats + beat : 0;
            Statistics seen_input = no_statistics();
            Statistics seen_out = no_statistics();
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const word_t first = extra[port][line * kPortWords + w];
                const word_t second = saved[port][i * kPortWords + w];
                const bool is_first = is_first_port(port, w, step.columns);
                for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
                    const int lane = kWideLanes * port + l;
                    const RunningSum running = add_chunk(step.chunk, row_of_sums[port][beat][l], epilogue.segment, partial[waiting][lane], total[waiting][lane]);
                    if (step.waits && !is_bias) {
                        partial[waiting][lane] = running.partial;
                        total[waiting][lane] = running.total;
                    }
                    const i16 narrow_addend = get16(first, kWideLanes * half + l);
                    const i32 addend = is_wide ? get32(half == 0 ? first : second, l) : i32(narrow_addend);
                    if (is_bias) bias[beat][lane] = i48(shift_raised(narrow_addend, kMaxAlign, bias_shift));
                    const wide_t aligned_bias = job.has_bias ? wide_t(bias[beat][lane]) : wide_t(0);
                    const int column = kLanes * (port_start(port, step.columns) + w) + kWideLanes * half + l;
                    Statistics own_input = no_statistics();
                    Statistics own_out = no_statistics();
                    Finished made = finished_element(job, epilogue, running.total, aligned_bias, addend, get16(second, kWideLanes * half + l), own_input, own_out);
                    if (column >= step.columns) {
                        made.input = 0;
                        made.out = 0;
                    } else if (is_first) {
                        merge(seen_input, own_input);
                        merge(seen_out, own_out);
                    }
                    put16(input[port], kWideLanes * half + l, made.input);
                    if (is_wide)
                        put32(word[port], l, made.out);
                    else
                        put16(word[port], kWideLanes * half + l, i16(made.out));
                }
            }
            if (step.closes_sum && !is_bias) {
                merge(statistics.pre, seen_input);
                merge(statistics.out[group], seen_out);
                if (is_wide || half == 1) {
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        results[port][result] = word[port];
                        if (job.has_gelu) inputs[port][result] = input[port];
                    }
                    ++result;
                }
            }
        }
    }
}

// The bias gradients of a panel, an element a cycle.
inline void finish_bias_gradient(const GemmJob& job, const GemmStep& step, const BiasBuffer& old_bias, const TotalRowSums& row_total,
                                 BiasBuffer& new_bias, Statistics& statistics) {
    const int fraction = job.fraction[kPatchRows] - job.f_second;
    const RaisedShift old_shift = raised_shift_of(job.f_bias - fraction, 32, kMaxAlign);
    const StoreShift stored = store_shift_of(fraction - job.f_bias);
    word_t word = zero_word();
finish_bias_gradient:
    for (int row = 0; row < kWideLanes * words32(step.stored_sums); ++row) {
#pragma HLS loop_tripcount max = 40
        PIPELINE(row == 0, 1, kFinishDepth);
        const int lane = row % kWideLanes;
        i32 kept = 0;
        if (row < step.stored_sums) {
            const wide_t old = shift_raised(get32(old_bias[row / kWideLanes], lane), kMaxAlign, old_shift);
            const wide_t sum = row_total[row];
            kept = store_either(job.accumulates ? wide_t(sum + old) : sum, stored, true, statistics);
        }
        for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
            if (lane == l) put32(word, l, kept);
        }
        if (lane == kWideLanes - 1) new_bias[row / kWideLanes] = word;
    }
}

// For the schedule: from the start of `multiply` to its first row of sums, and from its end to that of `finish`.
inline int cycles_to_first_sums(const GemmStep& step) { return turn_of(step.chunk) + kMultiplyDepth; }
inline int cycles_from_last_sums(const GemmStep& step) {
    const int rows = step.rows - (step.tiles - 1) * kRowTile;  // of the last tile
    return rows * kRowBeats + kFinishDepth + (step.stored_sums > 0 ? step.stored_sums + kFinishDepth : 0);
}

inline void finish(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums, const ExtraBuffer& extra,
                   const SavedBuffer& saved, const BiasBuffer& old_bias, PartialSums& partial, TotalSums& total, PartialRowSums& row_partial,
                   TotalRowSums& row_total, ResultBuffer& results, ResultBuffer& inputs, BiasBuffer& new_bias, GemmStatistics& statistics) {
    finish_rows(job, step, sums, row_sums, extra, saved, partial, total, row_partial, row_total, results, inputs, statistics);
    finish_bias_gradient(job, step, old_bias, row_total, new_bias, statistics.bias);
}

}  // namespace peelvit

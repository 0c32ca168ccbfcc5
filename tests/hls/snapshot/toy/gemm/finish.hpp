// What becomes of sums: they are added over the contraction, then the epilogue, and rounding.
//
// Eight sums a cycle, a word of int16 results: a row tile takes as long as a contraction over 192, so the multipliers are
// seldom kept waiting.
#pragma once

#include "../functions.hpp"
#include "accumulate.hpp"

namespace peelvit {

constexpr int kFinishDepth = 28;

// Words of a step's results, in the order in which they are written. Results of int32 take a second word for eight
// columns; with GELU that is where its inputs are.
using ResultBuffer = word_t[kPorts][kPanelRows * kPortWords];

struct PairOfWords {
    word_t first, second;
};

struct GemmStatistics {
    Statistics out[2];
    Statistics pre;
    Statistics bias;
};

// What the lanes of a word saw.
inline void add_word(Statistics& statistics, const Statistics& seen) {
    statistics.bits |= seen.bits;
    statistics.saturations += seen.saturations & 15u;
}

// A store by `shift` through one shifter.
struct StoreShift {
    u6 right;         // of the value, or with is_left of the value raised by kMaxAlign
    bool is_left;
    bool rounds;      // the shift stops one bit early for the half
    uwide_t outside;  // magnitude (of a negative number: less one) from which on a value does not fit
};

// `bits` is 16 or 32.
inline StoreShift store_shift_of(int shift, int bits) {
    const int left = natural<5>(unsigned(smaller(larger(-shift, 0), bits - 1)));
    const int right = natural<6>(unsigned(shift > 62 ? 63 : larger(shift - 1, 0)));  // by 63, nothing is left
    StoreShift by;
    by.is_left = shift < 0;
    by.rounds = shift > 0;
    by.right = u6(unsigned(by.is_left ? kMaxAlign - left : right));
    const int first = natural<7>(unsigned(by.rounds ? bits + right : bits - 1 - left));
    const uwide_t half = by.rounds ? uwide_t(uwide_t(1) << right) : uwide_t(0);
    by.outside = first > 63 ? uwide_t(uwide_t(1) << 63) : uwide_t((uwide_t(1) << first) - half);
    return by;
}

// A mantissa of 16 bits or, where `is_wide`, of 32. What is not yet outside may still be the one number below the least.
inline i32 stored(wide_t value, const StoreShift& by, bool is_wide, Statistics& statistics) {
#pragma HLS inline
    const uwide_t magnitude = magnitude_of(value);
    statistics.bits |= magnitude;
    const wide_t raised = by.is_left ? wide_t(value << kMaxAlign) : value;
    const i33 near = i33(wide_t(raised >> by.right));
    const i32 rounded = by.rounds ? i32((near + 1) >> 1) : i32(near);
    const bool is_below = is_wide ? rounded == i32(-0x7FFFFFFF - 1) : i16(rounded) == i16(-0x8000);
    const bool is_outside = magnitude >= by.outside || is_below;
    if (is_outside) ++statistics.saturations;
    const i32 limit = is_wide ? i32(0x7FFFFFFF) : i32(0x7FFF);
    const i32 least = is_wide ? i32(-0x7FFFFFFF) : i32(-0x7FFF);
    return is_outside ? (value < 0 ? least : limit) : rounded;
}

inline i16 stored16(wide_t value, const StoreShift& by, Statistics& statistics) {
#pragma HLS inline
    const uwide_t magnitude = magnitude_of(value);
    statistics.bits |= magnitude;
    const wide_t raised = by.is_left ? wide_t(value << kMaxAlign) : value;
    const i17 near = i17(wide_t(raised >> by.right));
    const i16 rounded = by.rounds ? i16((near + 1) >> 1) : i16(near);
    const bool is_outside = magnitude >= by.outside || rounded == i16(-0x8000);
    if (is_outside) ++statistics.saturations;
    return is_outside ? (value < 0 ? i16(-0x7FFF) : i16(0x7FFF)) : rounded;
}

// How the rows of a group are finished.
struct Epilogue {
    SegmentShift segment;
    RaisedShift addend;
    StoreShift input;  // with GELU
    StoreShift out;
};

inline void set_epilogue(const GemmJob& job, const GemmStep& step, int group, Epilogue& epilogue) {
#pragma HLS inline off
    const int fraction = job.fraction[group];
    epilogue.segment = segment_shift(job, step, group);
    epilogue.addend = raised_shift_of((job.accumulates ? job.f_out[group] : job.f_residual[group]) - fraction, 32, kMaxAlign);
    epilogue.addend.leaves_nothing = epilogue.addend.leaves_nothing || !(job.has_residual || job.accumulates);
    epilogue.input = store_shift_of(fraction - job.f_pre, 16);
    epilogue.out = store_shift_of((job.has_gelu ? kGeluBits : fraction) - job.f_out[group], job.form == kTn ? 32 : 16);
}

// One element from its sum: with GELU also its input. `bias` and `addend` (a residual, or the gradient that is added to)
// are aligned. GELU's value comes after the sum, its slope is a factor of it; they share what looks up a line.
struct Finished {
    i16 input;
    i32 out;
};

inline Finished finished_element(const GemmJob& job, const Epilogue& epilogue, total_t total, i48 bias, wide_t addend, i16 saved,
                                 Statistics& seen_input, Statistics& seen_out) {
#pragma HLS inline
    const wide_t linear = total + bias + (job.has_gelu_backward ? wide_t(0) : addend);
    Finished result;
    result.input = 0;
    if (job.has_gelu) result.input = stored16(linear, epilogue.input, seen_input);
    const i16 x = job.has_gelu ? result.input : saved;
    int line = 0;
    if (job.has_gelu || job.has_gelu_backward) line = gelu_line(job.has_gelu_backward, gelu_argument(x, job.f_pre));
    wide_t acc = linear;
    if (job.has_gelu) acc = gelu_above(x, job.f_pre, line);
    if (job.has_gelu_backward) acc = multiply(sum_t(total), i18(gelu_slope_on(x, line))) + addend;
    result.out = stored(acc, epilogue.out, job.form == kTn, seen_out);
    return result;
}

// A word of sums a cycle: the ports' words in turn. The bias comes as the line before the first row: it is aligned in the
// same lanes and kept.
inline void finish_rows(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums,
                        const ExtraBuffer& extra, const SavedBuffer& saved, WaitingSums& waiting0, WaitingSums& waiting1,
                        PartialRowSums& row_partial, TotalRowSums& row_total, ResultBuffer& results, ResultBuffer& seconds,
                        GemmStatistics& statistics) {
    const bool is_wide = job.form == kTn;
    const int words = port_words(step.columns);
    const int first_line = step.closes_sum && job.has_bias ? 0 : 1;
    const RaisedShift bias_shift = raised_shift_of(job.f_bias - job.fraction[kPatchRows], 16, kMaxAlign);
    Epilogue epilogues[2];
#pragma HLS array_partition variable=epilogues type=complete
    set_epilogue(job, step, kPatchRows, epilogues[kPatchRows]);
    set_epilogue(job, step, kClassRows, epilogues[kClassRows]);
    chunk_t row_of_sums[kRowBeats][kLanes];  // in the order of the beats
#pragma HLS array_partition variable=row_of_sums type=complete dim=0
    i48 bias[kRowBeats][kLanes];
#pragma HLS array_reshape variable=bias type=complete dim=2
    int result = 0;  // place of the next words of results
finish_lines:
    for (int line = first_line; line <= step.rows; ++line) {
#pragma HLS loop_tripcount max = 41
        int port = 0;
        int w = 0;
    finish_beats:
        for (int beat = 0; beat < kPorts * words; ++beat) {
#pragma HLS loop_tripcount max = 3
            PIPELINE(line == first_line && beat == 0, 1, kFinishDepth);
            const bool is_bias = line == 0;
            const bool finishes = step.closes_sum && !is_bias;
            const int i = is_bias ? 0 : line - 1;
            const int group = row_group(job, step.row + i);
            const Epilogue epilogue = epilogues[group];
            if (beat == 0 && !is_bias) {
                for (int b = 0; b < kRowBeats; ++b) {
#pragma HLS unroll
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        row_of_sums[b][l] = sums[i][kLanes * (b % kPorts * kPortWords + b / kPorts) + l];
                    }
                }
                const int row = step.panel_row + i;
                const RunningSum running = add_chunk(step.chunk, row_sums[i], epilogue.segment, row_partial[row], row_total[row]);
                if (step.sums_rows) {
                    row_partial[row] = running.partial;
                    row_total[row] = running.total;
                }
            }
            const WaitingPlace place = waiting_place(step.waits ? int(step.sum_row + i) : 0, beat);
            const bool is_second = !job.holds_both && place.is_second;
            const RaisedShift addend_shift = is_bias ? bias_shift : epilogue.addend;
            const word_t first = extra[port][line * kPortWords + w];
            const word_t second = saved[port][i * kPortWords + w];
            // Columns from the word's first one on: what lies behind the last is 0.
            const int columns = smaller(step.columns - kLanes * (port_start(port, step.columns) + w), kLanes);
            const int lanes = narrow<5>(step.closes_sum ? columns : 0);  // 0 before the last chunk: nothing is finished
            Statistics seen_input = no_statistics();
            Statistics seen_out = no_statistics();
            word_t narrow_word = zero_word();
            word_t input_word = zero_word();
            PairOfWords wide;
            wide.first = zero_word();
            wide.second = zero_word();
            for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                const RunningSum waiting = waiting_sum(job.holds_both, is_second, waiting0[place.index][l], waiting1[place.index][l]);
                const RunningSum running = add_chunk(step.chunk, row_of_sums[beat][l], epilogue.segment, waiting.partial, waiting.total);
                if (step.waits && !is_bias) {
                    if (!is_second) waiting0[place.index][l] = to_first(job.holds_both, step.chunk.closes, running);
                    if (is_second || job.holds_both) waiting1[place.index][l] = to_second(job.holds_both, step.chunk.closes, running);
                }
                RaisedShift by = addend_shift;
                by.leaves_nothing = by.leaves_nothing || l >= lanes;
                const i32 wide_addend = l < kWideLanes ? get32(first, l % kWideLanes) : get32(second, l % kWideLanes);
                const wide_t addend = shift_raised(is_wide ? wide_addend : i32(get16(first, l)), kMaxAlign, by);
                if (is_bias) bias[beat][l] = i48(addend);
                const total_t sum = finishes && l < lanes ? running.total : total_t(0);
                const Finished made = finished_element(job, epilogue, sum, finishes && job.has_bias ? bias[beat][l] : i48(0),
                                                       finishes ? addend : wide_t(0), get16(second, l), seen_input, seen_out);
                if (l < kWideLanes)
                    put32(wide.first, l % kWideLanes, made.out);
                else
                    put32(wide.second, l % kWideLanes, made.out);
                put16(narrow_word, l, i16(made.out));
                put16(input_word, l, made.input);
            }
            if (is_first_port(port, w, step.columns)) {
                add_word(statistics.pre, seen_input);
                add_word(statistics.out[group], seen_out);
            }
            for (int p = 0; p < kPorts; ++p) {
#pragma HLS unroll
                if (finishes && p == port) {
                    results[p][result] = is_wide ? wide.first : narrow_word;
                    if (is_wide || job.has_gelu) seconds[p][result] = is_wide ? wide.second : input_word;
                }
            }
            ++port;
            if (port == kPorts) {
                port = 0;
                ++w;
                if (finishes) ++result;
            }
        }
    }
}

// The bias gradients of a panel, an element a cycle.
inline void finish_bias_gradient(const GemmJob& job, const GemmStep& step, const BiasBuffer& old_bias, const TotalRowSums& row_total,
                                 BiasBuffer& new_bias, Statistics& statistics) {
    const int fraction = job.fraction[kPatchRows] - job.f_second;
    const RaisedShift old_shift = raised_shift_of(job.f_bias - fraction, 32, kMaxAlign);
    const StoreShift by = store_shift_of(fraction - job.f_bias, 32);
    i32 last[kWideLanes] = {0, 0, 0, 0};  // elements, the latest behind
#pragma HLS array_partition variable=last type=complete
finish_bias_gradient:
    for (int row = 0; row < kWideLanes * words32(step.stored_sums); ++row) {
#pragma HLS loop_tripcount max = 40
        PIPELINE(row == 0, 1, kFinishDepth);
        const int lane = row % kWideLanes;
        i32 kept = 0;
        if (row < step.stored_sums) {
            const wide_t old = shift_raised(get32(old_bias[row / kWideLanes], lane), kMaxAlign, old_shift);
            const wide_t sum = row_total[row];
            kept = stored(job.accumulates ? wide_t(sum + old) : sum, by, true, statistics);
        }
        word_t word = zero_word();
        for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
            last[l] = l < kWideLanes - 1 ? last[l + 1] : kept;
            put32(word, l, last[l]);
        }
        if (lane == kWideLanes - 1) new_bias[row / kWideLanes] = word;
    }
}

// For the schedule: from the start of `multiply` to its first row of sums, and from its end to that of `finish`.
inline int cycles_to_first_sums(const GemmStep& step) { return turn_of(step.chunk) + kMultiplyDepth; }
inline int cycles_from_last_sums(const GemmStep& step) {
    const int rows = step.rows - (step.tiles - 1) * kRowTile;  // of the last tile
    return rows * kRowBeats + kFinishDepth + (step.stored_sums > 0 ? int(step.stored_sums) + kFinishDepth : 0);
}

inline void finish(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums, const ExtraBuffer& extra,
                   const SavedBuffer& saved, const BiasBuffer& old_bias, WaitingSums& waiting0, WaitingSums& waiting1, PartialRowSums& row_partial,
                   TotalRowSums& row_total, ResultBuffer& results, ResultBuffer& seconds, BiasBuffer& new_bias, GemmStatistics& statistics) {
    finish_rows(job, step, sums, row_sums, extra, saved, waiting0, waiting1, row_partial, row_total, results, seconds, statistics);
    finish_bias_gradient(job, step, old_bias, row_total, new_bias, statistics.bias);
}

}  // namespace peelvit

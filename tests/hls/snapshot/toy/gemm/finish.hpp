// What becomes of sums: they are added over the contraction, then the epilogue, and rounding.
//
// Eight sums a cycle, a word of int16 results: a row tile takes kRowTile * kRowBeats cycles, as long as a contraction over
// twice as many steps, and shorter ones wait for it.
#pragma once

#include "../functions.hpp"
#include "accumulate.hpp"

namespace peelvit {

constexpr int kFinishDepth = 28;

// What eight sums are made to: the ports' words in turn, or those of a row as they lie in memory. Results of int32 take a second word for eight columns; with
// GELU that is where its inputs are.
#ifdef PEELVIT_CHECKS_FIFOS
using MadeBuffer = Fifos<word_t, kMostColumnTiles * kPanelRows * kRowBeats, 2>;
#else
using MadeBuffer = word_t[kMostColumnTiles * kPanelRows * kRowBeats][2];
#endif

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

// A store by `shift` through one shifter, which stops a bit early for the half.
struct StoreShift {
    u6 right;         // of the value, or with is_left of the value raised by kMaxAlign + 1
    bool is_left;     // or as it is: the bit for the half is 0
    uwide_t outside;  // magnitude (of a negative number: less one) from which on a value does not fit
};

// `bits` is 16 or 32.
inline StoreShift store_shift_of(int shift, int bits) {
#pragma HLS inline off  // one for both stores of an epilogue
    const int left = natural<5>(unsigned(smaller(larger(-shift, 0), bits - 1)));
    const int right = natural<6>(unsigned(shift > 62 ? 63 : larger(shift - 1, 0)));  // by 63, nothing is left
    StoreShift by;
    by.is_left = shift <= 0;
    by.right = u6(unsigned(by.is_left ? kMaxAlign - left : right));
    const int first = natural<7>(unsigned(by.is_left ? bits - 1 - left : bits + right));
    const uwide_t half = by.is_left ? uwide_t(0) : uwide_t(uwide_t(1) << right);
    by.outside = first > 63 ? uwide_t(uwide_t(1) << 63) : uwide_t((uwide_t(1) << first) - half);
    return by;
}

// A mantissa of 16 bits or, where `is_wide`, of 32. What is not yet outside may still be the one number below the least.
inline i32 stored(wide_t value, const StoreShift& by, bool is_wide, Statistics& statistics) {
#pragma HLS inline
    const uwide_t magnitude = magnitude_of(value);
    statistics.bits |= magnitude;
    const wide_t raised = by.is_left ? wide_t(value << (kMaxAlign + 1)) : value;
    const i33 near = i33(wide_t(raised >> by.right));
    const i32 rounded = i32((near + 1) >> 1);
    const bool is_below = is_wide ? rounded == i32(-0x7FFFFFFF - 1) : i16(rounded) == i16(-0x8000);
    const bool is_outside = magnitude >= by.outside || is_below;
    if (is_outside) ++statistics.saturations;
    const i32 limit = is_wide ? i32(0x7FFFFFFF) : i32(0x7FFF);
    const i32 least = is_wide ? i32(-0x7FFFFFFF) : i32(-0x7FFF);
    return is_outside ? (value < 0 ? least : limit) : rounded;
}

// A store of 16 bits by `shift`: a shifter for whole bytes, a multiplier for the rest. The product is 8 bits too high.
struct NarrowStore {
    u6 bytes;        // to the right
    bool is_raised;  // by a byte
    i18 factor;
    uwide_t outside;  // as in StoreShift
};

inline NarrowStore narrow_store_of(int shift) {
    const int right = shift > 62 ? 64 : larger(shift, 1);  // by 64, nothing is left
    const int left = smaller(larger(-shift, 0), 15);
    const int bytes = natural<3>(unsigned(right - 1) / 8);
    NarrowStore by;
    by.bytes = u6(unsigned(bytes));
    by.is_raised = left > 8;
    const int exponent = shift > 0 ? 8 - (right - 8 * bytes) : (by.is_raised ? left : 8 + left);
    by.factor = i18(natural<17>(1u << natural<5>(unsigned(exponent))));
    by.outside = store_shift_of(shift, 16).outside;
    return by;
}

inline i16 stored16(wide_t value, const NarrowStore& by, Statistics& statistics) {
#pragma HLS inline
    const uwide_t magnitude = magnitude_of(value);
    statistics.bits |= magnitude;
    const wide_t window = wide_t(value >> (8 * natural<3>(by.bytes))) & 0xFFFFFF;
    const wide_t near = by.is_raised ? wide_t(wide_t(value & 0xFFFF) << 8) : window;
    const i16 rounded = i16(wide_t(wide_t(multiply(i27(near), by.factor) + 128) >> 8));
    const bool is_outside = magnitude >= by.outside || rounded == i16(-0x8000);
    if (is_outside) ++statistics.saturations;
    return is_outside ? (value < 0 ? i16(-0x7FFF) : i16(0x7FFF)) : rounded;
}

// How an addend of 16 or 32 bits comes to the fraction of the sums: its halves are multiplied with a power of two.
struct AddendShift {
    u26 factor;
    bool is_left;     // the product is raised by 6 more bits; else it is 16 bits too high
    bool takes_high;  // the upper half of 32 bits is enough
};

// A left shift is one of at most kMaxAlign.
inline AddendShift addend_shift_of(int shift, bool is_wide) {
    AddendShift by;
    by.is_left = shift < -9;
    by.takes_high = is_wide && shift > 16;
    const int right = by.takes_high ? shift - 16 : shift;
    const int exponent = by.is_left ? smaller(-shift, kMaxAlign) - 6 : 16 - smaller(right, 16);
    by.factor = u26(unsigned(right > 16 ? 0 : natural<26>(1u << natural<5>(unsigned(exponent)))));
    return by;
}

// 16 bits are all in `low`, of 32 bits these are the lower half (without a sign) and the upper one.
inline wide_t aligned(i17 low, i16 high, const AddendShift& by) {
#pragma HLS inline
    const wide_t of_low = multiply(low, by.factor) + wide_t(by.is_left ? 0 : 1 << 15);
    const wide_t of_high = multiply(high, by.factor) + wide_t(of_low >> 16);
    return by.is_left ? wide_t(wide_t(of_high << 22) | wide_t(wide_t(of_low & 0xFFFF) << 6)) : of_high;
}

inline wide_t aligned_addend(i16 narrow, i32 wide, bool is_wide, const AddendShift& by) {
#pragma HLS inline
    const i16 upper = i16(wide >> 16);
    const i17 lower = i17(wide & 0xFFFF);
    const i17 low = is_wide ? (by.takes_high ? i17(upper) : lower) : i17(narrow);
    return aligned(low, is_wide && !by.takes_high ? upper : i16(0), by);
}

// How GELU's value comes from what is positive of its input, at Q20 or (where that takes a right shift) at Q36.
struct GeluRaise {
    i18 factor;
    bool is_far;    // the input is raised by 15 bits before
    bool is_right;
};

// A left shift is one of at most kMaxAlign; behind 16 places to the right nothing is left.
inline GeluRaise gelu_raise_of(int shift) {
    const int left = smaller(-shift, kMaxAlign);
    GeluRaise by;
    by.is_right = shift > 0;
    by.is_far = left > 16;
    const int exponent = by.is_right ? 16 - smaller(shift, 16) : (by.is_far ? left - 15 : left);
    by.factor = i18(shift > 16 ? 0 : natural<17>(1u << natural<5>(unsigned(exponent))));
    return by;
}

// How the rows of a group are finished.
struct Epilogue {
    SegmentShift segment;
    AddendShift addend;
    StoreShift plain;  // of a sum: the result, or the input of GELU
    GeluRaise gelu;
    NarrowStore curved;  // of what GELU or its slope makes of it
};

inline void set_epilogue(const GemmJob& job, const GemmStep& step, int group, Epilogue& epilogue) {
#pragma HLS inline off
    const int fraction = job.fraction[group];
    const bool is_wide = job.form == kTn;
    epilogue.segment = segment_shift(job, step, group);
    epilogue.addend = addend_shift_of((job.accumulates ? job.f_out[group] : job.f_residual[group]) - fraction, is_wide);
    if (!job.has_residual && !job.accumulates && !job.adds_class_row) epilogue.addend.factor = 0;
    epilogue.plain = store_shift_of(fraction - (job.has_gelu ? job.f_pre : job.f_out[group]), is_wide ? 32 : 16);
    epilogue.gelu = gelu_raise_of(job.f_pre - kGeluBits);
    const int gelu_fraction = epilogue.gelu.is_right ? kGeluBits + 16 : kGeluBits;
    epilogue.curved = narrow_store_of((job.has_gelu ? gelu_fraction : fraction) - job.f_out[group]);
}

// value * factor + addend in two multipliers, the lower one for 26 bits without a sign. With `cuts` the lowest 16 bits
// of it are 0.
inline wide_t multiply_add(sum_t value, i18 factor, wide_t addend, bool cuts) {
#pragma HLS inline
    const wide_t mask = (wide_t(1) << 26) - 1;
    const wide_t kept = cuts ? wide_t(mask - 0xFFFF) : mask;
    const wide_t low = multiply(i27(int(wide_t(value) & mask)), factor) + wide_t(addend & mask);
    const wide_t high = multiply(i27(sum_t(value >> 26)), factor) + wide_t(addend >> 26);
    return wide_t(wide_t(high + wide_t(low >> 26)) << 26) | (low & kept);
}

// What a sum is rounded to, and with GELU or its slope what that makes of it.
struct Finished {
    i32 plain;
    i16 curved;
};

// One element from its sum: `linear` with its addend (a residual, or the gradient that is added to). GELU's value comes
// after the sum, its slope is a factor of it; they share what looks up a line and what multiplies.
inline Finished finished_element(const GemmJob& job, const Epilogue& epilogue, wide_t linear, sum_t sum, i48 addend, i16 saved,
                                 Statistics& seen_plain, Statistics& seen_curved) {
#pragma HLS inline
    Finished result;
    result.plain = stored(linear, epilogue.plain, job.form == kTn, seen_plain);
    const i16 x = job.has_gelu ? i16(result.plain) : saved;
    const int line = gelu_line(gelu_curve(job.has_gelu_backward, x), gelu_argument(x, job.f_pre));
    const GeluRaise& by = epilogue.gelu;
    const sum_t positive = natural<15>(unsigned(x > 0 ? int(x) : 0));
    const wide_t fall = by.is_right ? (wide_t(line) << 16) | 1 << 15 : wide_t(line);  // with the half before the cut
    const bool is_value = job.has_gelu;
    const wide_t value = multiply_add(is_value ? (by.is_far ? sum_t(positive << 15) : positive) : sum,
                                      is_value ? by.factor : i18(narrow<18>(line)), is_value ? fall : wide_t(addend),
                                      is_value && by.is_right);
    result.curved = stored16(value, epilogue.curved, seen_curved);
    return result;
}

// What is beside the sums of a row of the panel: an element of the first operand's class row, or an old bias gradient.
inline i32 beside_row(const GemmJob& job, const BiasBuffer& beside_rows, int row) {
#pragma HLS inline
    const word_t word = beside_rows[job.adds_class_row ? row / kLanes : row / kWideLanes];
    return job.adds_class_row ? i32(get16(word, row % kLanes)) : get32(word, row % kWideLanes);
}

// How the bias gradients are finished.
struct BiasEpilogue {
    AddendShift addend;
    StoreShift plain;
};

inline BiasEpilogue bias_epilogue_of(const GemmJob& job) {
    const int fraction = job.fraction[kPatchRows] - job.f_second;
    const int f_class = job.f_residual[kPatchRows] - job.f_second;
    const int f_addend = job.adds_class_row ? f_class : int(job.f_bias);
    BiasEpilogue by;
    by.addend = addend_shift_of(f_addend - fraction, true);
    if (!job.accumulates && !job.adds_class_row) by.addend.factor = 0;
    by.plain = store_shift_of(fraction - job.f_bias, 32);
    return by;
}

// The word of bias gradients that is not complete yet.
using BiasWord = i32[kWideLanes];

// The bias gradient of a row from its sum, behind those of the rows before.
inline void add_bias_gradient(const BiasEpilogue& by, int lane, wide_t sum, i32 addend, BiasWord& open, Statistics& statistics) {
#pragma HLS inline
    const i32 made = stored(wide_t(sum + aligned_addend(0, addend, true, by.addend)), by.plain, true, statistics);
    for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
        open[l] = l == lane ? made : (l < lane ? open[l] : i32(0));
    }
}

inline word_t word_of_bias(const BiasWord& open) {
#pragma HLS inline
    word_t word = zero_word();
    for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
        put32(word, l, open[l]);
    }
    return word;
}

// A word of sums a cycle, of each part of the array in turn. The bias comes as the line before the first row: it is aligned in the
// same lanes and kept. The second operand's class row is there as well; its products with an element a row are addends.
// A bias gradient is finished with the first word of its row.
inline void finish(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums, const ExtraBuffer& extra,
                   const SavedBuffer& saved, const BiasBuffer& beside_rows, WaitingSums& waiting0, WaitingSums& waiting1,
                   PartialRowSums& row_partial, TotalRowSums& row_total, BiasWord& open_bias, MadeBuffer& made_words,
                   BiasBuffer& new_bias, GemmStatistics& statistics) {
    const bool is_wide = job.form == kTn;
    const int beats = beats_of(step);
    const int first_line = step.closes_sum && job.has_bias ? 0 : 1;
    const bool is_curved = job.has_gelu || job.has_gelu_backward;
    const AddendShift bias_shift = addend_shift_of(job.f_bias - job.fraction[kPatchRows], false);
    Epilogue epilogues[2];
#pragma HLS array_partition variable=epilogues type=complete
    set_epilogue(job, step, kPatchRows, epilogues[kPatchRows]);
    set_epilogue(job, step, kClassRows, epilogues[kClassRows]);
    const BiasEpilogue bias_epilogue = bias_epilogue_of(job);
    chunk_t arrived[kPorts][kLanes];  // sums of a word of each port
#pragma HLS array_partition variable=arrived type=complete dim=0
    i48 bias[kRowBeats][kLanes];
#pragma HLS array_reshape variable=bias type=complete dim=2
    i20 sum_beat = step.waits ? int(step.sum_beat) : 0;  // of the sums that wait
    i16 sum = 0;     // place of the next sums
    i16 result = 0;  // and of the next results
    i16 bias_word = 0;  // of the step's bias gradients
    const i16 lines = step.rows + 1 - first_line;  // of a column tile
    i16 line = first_line;
    u8 bias_words = 0;  // of the column tile before
    const bool has_lines = step.closes_sum && reads_lines(job);
finish_lines:
    for (int of_all = 0; of_all < (step.column_tiles == 2 ? int(2 * lines) : int(lines)); ++of_all) {
#pragma HLS loop_tripcount max = 41
        u8 port = 0;
        u8 w = 0;
    finish_beats:
        for (int beat = 0; beat < beats; ++beat) {
#pragma HLS loop_tripcount max = 3
            PIPELINE((of_all | beat) == 0, 1, kFinishDepth);
            const bool is_bias = line == 0;
            const bool finishes = step.closes_sum && !is_bias;
            const int i = is_bias ? 0 : int(line - 1);
            const int group = row_group(job, step.row + i);
            const Epilogue epilogue = epilogues[group];
            const int row = natural<kPanelPlaceBits>(unsigned(step.panel_row + i));
            const i32 beside = beside_row(job, beside_rows, row);
            if (port == 0 && !is_bias) {
                for (int p = 0; p < kPorts; ++p) {
#pragma HLS unroll
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        arrived[p][l] = sums[sum][kLanes * p + l];
                    }
                }
                ++sum;
            }
            if (beat == 0 && !is_bias) {
                const RunningSum running = add_chunk(step.chunk, row_sums[i], epilogue.segment, row_partial[row], row_total[row], 0);
                if (step.sums_rows) {
                    row_partial[row] = running.partial;
                    row_total[row] = running.total;
                }
                if (makes_bias_gradient(step)) {
                    const int lane = row % kWideLanes;
                    add_bias_gradient(bias_epilogue, lane, running.total, beside, open_bias, statistics.bias);
                    if (lane == kWideLanes - 1 || (step.ends_panel && line == step.rows)) {
                        new_bias[bias_word] = word_of_bias(open_bias);
                        ++bias_word;
                    }
                }
            }
            const WaitingPlace place = waiting_place(sum_beat);
            const bool is_second = !job.holds_both && place.is_second;
            const AddendShift addend_shift = is_bias ? bias_shift : epilogue.addend;
            const int line_word = (has_lines ? int(line * kPortWords) : int(bias_words)) + w;
            const bool goes_on = line_word >= kExtraWords;  // among the saved values
            const word_t second = saved[port][goes_on ? line_word - kExtraWords : int((has_lines ? i * kPortWords : 0) + w)];
            const word_t first = goes_on ? second : extra[port][goes_on ? 0 : line_word];
            const word_t inputs = job.has_residual ? second : first;  // of GELU
            // Columns from the word's first one on: what lies behind the last is 0.
            const int lanes = natural<4>(unsigned(smaller(step.columns - kLanes * place_in_row(job, step, port, w), kLanes)));
            Statistics seen_plain = no_statistics();
            Statistics seen_curved = no_statistics();
            word_t narrow_word = zero_word();
            word_t input_word = zero_word();
            PairOfWords wide;
            wide.first = zero_word();
            wide.second = zero_word();
            for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                const RunningSum waiting = waiting_sum(job.holds_both, is_second, waiting0[place.index][l], waiting1[place.index][l]);
                RunningSum running = add_chunk(step.chunk, arrived[port][l], epilogue.segment, waiting.partial, waiting.total,
                                               job.has_bias ? bias[beat][l] : i48(0));
                if (step.waits && !is_bias) {
                    if (!is_second) waiting0[place.index][l] = to_first(job.holds_both, step.chunk.closes, running);
                    if (is_second || job.holds_both) waiting1[place.index][l] = to_second(job.holds_both, step.chunk.closes, running);
                }
                const bool is_column = l < lanes;
                const i16 element = is_column ? get16(first, l) : i16(0);
                const i32 old = l < kWideLanes ? get32(first, l % kWideLanes) : get32(second, l % kWideLanes);
                const i32 wide_addend = job.adds_class_row ? i32(product(element, i16(beside))) : (is_column ? old : i32(0));
                const wide_t addend = aligned_addend(element, wide_addend, is_wide, addend_shift);
                if (is_bias) bias[beat][l] = i48(addend);
                const total_t whole = is_column && job.has_products ? running.total : total_t(0);
                const Finished made = finished_element(job, epilogue, whole + addend, sum_t(whole), i48(addend), get16(inputs, l),
                                                       seen_plain, seen_curved);
                if (l < kWideLanes)
                    put32(wide.first, l % kWideLanes, made.plain);
                else
                    put32(wide.second, l % kWideLanes, made.plain);
                put16(narrow_word, l, is_curved ? made.curved : i16(made.plain));
                put16(input_word, l, i16(made.plain));
            }
            if (job.has_gelu && epilogue.gelu.is_right) seen_curved.bits = seen_curved.bits >> 16;
            if (finishes && is_first_port(job, step, port, w)) {
                add_word(statistics.pre, seen_plain);
                add_word(statistics.out[group], is_curved ? seen_curved : seen_plain);
            }
            if (finishes) {
                made_words[result][0] = is_wide ? wide.first : narrow_word;
                made_words[result][1] = is_wide ? wide.second : input_word;
                ++result;
            }
            if (step.waits && !is_bias) ++sum_beat;
            ++port;
            if (port == kPorts) {
                port = 0;
                ++w;
            }
        }
        ++line;
        if (line > step.rows) {
            line = first_line;
            bias_words = kPortWords;
        }
    }
}

// For the schedule: from the start of `multiply` to its first row of sums, and from its end to that of `finish`.
inline int cycles_to_first_sums(const GemmStep& step) { return turn_of(step) + kMultiplyDepth; }
inline int cycles_from_last_sums(const GemmStep& step) {
    const int rows = step.rows - (step.tiles - 1) * kRowTile;  // of the last tile
    return rows * kRowBeats + kFinishDepth;
}

}  // namespace peelvit

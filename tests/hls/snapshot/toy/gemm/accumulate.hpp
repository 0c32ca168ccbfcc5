// Sums of a step are added over the chunks and segments of the contraction.
#pragma once

#include "../functions.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kSumBits = 41;  // of a sum over the longest contraction

// Sums within the open segment, and over all closed ones: raised by kMaxSegmentSpread bits at most.
#ifdef PEELVIT_NATIVE
using sum_t = acc_t;
using total_t = wide_t;
#else
using sum_t = ap_int<kSumBits>;
using total_t = ap_int<kSumBits + kMaxSegmentSpread>;
#endif

// Words of sums that wait for further chunks, in two memories of this kind. A job whose sums are of the open segment or
// of closed ones, never of both at once, has a word in one of them, and room for twice as many; else its open segment
// is in the first memory and the closed ones are in the second.
using WaitingSums = total_t[kSumBeats][kLanes];
// Those of the first operand, by row of the panel.
using PartialRowSums = sum_t[kPanelRows];
using TotalRowSums = total_t[kPanelRows];

struct RunningSum {
    sum_t partial;
    total_t total;
};

// Where a word of sums waits.
struct WaitingPlace {
    int index;
    bool is_second;  // memory, unless both hold a part
};

inline WaitingPlace waiting_place(int beat) {
    WaitingPlace place;
    place.is_second = beat >= kSumBeats;
    place.index = place.is_second ? beat - kSumBeats : beat;
    return place;
}

// How a sum comes to the fraction of all segments: words of 16 bits are dropped, a multiplier does the rest.
struct SegmentShift {
    u6 dropped;
    PowerShift rest;
};

// Of what a chunk adds to the closed segments: nothing, unless it is the last of its segment.
inline SegmentShift segment_shift(const GemmJob& job, const GemmStep& step, int group) {
    const int shift = job.segment_shift[step.chunk.segment][group];
    const int dropped = shift > 32 ? 2 : (shift > 16 ? 1 : 0);
    SegmentShift by;
    by.dropped = u6(unsigned(dropped));
    by.rest = power_shift_of(step.chunk.closes ? larger(shift, -kMaxSegmentSpread) - 16 * dropped : 17);
    return by;
}

// In two multipliers, the lower one for 26 bits without a sign.
inline total_t shift_segment(sum_t sum, const SegmentShift& by) {
#pragma HLS inline
    const sum_t near = by.dropped == 2 ? sum_t(sum >> 32) : (by.dropped == 1 ? sum_t(sum >> 16) : sum);
    const wide_t mask = (wide_t(1) << 26) - 1;
    const wide_t low = multiply(i27(int(wide_t(near) & mask)), by.rest.factor) + wide_t(by.rest.half);
    const wide_t high = multiply(i27(sum_t(near >> 26)), by.rest.factor) + wide_t(low >> 26);
    const wide_t product = wide_t(high << 26) | (low & mask);
    return total_t(by.rest.is_right ? wide_t(product >> 16) : product);
}

// What two memories hold of a sum, and what they hold behind it.
inline RunningSum waiting_sum(bool holds_both, bool is_second, total_t first, total_t second) {
    const total_t held = is_second ? second : first;
    RunningSum waiting;
    waiting.partial = sum_t(held);
    waiting.total = holds_both ? second : held;
    return waiting;
}
inline total_t to_first(bool holds_both, bool closes, const RunningSum& sum) {
    return closes && !holds_both ? sum.total : total_t(sum.partial);
}
inline total_t to_second(bool holds_both, bool closes, const RunningSum& sum) {
    return holds_both ? sum.total : to_first(false, closes, sum);
}

// The total of the first segment begins at `start`, which is 0 where the contraction has more than one.
inline RunningSum add_chunk(const Chunk& chunk, chunk_t sum, const SegmentShift& shift, sum_t partial, total_t total, i48 start) {
#pragma HLS inline
    const sum_t before = chunk.opens ? sum_t(0) : partial;
    const total_t earlier = chunk.segment == 0 ? total_t(start) : total;
    RunningSum running;
    running.partial = before + sum;
    running.total = earlier + shift_segment(running.partial, shift);
    return running;
}

}  // namespace peelvit

// Sums of a step are added over the chunks and segments of the contraction.
#pragma once

#include "../fixed.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kRowBeats = kColumnTile / kLanes;  // cycles that a row of a column tile takes: a word in each
constexpr int kSumBits = 41;  // of a sum over the longest contraction

// Sums within the open segment, and over all closed ones: raised by kMaxSegmentSpread bits at most.
#ifdef PEELVIT_NATIVE
using sum_t = acc_t;
using total_t = wide_t;
#else
using sum_t = ap_int<kSumBits>;
using total_t = ap_int<kSumBits + kMaxSegmentSpread>;
#endif

// Sums that wait for further chunks, by row and beat; and those of the first operand, by row of the panel.
using PartialSums = sum_t[kSumRows * kRowBeats][kLanes];
using TotalSums = total_t[kSumRows * kRowBeats][kLanes];
using PartialRowSums = sum_t[kPanelRows];
using TotalRowSums = total_t[kPanelRows];

struct RunningSum {
    sum_t partial;
    total_t total;
};

// Of what a chunk adds to the closed segments: nothing, unless it is the last of its segment.
inline RaisedShift segment_shift(const GemmJob& job, const GemmStep& step, int group) {
    RaisedShift by = raised_shift_of(job.segment_shift[step.chunk.segment][group], kSumBits, kMaxSegmentSpread);
    by.leaves_nothing = by.leaves_nothing || !step.chunk.closes;
    return by;
}

inline RunningSum add_chunk(const Chunk& chunk, chunk_t sum, const RaisedShift& shift, sum_t partial, total_t total) {
#pragma HLS inline
    const sum_t before = chunk.opens ? sum_t(0) : partial;
    const total_t earlier = chunk.segment == 0 ? total_t(0) : total;
    RunningSum running;
    running.partial = before + sum;
    running.total = earlier + total_t(shift_raised(running.partial, kMaxSegmentSpread, shift));
    return running;
}

}  // namespace peelvit

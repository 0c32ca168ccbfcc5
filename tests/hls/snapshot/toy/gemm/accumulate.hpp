// Sums of a step are added over the chunks and segments of the contraction.
#pragma once

#include "../fixed.hpp"
#include "multiply.hpp"

namespace peelvit {

constexpr int kAccumulateDepth = 8;
constexpr int kFinishLanes = kPorts * kLanes;  // sums of a row that are handed on in a cycle

// Sums that wait for further chunks: within a segment, and over the segments before it.
using PartialSums = acc_t[kSumRows * kPortWords][kFinishLanes];
using TotalSums = wide_t[kSumRows * kPortWords][kFinishLanes];
// The same for the sums of the first operand, by row of the panel.
using PartialRowSums = acc_t[kPanelRows];
using TotalRowSums = wide_t[kPanelRows];
// Finished sums of a step.
using FinishedSums = wide_t[kStepRows * kPortWords][kFinishLanes];

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

inline void accumulate_rows(const GemmJob& job, const GemmStep& step, const RowSumBuffer& row_sums, PartialRowSums& row_partial,
                            TotalRowSums& row_total) {
    const int shift = job.segment_shift[step.chunk.segment][kPatchRows];
row_sums:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        PIPELINE(i == 0, 1, kAccumulateDepth);
        const int place = step.panel_tile * kRowTile + i;
        const RunningSum running = add_chunk(step.chunk, row_sums[i], shift, row_partial[place], row_total[place]);
        row_partial[place] = running.partial;
        row_total[place] = running.total;
    }
}

// With the last row of a panel its row sums are handed on.
inline void hand_on_rows(const GemmStep& step, const TotalRowSums& row_total, TotalRowSums& finished_rows) {
finished_rows:
    for (int i = 0; i < step.stored_sums; ++i) {
#pragma HLS loop_tripcount max = 40
        PIPELINE(i == 0, 1, 2);
        finished_rows[i] = row_total[i];
    }
}

inline void accumulate(const GemmJob& job, const GemmStep& step, const SumBuffer& sums, const RowSumBuffer& row_sums,
                       PartialSums& partial, TotalSums& total, PartialRowSums& row_partial, TotalRowSums& row_total,
                       FinishedSums& finished, TotalRowSums& finished_rows) {
accumulate_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const int shift = job.segment_shift[step.chunk.segment][row_group(job, step.row + i)];
    accumulate_words:
        for (int w = 0; w < kPortWords; ++w) {
            PIPELINE((i | w) == 0, 1, kAccumulateDepth);
            const int waiting = step.waits ? (step.sum_row + i) * kPortWords + w : 0;
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                    const int lane = kLanes * port + l;
                    const acc_t sum = sums[i][kLanes * (port * kPortWords + w) + l];
                    const RunningSum running = add_chunk(step.chunk, sum, shift, partial[waiting][lane], total[waiting][lane]);
                    if (step.waits) {
                        partial[waiting][lane] = running.partial;
                        total[waiting][lane] = running.total;
                    }
                    finished[i * kPortWords + w][lane] = running.total;
                }
            }
        }
    }
    if (step.sums_rows) accumulate_rows(job, step, row_sums, row_partial, row_total);
    hand_on_rows(step, row_total, finished_rows);
}

}  // namespace peelvit

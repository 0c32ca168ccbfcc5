// Loading for the GEMM engine: every matrix comes over all ports at once, in bursts.
//
// Where the contraction runs across memory rows (kTn; the second operand of kNn), words are eight neighbouring lanes as
// they come (direct.hpp); else they are transposed (transpose.hpp).
#pragma once

#include "direct.hpp"
#include "transpose.hpp"

namespace peelvit {

// Whether a step's rows, or its columns, are turned on the way.
inline bool turns_rows(const GemmJob& job, const GemmStep& step) { return job.form != kTn && step.loads_rows; }
inline bool turns_columns(const GemmJob& job, const GemmStep& step) { return job.form == kNt && loads_columns(step); }

inline Turn turn_of_load(const GemmJob& job, const GemmStep& step, const GemmStep& behind) {
#pragma HLS inline
    Turn turn;
    turn.part[0] = turns_rows(job, step) ? strips_of_rows(job, step) : no_strips(job.first);
    turn.part[1] = turns_columns(job, step) ? strips_of_columns(job, step) : no_strips(job.second);
    turn.word = unsigned(step.chunk.start / kLanes);
    turn.words = words16(step.chunk.count);
    turn.has_begun = step.has_begun;
    turn.goes_on = step.goes_on;
    turn.behind = behind.loads_rows ? strips_of_rows(job, behind) : strips_of_columns(job, behind);
    turn.word_behind = unsigned(behind.chunk.start / kLanes);
    turn.lines = residual_lines(job, step);
    return turn;
}

// What a step brings; what is turned and the lines behind it in one loop.
inline void load(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                 const GemmStep& behind, TurnedBlock& block, RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra,
                 SavedBuffer& saved, BiasBuffer& beside_rows, WeightBuffer& lows, WeightBuffer& old_weights,
                 StateBuffer& momenta) {
    const bool turns = turns_rows(job, step) || turns_columns(job, step);
    if (turns) load_transposed(mem0, mem1, mem2, turn_of_load(job, step, behind), step, block, rows, columns, extra, saved);
    if (step.closes_sum && (job.has_bias || job.has_residual) && !turns)
        load_lines(mem0, mem1, mem2, step, residual_lines(job, step), extra, saved);
    if (step.closes_sum && job.has_gelu_backward) load_lines(mem0, mem1, mem2, step, saved_lines(job, step), extra, saved);
    if (job.accumulates && makes_bias_gradient(step)) load_bias_gradients(mem0, job, step, beside_rows);
    if (job.form != kNt)
        load_direct(mem0, mem1, mem2, job, step, rows, columns, extra, saved, beside_rows, lows, old_weights, momenta);
}

}  // namespace peelvit

// Loading for the GEMM engine: every matrix comes over all ports at once, in bursts.
//
// Where the contraction runs across memory rows (kTn; the second operand of kNn), words are eight neighbouring lanes as
// they come; else they are transposed.
#pragma once

#include "lines.hpp"
#include "transpose.hpp"

namespace peelvit {

// Rows of the first operand whose contraction runs across memory rows: port p brings steps p, p + kPorts, ... whole.
inline void load_rows_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                             RowBuffer& rows) {
    const NewRows fresh = new_rows(step);
    const unsigned first_word = unsigned((step.row - step.panel_row) / kLanes + fresh.word);
    int source = step.chunk.start;
    const int last = step.chunk.start + step.chunk.count - 1;
row_steps:
    for (int c = 0; c < step.chunk.count; c += kPorts) {
#pragma HLS loop_tripcount max = 8
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            address[port] = row_address(job.first, unsigned(smaller(source + port, last))) + first_word;
        }
        int bank = fresh.slot;
        int group = 0;
    row_words:
        for (int w = 0; w < fresh.words; ++w) {
#pragma HLS loop_tripcount max = 6
            PIPELINE((c | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            const int first = natural<2>(unsigned(bank));
            for (int b = 0; b < kPorts; ++b) {
#pragma HLS unroll
                const int port = b < first ? b - first + kPorts : b - first;
                rows[b][place_in_pair(c + port)][group * kChunkPairs + pair_of(c + port)] = word[port];
            }
            if (bank == kPorts - 1) ++group;
            bank = next_of(bank);
        }
        source += kPorts;
    }
}

inline void load_columns_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                                ColumnBuffer& columns) {
    const Matrix matrix = step.is_next ? job.next.matrix : job.second;
    unsigned row = row_address(matrix, unsigned(step.chunk.start)) + unsigned(step.column / kLanes);
column_steps:
    for (int c = 0; c < step.chunk.count; ++c) {
#pragma HLS loop_tripcount max = 24
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            address[port] = row + unsigned(start_of(step, port));
        }
    column_words:
        for (int w = 0; w < words_of(step); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((c | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                columns[pair_of(c)][place_in_pair(c)][port][w] = word[port];
            }
        }
        row += unsigned(matrix.pitch);
    }
}

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
                 SavedBuffer& saved, BiasBuffer& beside_rows, StateBuffer& masters, StateBuffer& momenta) {
    const bool turns = turns_rows(job, step) || turns_columns(job, step);
    if (turns) load_transposed(mem0, mem1, mem2, turn_of_load(job, step, behind), step, block, rows, columns, extra, saved);
    if (step.loads_rows && job.form == kTn) load_rows_direct(mem0, mem1, mem2, job, step, rows);
    if (loads_columns(step) && job.form != kNt) load_columns_direct(mem0, mem1, mem2, job, step, columns);
    if (step.closes_sum && (job.has_bias || job.has_residual) && !turns)
        load_lines(mem0, mem1, mem2, step, residual_lines(job, step), extra, saved);
    if (step.closes_sum && job.has_gelu_backward) load_lines(mem0, mem1, mem2, step, saved_lines(job, step), extra, saved);
    if (step.closes_sum && job.accumulates) load_lines(mem0, mem1, mem2, step, gradient_lines(job, step), extra, saved);
    if (job.accumulates && makes_bias_gradient(step)) load_bias_gradients(mem0, job, step, beside_rows);
    if (step.closes_sum && (job.adds_class_row || job.updates))
        load_beside_sums(mem0, mem1, mem2, job, step, extra, beside_rows, masters, momenta);
}

}  // namespace peelvit

// Loading for the GEMM engine: every matrix comes over all ports at once, in bursts.
//
// Where the contraction runs across memory rows (kTn; the second operand of kNn), words are eight neighbouring lanes as
// they come; else they are transposed.
#pragma once

#include "beside.hpp"
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

// Where a port stands among the words of columns.
struct ColumnWalk {
    i16 step;          // of the contraction, of the first port
    u8 w, part;        // word of a part of the row
    unsigned address;  // of the first port
};

inline int word_of_row(const ColumnWalk& at) { return kPorts * natural<1>(at.w) + natural<2>(at.part); }

// The next word: of the row or, where each port brings its part of it, of the part.
inline ColumnWalk behind(bool by_rows, int words, int apart, i20 jump, const ColumnWalk& at) {
#pragma HLS inline
    ColumnWalk next = at;
    next.part = u8(by_rows ? next_of(natural<2>(at.part)) : 0);
    const bool ends_parts = next.part == 0;
    const bool ends_row = ends_parts && at.w + 1 == words;
    if (ends_parts) next.w = u8(ends_row ? 0 : int(at.w + 1));
    if (ends_row) next.step = i16(at.step + apart);
    next.address = at.address + unsigned(int(ends_row ? jump : i20(1)));
    return next;
}

// Words go to the memories of their part of the row. Where ports bring whole rows, each is a word behind the one before it,
// so that no two are at words of one part.
inline void load_columns_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                                ColumnBuffer& columns) {
    const Matrix matrix = step.is_next ? job.next.matrix : job.second;
    const bool by_rows = moves_rows(job);
    const int words = words_of(step);
    const int count = step.chunk.count;
    const int of_row = beats_of(step);
    const int apart = by_rows ? int(kPorts) : 1;  // rows
    const int in_turn = by_rows ? kPorts * words : words;  // words of a port until its next row
    const i20 jump = i20(rows_apart(job, matrix.pitch) - (in_turn - 1));
    const int last_turn = by_rows ? (kPorts - 1) * words + kPorts - 1 : 0;  // of fewer rows than ports, and late ones
    const int beats = short_product(count, words) + last_turn;
    ColumnWalk at[kPorts];
    unsigned beyond[kPorts];
#pragma HLS array_partition variable=at type=complete
#pragma HLS array_partition variable=beyond type=complete
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        at[port].step = i16(by_rows && port > 0 ? count : 0);
        at[port].w = 0;
        at[port].part = 0;
        at[port].address = row_address(matrix, unsigned(step.chunk.start)) + column_word(step, 1);
        beyond[port] = beyond_first(job, step, port, matrix.pitch, 1);
    }
    u8 turn = 0;
column_words:
    for (int n = 0; n < beats; ++n) {
#pragma HLS loop_tripcount max = 24
        PIPELINE(n == 0, 1, kReadLatency);
        int c[kPorts];
        unsigned address[kPorts];
        bool exists[kPorts];
        PortWords word;
#pragma HLS array_partition variable=c type=complete
#pragma HLS array_partition variable=address type=complete
#pragma HLS array_partition variable=exists type=complete
#pragma HLS array_partition variable=word type=complete
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            c[port] = at[port].step + (by_rows ? port : 0);
            exists[port] = c[port] < count && (!by_rows || word_of_row(at[port]) < of_row);
            address[port] = at[port].address + (port == 0 ? 0u : beyond[port]);
        }
        read_some(mem0, mem1, mem2, address, exists, 0, word);
        for (int part = 0; part < kPorts; ++part) {
#pragma HLS unroll
            const int now = natural<2>(turn);
            const int late = now < part ? now - part + kPorts : now - part;  // port whose word is of this part
            const int port = by_rows ? late : part;
            if (exists[port]) columns[pair_of(c[port])][place_in_pair(c[port])][part][at[port].w] = word[port];
        }
        const ColumnWalk next = behind(by_rows, words, apart, jump, at[0]);
        for (int port = kPorts - 1; port > 0; --port) {
#pragma HLS unroll
            at[port] = by_rows ? at[port - 1] : next;
        }
        at[0] = next;
        turn = u8(next_of(natural<2>(turn)));
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
    if (job.accumulates && makes_bias_gradient(step)) load_bias_gradients(mem0, job, step, beside_rows);
    if (step.closes_sum && (job.adds_class_row || job.accumulates || job.updates))
        load_beside_sums(mem0, mem1, mem2, job, step, extra, saved, beside_rows, masters, momenta);
}

}  // namespace peelvit

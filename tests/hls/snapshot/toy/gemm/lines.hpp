// What the epilogue reads beside its sums: bias and residual, saved values, old gradients, states.
#pragma once

#include "ports.hpp"

namespace peelvit {

// What the epilogue reads beside the sums: the step's rows of a matrix behind a line that stands for all of them.
struct Lines {
    Matrix matrix;
    unsigned first_line;  // address of the line before
    i20 period;           // rows after which the matrix starts again
    bool has_first_line;
    bool has_rows;
    bool is_wide;         // int32: even words are kept as `extra`, odd ones as `saved`
    bool is_saved;
};

// Whether the bias comes behind the columns, in the loop that brings these.
inline bool has_bias_behind(const GemmJob& job, const GemmStep& step) {
    return job.has_bias && step.closes_sum && step.loads_columns && is_long(step.chunk);
}

// The bias, unless it comes behind the columns, and the residual.
inline Lines residual_lines(const GemmJob& job, const GemmStep& step) {
    Lines lines;
    lines.matrix = job.residual;
    lines.first_line = job.bias.address;
    lines.period = job.residual_period;
    lines.has_first_line = job.has_bias && !has_bias_behind(job, step);
    lines.has_rows = job.has_residual;
    lines.is_wide = false;
    lines.is_saved = false;
    return lines;
}

// What GELU's backward multiplies with: the values before it.
inline Lines saved_lines(const GemmJob& job) {
    Lines lines;
    lines.matrix = job.pre;
    lines.first_line = 0;
    lines.period = job.rows;
    lines.has_first_line = false;
    lines.has_rows = true;
    lines.is_wide = false;
    lines.is_saved = true;
    return lines;
}

// The weight gradients that are added to.
inline Lines gradient_lines(const GemmJob& job) {
    Lines lines = saved_lines(job);
    lines.matrix = job.residual;
    lines.is_wide = true;
    return lines;
}

inline void load_lines(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmStep& step, const Lines& lines,
                       ExtraBuffer& extra, SavedBuffer& saved) {
#pragma HLS inline off
    const int words = (lines.is_wide ? 2 : 1) * words_of(step);
    const int last = lines.has_rows ? int(step.rows) : 0;
    i20 row = step.row % lines.period;  // lint: divider
    unsigned row_start = row_address(lines.matrix, unsigned(row));
    const int first = lines.has_first_line ? 0 : 1;
extra_lines:
    for (int line = first; line <= last; ++line) {
#pragma HLS loop_tripcount max = 41
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(line == 0 ? lines.first_line : row_start, step, lines.is_wide ? 2 : 1, address);
    extra_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE(line == first && w == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            const bool to_saved = lines.is_wide ? w % 2 == 1 : lines.is_saved;
            const int place = line * kPortWords + (lines.is_wide ? w / 2 : w);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                if (to_saved)
                    saved[port][place - kPortWords] = word[port];
                else
                    extra[port][place] = word[port];
            }
        }
        if (line > 0) {
            ++row;
            row_start += unsigned(lines.matrix.pitch);
        }
        if (row == lines.period) {
            row = 0;
            row_start = lines.matrix.address;
        }
    }
}

// Words of the bias gradients of a panel; the panel's first row is the first element of a word.
inline unsigned bias_address(const GemmJob& job, const GemmStep& step) {
    return job.bias.address + unsigned((step.row - step.panel_row) / kWideLanes);
}

// The bias gradients that are added to, at the step's rows.
inline void load_bias_gradients(const word_t* mem0, const GemmJob& job, const GemmStep& step, BiasBuffer& beside_rows) {
    const unsigned address = bias_address(job, step);
    const int first = first_bias_word(step);
load_bias_gradients:
    for (int w = first; w < words32(end_of(step)); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == first, 1, kReadLatency);
        beside_rows[w] = read_word<0>(mem0, address + unsigned(w));
    }
}

// What an epilogue reads beside its sums in one loop, as every loop waits for its first word: the class rows of both
// operands, of the first one at the step's rows, and the states.
enum BesideSums { kFirstClassRow, kSecondClassRow, kStates };

inline void load_beside_sums(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                             ExtraBuffer& extra, BiasBuffer& beside_rows, StateBuffer& masters, StateBuffer& momenta) {
    const int first_word = first_bias_word(step) / 2;
    const int class_words = words_to(end_of(step)) - first_word;
    const int lines = kStates + (job.updates ? int(step.rows) : 0);
    const unsigned first_class_row = job.first.address + unsigned((step.row - step.panel_row) / kLanes + first_word);
    unsigned row = row_address(job.state, unsigned(step.row));
    int place = 0;
lines_beside_sums:
    for (int line = job.adds_class_row ? int(kFirstClassRow) : int(kStates); line < lines; ++line) {
#pragma HLS loop_tripcount max = 22
        const bool is_state = line >= kStates;
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(is_state ? row : job.second.address, step, is_state ? int(kStateWords) : 1, address);
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            if (line == kFirstClassRow) address[port] = first_class_row;
        }
        const int words = line == kFirstClassRow ? class_words : (is_state ? kStateWords * words_of(step) : words_of(step));
    words_beside_sums:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 6
            PIPELINE(w == 0 && (line == kFirstClassRow || (line == kStates && !job.adds_class_row)), 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            if (line == kFirstClassRow) beside_rows[first_word + w] = word[0];
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                if (line == kSecondClassRow) extra[port][w] = word[port];
                if (is_state && is_master(w)) masters[port][place + w % 2] = word[port];
                if (is_state && !is_master(w)) momenta[port][place + w % 2] = word[port];
            }
            if (is_state && !is_master(w)) place += w % 2 * 2;
        }
        if (is_state) row += unsigned(job.state.pitch);
    }
}

}  // namespace peelvit

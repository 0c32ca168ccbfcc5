// What the epilogue of a linear layer reads beside its sums: bias and residual, saved values.
#pragma once

#include "ports.hpp"

namespace peelvit {

// What the epilogue reads beside the sums: the step's rows of a matrix behind a line that stands for all of them.
struct Lines {
    Matrix matrix;
    unsigned first_line;  // address of the line before
    i20 period;           // rows after which the matrix starts again
    bool has_first_line;
    bool is_saved;
    i16 count;            // lines, the one before included
};

// A line, and where the next row of the matrix is.
struct LineWalk {
    i16 line;
    i20 row;
    unsigned start;
};

inline LineWalk start_of_lines(const Lines& lines, const GemmStep& step) {
#pragma HLS inline off
    LineWalk walk;
    walk.line = lines.has_first_line ? 0 : 1;
    walk.row = step.row % lines.period;  // lint: divider
    walk.start = row_address(lines.matrix, unsigned(walk.row));
    return walk;
}

inline unsigned line_start(const Lines& lines, const LineWalk& walk) { return walk.line == 0 ? lines.first_line : walk.start; }

inline void advance(const Lines& lines, LineWalk& walk) {
    if (walk.line > 0) {
        ++walk.row;
        walk.start += unsigned(lines.matrix.pitch);
    }
    if (walk.row == lines.period) {
        walk.row = 0;
        walk.start = lines.matrix.address;
    }
    ++walk.line;
}

// Words of a line that each port moves: two column tiles have no lines but the bias.
inline int line_words(const GemmStep& step) { return step.column_tiles == 2 ? 2 * kPortWords : words_of(step); }

// How far word `w` of a line is behind the port's first one.
inline int ahead_of(int w) { return w < kPortWords ? w : w + kRowBeats - kPortWords; }

// Lines that are alone go on where saved values would be; so do saved values that are alone.
inline void keep_line(const Lines& lines, int place, const PortWords& word, ExtraBuffer& extra, SavedBuffer& saved) {
#pragma HLS inline
    const bool goes_on = place >= kExtraWords;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        if (lines.is_saved || goes_on)
            saved[port][goes_on ? place - kExtraWords : place - kPortWords] = word[port];
        else
            extra[port][place] = word[port];
    }
}

// Bias and residual.
inline Lines residual_lines(const GemmJob& job, const GemmStep& step) {
    Lines lines;
    lines.matrix = job.residual;
    lines.first_line = job.bias.address;
    lines.period = job.residual_period;
    lines.has_first_line = job.has_bias;
    lines.is_saved = false;
    lines.count = step.closes_sum ? (job.has_bias ? 1 : 0) + (job.has_residual ? int(step.rows) : 0) : 0;
    return lines;
}

// What GELU's backward multiplies with: the values before it.
inline Lines saved_lines(const GemmJob& job, const GemmStep& step) {
    Lines lines;
    lines.matrix = job.pre;
    lines.first_line = 0;
    lines.period = job.rows;
    lines.has_first_line = false;
    lines.is_saved = job.has_residual;
    lines.count = step.rows;
    return lines;
}

inline void load_lines(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmStep& step, const Lines& lines,
                       ExtraBuffer& extra, SavedBuffer& saved) {
#pragma HLS inline off
    const int words = line_words(step);
    LineWalk walk = start_of_lines(lines, step);
extra_lines:
    for (int i = 0; i < lines.count; ++i) {
#pragma HLS loop_tripcount max = 41
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(line_start(lines, walk), step, address);
    extra_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, ahead_of(w), word);
            keep_line(lines, walk.line * kPortWords + w, word, extra, saved);
        }
        advance(lines, walk);
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

}  // namespace peelvit

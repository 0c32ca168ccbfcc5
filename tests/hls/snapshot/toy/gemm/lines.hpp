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
        row_part(line_start(lines, walk), step, 1, address);
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

// What the epilogue of a weight gradient reads in one loop, as every loop waits for its first word: the class rows of both
// operands, of the first one at the step's rows; the gradients that are added to, even words of which are kept as `extra`
// and odd ones as `saved`; the states. The first class row comes through one port; where ports bring whole rows, each takes
// its words from all of the second one.
enum BesideSums { kFirstClassRow, kSecondClassRow, kGradients };  // and the states behind these

// Lines of a kind, and where ports read them.
struct BesideLines {
    unsigned address, apart;  // of the first one, and from one to the next
    unsigned beyond[kPorts];  // of each port's words
};

// Eight columns take `scale` words.
inline BesideLines beside_lines(const GemmJob& job, const GemmStep& step, const Matrix& matrix, int row, int scale) {
#pragma HLS inline
    BesideLines lines;
    lines.address = row_address(matrix, unsigned(row)) + column_word(step, scale);
    lines.apart = unsigned(rows_apart(job, matrix.pitch));
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        lines.beyond[port] = beyond_first(job, step, port, matrix.pitch, scale);
    }
    return lines;
}

inline void load_beside_sums(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                             ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& beside_rows, StateBuffer& masters,
                             StateBuffer& momenta) {
    const bool by_rows = moves_rows(job);
    const int first_word = first_bias_word(step) / 2;
    const int class_words = words_to(end_of(step)) - first_word;
    const int row_words = by_rows ? beats_of(step) : words_of(step);
    const unsigned first_class_row = job.first.address + unsigned((step.row - step.panel_row) / kLanes + first_word);
    const unsigned second_class_row = job.second.address + column_word(step, 1);
    const BesideLines gradients = beside_lines(job, step, job.residual, step.row, 2);
    const BesideLines states = beside_lines(job, step, job.state, step.row, kStateWords);
    const int turns = step.turns;
    const int first_line = job.adds_class_row ? int(kFirstClassRow) : int(kGradients);
    const int first_state = kGradients + (job.accumulates ? turns : 0);
    const int lines = first_state + (job.updates ? turns : 0);
    unsigned row = job.accumulates ? gradients.address : states.address;
    int place = 0;  // of words in a port's memory
lines_beside_sums:
    for (int line = first_line; line < lines; ++line) {
#pragma HLS loop_tripcount max = 42
        const bool is_class = line < kGradients;
        const bool is_state = line >= first_state;
        const bool is_gradient = !is_class && !is_state;
        const unsigned start = is_class ? (line == kFirstClassRow ? first_class_row : second_class_row) : row;
        unsigned address[kPorts];
        bool exists[kPorts];
#pragma HLS array_partition variable=address type=complete
#pragma HLS array_partition variable=exists type=complete
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            const unsigned of_class = by_rows ? 0u : words_beyond(start_of(step, port), 1);
            const unsigned beyond = is_class ? of_class : (is_state ? states.beyond[port] : gradients.beyond[port]);
            address[port] = start + (port == 0 ? 0u : beyond);
            exists[port] = port == 0 || (is_class ? line != kFirstClassRow : line + 1 < lines || port < step.last_turn);
        }
        const int scale = is_class ? 1 : (is_state ? int(kStateWords) : 2);
        const int words = line == kFirstClassRow ? class_words : short_product(scale, row_words);
    words_beside_sums:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 12
            PIPELINE(w == 0 && line == first_line, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_some(mem0, mem1, mem2, address, exists, w, word);
            if (line == kFirstClassRow) beside_rows[first_word + w] = word[0];
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const bool is_its = line == kSecondClassRow && (!by_rows || w % kPorts == port);
                const int class_place = by_rows ? w / kPorts : w;
                if (is_its || (is_gradient && w % 2 == 0)) extra[port][is_class ? class_place : place + kPortWords] = word[port];
                if (is_gradient && w % 2 == 1) saved[port][place] = word[port];
                for (int lane = 0; lane < kStateLanes; ++lane) {
#pragma HLS unroll
                    if (!is_state || !exists[port] || w % kStateLanes != lane) continue;
                    const int at = place + (w % 2) / kStateLanes;
                    if (is_master(w))
                        masters[at][port][lane] = word[port];
                    else
                        momenta[at][port][lane] = word[port];
                }
            }
            if (is_state && w % kStateWords == kStateWords - 1) place += 2 / kStateLanes;
            if (is_gradient && w % 2 == 1) ++place;
        }
        if (is_state) row += states.apart;
        if (is_gradient) {
            row += gradients.apart;
            place += kPortWords - words_of(step);  // a narrow tile's rows lie as far apart as whole ones
        }
        if (is_gradient && line + 1 == first_state) {
            row = states.address;
            place = 0;
        }
    }
}

}  // namespace peelvit

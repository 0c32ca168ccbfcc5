// What the epilogue of a weight gradient reads beside its sums, in one loop, as every loop waits for its first word: the class
// rows of both operands, of the first one at the step's rows; the gradients that are added to; the states.
#pragma once

#include "lines.hpp"

namespace peelvit {

enum LineBeside { kFirstClassRow, kSecondClassRow, kFirstGradient };  // states come behind the gradients

// Rows of a matrix that are such lines.
struct RowsBeside {
    unsigned address, apart;  // of the first one, and from one to the next
    unsigned beyond[kPorts];  // how far each port's words are behind it
};

// Eight columns take `scale` words.
inline RowsBeside rows_beside(const GemmJob& job, const GemmStep& step, const Matrix& matrix, int scale) {
#pragma HLS inline
    RowsBeside rows;
    rows.address = row_address(matrix, unsigned(step.row)) + column_word(step, scale);
    rows.apart = unsigned(rows_apart(job, matrix.pitch));
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        rows.beyond[port] = beyond_first(job, step, port, matrix.pitch, scale);
    }
    return rows;
}

struct BesideSums {
    unsigned class_row[2];       // address, by operand
    int first_word, class_words; // of the first operand's class row, in the panel
    int row_words;               // of the second one's, of a port
    RowsBeside gradients, states;
    int first_line, first_state, lines;
};

inline BesideSums beside_sums(const GemmJob& job, const GemmStep& step) {
#pragma HLS inline
    BesideSums all;
    all.first_word = first_bias_word(step) / 2;
    all.class_words = words_to(end_of(step)) - all.first_word;
    all.row_words = port_row_words(job, step);
    all.class_row[0] = job.first.address + unsigned((step.row - step.panel_row) / kLanes + all.first_word);
    all.class_row[1] = job.second.address + column_word(step, 1);
    all.gradients = rows_beside(job, step, job.residual, 2);
    all.states = rows_beside(job, step, job.state, kStateWords);
    all.first_line = job.adds_class_row ? int(kFirstClassRow) : int(kFirstGradient);
    all.first_state = kFirstGradient + (job.accumulates ? int(step.turns) : 0);
    all.lines = all.first_state + (job.updates ? int(step.turns) : 0);
    return all;
}

// A line: what it is, and what of it each port reads.
struct PortLine {
    bool is_class, is_gradient, is_state;
    int words;
    unsigned address[kPorts];
    bool exists[kPorts];
};

// The first class row comes through one port. Where ports bring whole rows, each takes its words from all of the second
// one, and the last turn may have fewer rows than there are ports.
inline PortLine port_line(const GemmJob& job, const GemmStep& step, const BesideSums& all, int line, unsigned row) {
#pragma HLS inline
    PortLine made;
    made.is_class = line < kFirstGradient;
    made.is_state = line >= all.first_state;
    made.is_gradient = !made.is_class && !made.is_state;
    const int scale = made.is_class ? 1 : (made.is_state ? int(kStateWords) : 2);
    made.words = line == kFirstClassRow ? all.class_words : short_product(scale, all.row_words);
    const unsigned first = made.is_class ? all.class_row[line == kFirstClassRow ? 0 : 1] : row;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const unsigned of_class = moves_rows(job) ? 0u : words_beyond(start_of(step, port), 1);
        const unsigned of_row = made.is_state ? all.states.beyond[port] : all.gradients.beyond[port];
        const bool has_row = line + 1 < all.lines || port < step.last_turn;
        made.address[port] = first + (port == 0 ? 0u : (made.is_class ? of_class : of_row));
        made.exists[port] = port == 0 || (made.is_class ? line != kFirstClassRow : has_row);
    }
    return made;
}

// Of a second class row's words those of this part of the array, and even words of gradients, are `extra`; odd ones are
// `saved`.
inline void keep_addend(const GemmJob& job, const PortLine& line, bool is_second_class_row, int w, int place, int port,
                        word_t word, ExtraBuffer& extra, SavedBuffer& saved) {
#pragma HLS inline
    const bool by_rows = moves_rows(job);
    const bool is_its = is_second_class_row && (!by_rows || w % kPorts == port);
    const int class_place = by_rows ? w / kPorts : w;
    if (is_its || (line.is_gradient && w % 2 == 0)) extra[port][line.is_class ? class_place : place + kPortWords] = word;
    if (line.is_gradient && w % 2 == 1) saved[port][place] = word;
}

inline void keep_state(int w, int place, int port, word_t word, StateBuffer& masters, StateBuffer& momenta) {
#pragma HLS inline
    const int at = place + (w % 2) / kStateLanes;
    for (int lane = 0; lane < kStateLanes; ++lane) {
#pragma HLS unroll
        if (w % kStateLanes != lane) continue;
        if (is_master(w))
            masters[at][port][lane] = word;
        else
            momenta[at][port][lane] = word;
    }
}

inline void load_beside_sums(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                             ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& beside_rows, StateBuffer& masters,
                             StateBuffer& momenta) {
    const BesideSums all = beside_sums(job, step);
    unsigned row = job.accumulates ? all.gradients.address : all.states.address;
    int place = 0;  // of words in a port's memory
lines_beside_sums:
    for (int line = all.first_line; line < all.lines; ++line) {
#pragma HLS loop_tripcount max = 42
        const PortLine now = port_line(job, step, all, line, row);
    words_beside_sums:
        for (int w = 0; w < now.words; ++w) {
#pragma HLS loop_tripcount max = 12
            PIPELINE(w == 0 && line == all.first_line, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_some(mem0, mem1, mem2, now.address, now.exists, w, word);
            if (line == kFirstClassRow) beside_rows[all.first_word + w] = word[0];
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                keep_addend(job, now, line == kSecondClassRow, w, place, port, word[port], extra, saved);
                if (now.is_state && now.exists[port]) keep_state(w, place, port, word[port], masters, momenta);
            }
            if (now.is_state && w % kStateWords == kStateWords - 1) place += 2 / kStateLanes;
            if (now.is_gradient && w % 2 == 1) ++place;
        }
        if (now.is_state) row += all.states.apart;
        if (now.is_gradient) {
            row += all.gradients.apart;
            place += kPortWords - words_of(step);  // a narrow tile's rows lie as far apart as whole ones
        }
        if (now.is_gradient && line + 1 == all.first_state) {
            row = all.states.address;
            place = 0;
        }
    }
}

}  // namespace peelvit

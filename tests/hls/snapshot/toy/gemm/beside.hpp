// What the epilogue of a weight gradient reads beside its sums: the class rows of both operands, of the first one at the
// step's rows; the gradients that are added to; the states, and the weights whose low halves lie there.
#pragma once

#include "lines.hpp"

namespace peelvit {

enum LineBeside { kFirstClassRow, kSecondClassRow, kFirstGradient };  // behind the gradients come states and weights

// Rows of a matrix that are such lines.
struct RowsBeside {
    unsigned address;  // of the first one
    int pitch;
};

// Eight columns take `scale` words.
inline RowsBeside rows_beside(const GemmStep& step, const Matrix& matrix, int scale) {
#pragma HLS inline
    RowsBeside rows;
    rows.address = row_address(matrix, unsigned(step.row)) + column_word(step, scale);
    rows.pitch = matrix.pitch;
    return rows;
}

struct BesideSums {
    unsigned class_row[2];       // address, by operand
    int first_word, class_words; // of the first operand's class row, in the panel
    int row_words;               // of the second one's, of a port
    RowsBeside gradients, states, weights;
    int first_line, first_state, first_weight, lines;
};

inline BesideSums beside_sums(const GemmJob& job, const GemmStep& step) {
#pragma HLS inline
    BesideSums all;
    all.first_word = first_bias_word(step) / 2;
    all.class_words = words_to(end_of(step)) - all.first_word;
    all.row_words = port_row_words(job, step);
    all.class_row[0] = job.first.address + unsigned((step.row - step.panel_row) / kLanes + all.first_word);
    all.class_row[1] = job.second.address + column_word(step, 1);
    all.gradients = rows_beside(step, job.residual, 2);
    all.states = rows_beside(step, job.state, kStateWords);
    all.weights = rows_beside(step, job.weight, 1);
    all.first_line = job.adds_class_row ? int(kFirstClassRow) : int(kFirstGradient);
    all.first_state = kFirstGradient + (job.accumulates ? int(step.turns) : 0);
    const int turns = job.updates ? int(step.turns) : 0;
    all.first_weight = all.first_state + turns;
    all.lines = step.closes_sum ? int(all.first_weight + turns) : int(all.first_line);
    return all;
}

// Where the walk over the lines stands.
struct BesideWalk {
    int line;
    unsigned row;  // address of the first port's, of a gradient, states or weights
    int place;     // of words in a port's memory
};

inline BesideWalk first_beside(const GemmJob& job, const BesideSums& all) {
#pragma HLS inline
    BesideWalk at;
    at.line = all.first_line;
    at.row = job.accumulates ? all.gradients.address : all.states.address;
    at.place = 0;
    return at;
}

// A line: what it is, and what of it each port reads.
struct PortLine {
    bool is_class, is_gradient, is_state, is_weight;
    int words;
    unsigned apart;  // from the ports' rows to the next ones
    unsigned address[kPorts];
    bool exists[kPorts];
};

// The first class row comes through one port. Where ports bring whole rows, each takes its words from all of the second
// one, and the last turn may have fewer rows than there are ports.
inline PortLine port_line(const GemmJob& job, const GemmStep& step, const BesideSums& all, const BesideWalk& at) {
#pragma HLS inline
    const int line = at.line;
    PortLine made;
    made.is_class = line < kFirstGradient;
    made.is_weight = line >= all.first_weight;
    made.is_state = line >= all.first_state && !made.is_weight;
    made.is_gradient = !made.is_class && line < all.first_state;
    const int scale = made.is_class || made.is_weight ? 1 : (made.is_state ? int(kStateWords) : 2);
    const bool is_last = line + 1 == all.first_state || line + 1 == all.first_weight || line + 1 == all.lines;
    made.words = line == kFirstClassRow ? all.class_words : short_product(scale, all.row_words);
    const int of_update = made.is_state ? all.states.pitch : all.weights.pitch;
    const int pitch = made.is_gradient ? all.gradients.pitch : of_update;
    made.apart = unsigned(rows_apart(job, pitch));
    const unsigned first = made.is_class ? all.class_row[line == kFirstClassRow ? 0 : 1] : at.row;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const unsigned beyond = beyond_first(job, step, port, made.is_class ? 0 : pitch, scale);
        const bool has_row = !is_last || port < step.last_turn;
        made.address[port] = first + (port == 0 ? 0u : beyond);
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

// Word `of_group` of eight elements: low halves, or one of the momenta.
inline void keep_state(int of_group, int place, int port, word_t word, WeightBuffer& lows, StateBuffer& momenta) {
#pragma HLS inline
    if (of_group == 0) lows[place][port] = word;
    for (int part = 0; part < kStateWords - 1; ++part) {
#pragma HLS unroll
        if (of_group == part + 1) momenta[2 / kStateLanes * place + part / kStateLanes][port][part % kStateLanes] = word;
    }
}

// Word w of a line; it is word `of_group` of those of eight elements of a row of states.
inline void keep_beside(const GemmJob& job, const PortLine& now, const BesideSums& all, BesideWalk& at, int w, u8 of_group,
                        const PortWords& word, ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& beside_rows,
                        WeightBuffer& lows, WeightBuffer& old_weights, StateBuffer& momenta) {
#pragma HLS inline
    if (at.line == kFirstClassRow) beside_rows[all.first_word + w] = word[0];
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        keep_addend(job, now, at.line == kSecondClassRow, w, at.place, port, word[port], extra, saved);
        if (now.is_state && now.exists[port]) keep_state(int(of_group), at.place, port, word[port], lows, momenta);
        if (now.is_weight && now.exists[port]) old_weights[at.place][port] = word[port];
    }
    const bool ends_group = now.is_weight || (now.is_state ? of_group == kStateWords - 1 : now.is_gradient && w % 2 == 1);
    if (ends_group) ++at.place;
}

// To the next line.
inline void advance(const GemmStep& step, const BesideSums& all, const PortLine& now, BesideWalk& at) {
#pragma HLS inline
    ++at.line;
    if (now.is_gradient) at.place += kPortWords - words_of(step);  // a narrow tile's rows lie as far apart as whole ones
    if (!now.is_class) at.row += now.apart;
    const bool turns_to_states = at.line == all.first_state;
    if (!now.is_class && (turns_to_states || at.line == all.first_weight)) {
        at.row = turns_to_states ? all.states.address : all.weights.address;
        at.place = 0;
    }
}

}  // namespace peelvit

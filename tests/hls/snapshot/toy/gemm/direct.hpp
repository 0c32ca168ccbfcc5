// Operands of which a word is eight neighbouring lanes as it comes, and with them what the epilogue of a weight gradient
// reads: the lines of all in one loop, which waits for its first word once.
#pragma once

#include "beside.hpp"

namespace peelvit {

// Where rows of the first operand lie whose contraction runs across memory rows: port p brings steps p, p + kPorts, ... whole.
struct DirectRows {
    unsigned first_word;  // of a memory row, that is new
    int steps;            // of the contraction; none where no rows come
    NewRows fresh;        // words of a memory row
};

inline DirectRows direct_rows(const GemmJob& job, const GemmStep& step) {
#pragma HLS inline
    DirectRows rows;
    rows.fresh = new_rows(step);
    rows.first_word = unsigned((step.row - step.panel_row) / kLanes + rows.fresh.word);
    rows.steps = step.loads_rows && job.form == kTn ? int(step.chunk.count) : 0;
    return rows;
}

// Of steps c, c + 1, ...; behind the last one it is read again, which nobody uses.
inline void row_addresses(const GemmJob& job, const GemmStep& step, const DirectRows& rows, int c, unsigned (&address)[kPorts]) {
#pragma HLS inline
    const int last = step.chunk.count - 1;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const int row = step.chunk.start + smaller(c + port, last);
        address[port] = row_address(job.first, unsigned(row)) + rows.first_word;
    }
}

inline void keep_row_words(int c, int bank, int group, const PortWords& word, RowBuffer& rows) {
#pragma HLS inline
    const int first = natural<2>(unsigned(bank));
    for (int b = 0; b < kPorts; ++b) {
#pragma HLS unroll
        const int port = b < first ? b - first + kPorts : b - first;
        rows[b][place_in_pair(c + port)][group * kChunkPairs + pair_of(c + port)] = word[port];
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

// The columns of a step, a word of each port a cycle. Where ports bring whole rows, each is a word behind the one before it,
// so that no two are at words of one part of the array.
struct DirectColumns {
    bool by_rows;              // a port brings whole rows
    int words;                 // of a port's part of a row
    int count;                 // rows, which are steps of the contraction
    int of_row;                // words of a whole row
    int apart;                 // rows from a port's one to its next
    i20 jump;                  // from the last word of a row to the first of the next
    int beats;                 // until all are there; none where no columns come
    unsigned beyond[kPorts];   // how far a port's words are behind the first port's
};

inline DirectColumns direct_columns(const GemmJob& job, const GemmStep& step, const Matrix& matrix) {
#pragma HLS inline
    DirectColumns all;
    all.by_rows = moves_rows(job);
    all.words = words_of(step);
    all.count = step.chunk.count;
    all.of_row = beats_of(step);
    all.apart = all.by_rows ? int(kPorts) : 1;  // rows
    const int in_turn = all.by_rows ? kPorts * all.words : all.words;  // words of a port until its next row
    all.jump = i20(rows_apart(job, matrix.pitch) - (in_turn - 1));
    const int last_turn = all.by_rows ? (kPorts - 1) * all.words + kPorts - 1 : 0;  // of fewer rows than ports, and late ones
    all.beats = loads_columns(step) && job.form != kNt ? short_product(all.count, all.words) + last_turn : 0;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        all.beyond[port] = beyond_first(job, step, port, matrix.pitch, 1);
    }
    return all;
}

struct ColumnWalks {
    ColumnWalk at[kPorts];
    u8 turn;  // part of the array that the first port's word is of
};

inline ColumnWalks first_columns(const DirectColumns& all, unsigned address) {
#pragma HLS inline
    ColumnWalks walks;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        walks.at[port].step = i16(all.by_rows && port > 0 ? all.count : 0);
        walks.at[port].w = 0;
        walks.at[port].part = 0;
        walks.at[port].address = address;
    }
    walks.turn = 0;
    return walks;
}

// Step of the contraction of a port's word.
inline int column_step(const DirectColumns& all, const ColumnWalks& walks, int port) {
    return walks.at[port].step + (all.by_rows ? port : 0);
}

inline bool has_column_word(const DirectColumns& all, const ColumnWalks& walks, int port) {
    return column_step(all, walks, port) < all.count && (!all.by_rows || word_of_row(walks.at[port]) < all.of_row);
}

// Words go to the memories of their part of the row.
inline void keep_column_words(const DirectColumns& all, const ColumnWalks& walks, const PortWords& word, ColumnBuffer& columns) {
#pragma HLS inline
    for (int part = 0; part < kPorts; ++part) {
#pragma HLS unroll
        const int now = natural<2>(walks.turn);
        const int late = now < part ? now - part + kPorts : now - part;  // port whose word is of this part
        const int port = all.by_rows ? late : part;
        const int c = column_step(all, walks, port);
        if (has_column_word(all, walks, port)) columns[pair_of(c)][place_in_pair(c)][part][walks.at[port].w] = word[port];
    }
}

inline void advance(const DirectColumns& all, ColumnWalks& walks) {
#pragma HLS inline
    const ColumnWalk next = behind(all.by_rows, all.words, all.apart, all.jump, walks.at[0]);
    for (int port = kPorts - 1; port > 0; --port) {
#pragma HLS unroll
        walks.at[port] = all.by_rows ? walks.at[port - 1] : next;
    }
    walks.at[0] = next;
    walks.turn = u8(next_of(natural<2>(walks.turn)));
}

// A line of all columns, those beside sums, and lines of rows.
inline void load_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                        RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& beside_rows,
                        WeightBuffer& lows, WeightBuffer& old_weights, StateBuffer& momenta) {
#pragma HLS inline off
    const Matrix matrix = step.is_next ? job.next.matrix : job.second;
    const DirectRows of_rows = direct_rows(job, step);
    const DirectColumns of_columns = direct_columns(job, step, matrix);
    ColumnWalks walks = first_columns(of_columns, row_address(matrix, unsigned(step.chunk.start)) + column_word(step, 1));
    const BesideSums beside = beside_sums(job, step);
    BesideWalk at = first_beside(job, beside);
    const int first_beside_sums = of_columns.beats > 0 ? 1 : 0;
    const int first_row = first_beside_sums + beside.lines - beside.first_line;
direct_lines:
    for (int line = 0; line < first_row + of_rows.steps; line += line < first_row ? 1 : int(kPorts)) {
#pragma HLS loop_tripcount max = 71
        const bool is_rows = line >= first_row;
        const bool is_columns = line < first_beside_sums;
        const int c = line - first_row;
        const PortLine now = port_line(job, step, beside, at);
        unsigned row_address[kPorts];
#pragma HLS array_partition variable=row_address type=complete
        row_addresses(job, step, of_rows, c, row_address);
        const int words = is_rows ? int(of_rows.fresh.words) : (is_columns ? of_columns.beats : now.words);
        int bank = of_rows.fresh.slot;
        int group = 0;
        u8 of_group = 0;
    direct_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 24
            PIPELINE((line | w) == 0, 1, kReadLatency);
            unsigned address[kPorts];
            bool exists[kPorts];
            PortWords word;
#pragma HLS array_partition variable=address type=complete
#pragma HLS array_partition variable=exists type=complete
#pragma HLS array_partition variable=word type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const unsigned of_line = (is_rows ? row_address[port] : now.address[port]) + unsigned(w);
                address[port] = is_columns ? walks.at[port].address + (port == 0 ? 0u : of_columns.beyond[port]) : of_line;
                exists[port] = is_rows || (is_columns ? has_column_word(of_columns, walks, port) : bool(now.exists[port]));
            }
            read_some(mem0, mem1, mem2, address, exists, 0, word);
            if (is_rows) {
                keep_row_words(c, bank, group, word, rows);
            } else if (is_columns) {
                keep_column_words(of_columns, walks, word, columns);
                advance(of_columns, walks);
            } else {
                keep_beside(job, now, beside, at, w, of_group, word, extra, saved, beside_rows, lows, old_weights, momenta);
            }
            if (bank == kPorts - 1) ++group;
            bank = next_of(bank);
            of_group = u8(next_of(natural<2>(of_group)));
        }
        if (!is_columns && !is_rows) advance(step, beside, now, at);
    }
}

}  // namespace peelvit

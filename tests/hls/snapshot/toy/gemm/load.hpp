// Loading for the GEMM engine: every matrix comes over all ports at once, in bursts.
//
// The contraction runs along memory rows (kNt; the first operand of kNn): strips of eight rows, one strip a port, are
// transposed on the way. It runs across them (kTn; the second operand of kNn): words are eight neighbouring lanes as
// they come. Reads that fall outside of an operand are moved inside, so every burst has its full length; nobody uses
// what they bring.
#pragma once

#include "../update/weight.hpp"
#include "job.hpp"

namespace peelvit {

constexpr int kColumnBits = 13;  // of a column of an output
constexpr int kBurst = 8;  // words of a row read at once in a strip

// Rows of the first operand: the words of a pass that are new, by bank and place in a pair.
using RowBuffer = word_t[kPorts][kPair][kStepGroups * kChunkPairs];
// Columns of the second operand, in words of eight: by pair of contraction steps, place there, port and word of the port.
using ColumnBuffer = word_t[kChunkPairs][kPair][kPorts][kPortWords];
using KeptColumns = word_t[kKeptPairs][kPair][kPorts][kPortWords];
// Words of bias (or a class row) and residuals, and of saved values, by port. Weight gradients are in both, one word of
// two in each.
using ExtraBuffer = word_t[kPorts][(kLineRows + 1) * kPortWords];
using SavedBuffer = word_t[kPorts][kLineRows * kPortWords];
// Words of master weights or momenta.
using StateBuffer = word_t[kPorts][kUpdateRows * 2 * kPortWords];
// Words of a panel's bias gradients, or of the first operand's class row at its rows.
using BiasBuffer = word_t[kPanelRows / kWideLanes];

// A word of each port at once.
using PortWords = word_t[kPorts];

inline void read_ports(const word_t* mem0, const word_t* mem1, const word_t* mem2, const unsigned (&address)[kPorts], int w, PortWords& word) {
#pragma HLS inline
    word[0] = read_word<0>(mem0, address[0] + unsigned(w));
    word[1] = read_word<1>(mem1, address[1] + unsigned(w));
    word[2] = read_word<2>(mem2, address[2] + unsigned(w));
}

// Strips of eight memory rows, each the source of one word a contraction step: of the pass's new rows, or of its columns.
struct Strips {
    Matrix matrix;
    bool are_columns;
    int row, rows;        // of the matrix: the first one, and how many
    int start[kPorts];    // first strip of each port
    int stride;           // strips from one round to the next
    int rounds;
    int slot;             // of the first row word in its group
};

inline Strips strips_of_rows(const GemmJob& job, const GemmStep& step) {
    const NewRows rows = new_rows(step);
    Strips strips;
    strips.matrix = job.first;
    strips.are_columns = false;
    strips.row = step.row - step.panel_row + kLanes * rows.word;
    strips.rows = smaller(kLanes * rows.words, job.rows - strips.row);
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        strips.start[port] = port;
    }
    strips.stride = kPorts;
    strips.rounds = group_of(rows.words + kPorts - 1);
    strips.slot = rows.slot;
    return strips;
}

inline Strips strips_of_columns(const GemmJob& job, const GemmStep& step) {
    Strips strips;
    strips.matrix = job.second;
    strips.are_columns = true;
    strips.row = step.column;
    strips.rows = step.columns;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        strips.start[port] = start_of(step, port);
    }
    strips.stride = 1;
    strips.rounds = words_of(step);
    strips.slot = 0;
    return strips;
}

// `word` of port p is that of contraction step c + p (direct) or of row word p of a round (transposed): either way the
// bank of port 0's word is `bank`, the next port's word is in the next bank, and `slot` tells which group it is in.
inline void put_rows(RowBuffer& rows, int bank, int slot, int group, int c, const PortWords& word) {
#pragma HLS inline
    const int first = natural<2>(unsigned(bank));
    for (int b = 0; b < kPorts; ++b) {
#pragma HLS unroll
        const int port = b < first ? b - first + kPorts : b - first;
        rows[b][place_in_pair(c)][(slot + port < kPorts ? group : group + 1) * kChunkPairs + pair_of(c)] = word[port];
    }
}

// `words` words from `word` on of the rows of all strips. Blocks of eight rows by kBurst words go through a line buffer.
inline void load_transposed(const word_t* mem0, const word_t* mem1, const word_t* mem2, const Strips& strips, int word,
                            int words, RowBuffer& rows, ColumnBuffer& columns) {
#pragma HLS inline off
    word_t line[kPorts][kLanes][2 * kBurst];  // of this pass and of the one before
#pragma HLS array_partition variable=line type=complete dim=1
#pragma HLS array_partition variable=line type=complete dim=2
    const int burst = smaller(kBurst, words);
    const int blocks = (words + kBurst - 1) / kBurst;
    const int passes = short_product(strips.rounds, blocks);
    int round = 0;
    int strip = 0;  // how far the ports' strips have moved on
    int written_round = 0;
    int written_start = 0;
    int block = 0;
transpose_passes:
    for (int pass = 0; pass <= passes; ++pass) {  // the last one only writes: what it reads is not used
#pragma HLS loop_tripcount max = 1
        const int start = smaller(block * kBurst, words - burst);  // the last block may overlap the one before
        int c = kLanes * written_start;
        int bank = bank_of(strips.slot + c);
        const int half = (pass & 1) * kBurst;
        int element = 0;
    transpose_rows:
        for (int lane = 0; lane < kLanes; ++lane) {
            unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const int row = strips.row + smaller(kLanes * (strips.start[port] + strip) + lane, strips.rows - 1);
                address[port] = row_address(strips.matrix, unsigned(row)) + unsigned(word + start);
            }
        transpose_words:
            for (int w = 0; w < burst; ++w) {
#pragma HLS loop_tripcount max = 8
                PIPELINE((pass | lane | w) == 0, 1, kReadLatency);
                PortWords read;
#pragma HLS array_partition variable=read type=complete
                read_ports(mem0, mem1, mem2, address, w, read);
                const int place = natural<6>(unsigned(element));
                PortWords turned;
#pragma HLS array_partition variable=turned type=complete
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    line[port][lane][half + w] = read[port];
                    turned[port] = zero_word();
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        put16(turned[port], l, get16(line[port][l][kBurst - half + place / kLanes], place % kLanes));
                    }
                }
                if (pass > 0) {
                    if (!strips.are_columns) put_rows(rows, bank, strips.slot, written_round, c, turned);
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        if (strips.are_columns) columns[pair_of(c)][place_in_pair(c)][port][written_round] = turned[port];
                    }
                }
                ++element;
                ++c;
                bank = next_of(bank);
            }
        }
        written_round = round;
        written_start = start;
        ++block;
        if (block == blocks) {
            block = 0;
            if (pass < passes - 1) {
                ++round;
                strip += strips.stride;
            }
        }
    }
}

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
    unsigned row = row_address(job.second, unsigned(step.chunk.start)) + unsigned(step.column / kLanes);
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
        row += unsigned(job.second.pitch);
    }
}

inline void load_rows(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                      RowBuffer& rows, ColumnBuffer& columns) {
#pragma HLS inline
    if (job.form == kTn)
        load_rows_direct(mem0, mem1, mem2, job, step, rows);
    else
        load_transposed(mem0, mem1, mem2, strips_of_rows(job, step), step.chunk.start / kLanes, words16(step.chunk.count), rows, columns);
}

inline void load_columns(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                         RowBuffer& rows, ColumnBuffer& columns) {
#pragma HLS inline
    if (job.form == kNt)
        load_transposed(mem0, mem1, mem2, strips_of_columns(job, step), step.chunk.start / kLanes, words16(step.chunk.count), rows, columns);
    else
        load_columns_direct(mem0, mem1, mem2, job, step, columns);
}

// Addresses of a row's words of the step's columns; eight columns take `scale` words: 1, 2, or with states 4.
inline void row_part(unsigned row, const GemmStep& step, int scale, unsigned (&address)[kPorts]) {
#pragma HLS inline
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const int word = natural<kColumnBits>(unsigned(step.column)) / kLanes + start_of(step, port);
        address[port] = row + unsigned(word << (natural<3>(unsigned(scale)) >> 1));
    }
}

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

// The bias and the residual.
inline Lines residual_lines(const GemmJob& job) {
    Lines lines;
    lines.matrix = job.residual;
    lines.first_line = job.bias.address;
    lines.period = job.residual_period;
    lines.has_first_line = job.has_bias;
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

inline void load(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                 RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& beside_rows,
                 StateBuffer& masters, StateBuffer& momenta) {
    if (step.loads_columns) load_columns(mem0, mem1, mem2, job, step, rows, columns);
    if (step.loads_rows) load_rows(mem0, mem1, mem2, job, step, rows, columns);
    if (step.closes_sum && (job.has_bias || job.has_residual))
        load_lines(mem0, mem1, mem2, step, residual_lines(job), extra, saved);
    if (step.closes_sum && job.has_gelu_backward) load_lines(mem0, mem1, mem2, step, saved_lines(job), extra, saved);
    if (step.closes_sum && job.accumulates) load_lines(mem0, mem1, mem2, step, gradient_lines(job), extra, saved);
    if (job.accumulates && makes_bias_gradient(step)) load_bias_gradients(mem0, job, step, beside_rows);
    if (step.closes_sum && (job.adds_class_row || job.updates))
        load_beside_sums(mem0, mem1, mem2, job, step, extra, beside_rows, masters, momenta);
}

}  // namespace peelvit

// Loading for the GEMM engine: every matrix comes over all ports at once, in bursts.
//
// The contraction runs along memory rows (kNt; the first operand of kNn): strips of eight rows, one strip a port, are
// transposed on the way. It runs across them (kTn; the second operand of kNn): words are eight neighbouring lanes as
// they come. Reads that fall outside of an operand are moved inside, so every burst has its full length; nobody uses
// what they bring.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kBurst = 8;  // words of a row read at once in a strip

// Rows of the first operand: the words of a pass that are new, and those of a panel.
using RowBuffer = word_t[kPorts][kStepGroups * kChunk];
using RowPanel = word_t[kPorts][kPanelGroups * kChunk];
// Columns of the second operand, in words of eight: by contraction step, port and word of the port.
using ColumnBuffer = word_t[kChunk][kPorts][kPortWords];
// Words of bias and residuals, and of saved values, by port. Weight gradients are in both, one word of two in each.
using ExtraBuffer = word_t[kPorts][(kStepRows + 1) * kPortWords];
using SavedBuffer = word_t[kPorts][kStepRows * kPortWords];
// Words of a panel's bias gradients.
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
        strips.start[port] = port_start(port, step.columns);
    }
    strips.stride = 1;
    strips.rounds = port_words(step.columns);
    strips.slot = 0;
    return strips;
}

// `word` of port p is that of contraction step c + p (direct) or of row word p of a round (transposed): either way the
// bank of port 0's word is `bank`, the next port's word is in the next bank, and `slot` tells which group it is in.
inline void put_rows(RowBuffer& rows, int bank, int slot, int group, int c, const PortWords& word) {
#pragma HLS inline
    for (int b = 0; b < kPorts; ++b) {
#pragma HLS unroll
        const int port = b < bank ? b - bank + kPorts : b - bank;
        rows[b][(slot + port < kPorts ? group : group + 1) * kChunk + c] = word[port];
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
                PortWords turned;
#pragma HLS array_partition variable=turned type=complete
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    line[port][lane][half + w] = read[port];
                    turned[port] = zero_word();
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        put16(turned[port], l, get16(line[port][l][kBurst - half + element / kLanes], element % kLanes));
                    }
                }
                if (pass > 0) {
                    if (!strips.are_columns) put_rows(rows, bank, strips.slot, written_round, c, turned);
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        if (strips.are_columns) columns[c][port][written_round] = turned[port];
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
            for (int b = 0; b < kPorts; ++b) {
#pragma HLS unroll
                const int port = b < bank ? b - bank + kPorts : b - bank;
                rows[b][group * kChunk + c + port] = word[port];
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
            address[port] = row + unsigned(port_start(port, step.columns));
        }
    column_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((c | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                columns[c][port][w] = word[port];
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

// Addresses of a row's words of the step's columns, `width` words for eight columns.
inline void row_part(unsigned row, const GemmStep& step, int width, unsigned (&address)[kPorts]) {
#pragma HLS inline
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        address[port] = row + unsigned(width * (step.column / kLanes + port_start(port, step.columns)));
    }
}

// `lines` lines of the step's columns: the bias (or a line that nobody uses), then residual rows.
inline void load_residual(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                          ExtraBuffer& extra) {
    const int lines = job.has_residual ? 1 + step.rows : 1;
    int residual_row = step.row % job.residual_period;  // lint: divider
    unsigned row = row_address(job.residual, unsigned(residual_row));
    unsigned line_address = job.has_bias ? job.bias.address : job.residual.address;
residual_lines:
    for (int line = 0; line < lines; ++line) {
#pragma HLS loop_tripcount max = 21
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(line_address, step, 1, address);
    residual_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((line | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                extra[port][line * kPortWords + w] = word[port];
            }
        }
        line_address = row;
        row += unsigned(job.residual.pitch);
        ++residual_row;
        if (residual_row == job.residual_period) {
            residual_row = 0;
            row = job.residual.address;
        }
    }
}

// What GELU's backward multiplies with: the values before it.
inline void load_saved(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                       SavedBuffer& saved) {
    unsigned row = row_address(job.pre, unsigned(step.row));
saved_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(row, step, 1, address);
    saved_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((i | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                saved[port][i * kPortWords + w] = word[port];
            }
        }
        row += unsigned(job.pre.pitch);
    }
}

// The weight gradients that are added to.
inline void load_gradients(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                           ExtraBuffer& extra, SavedBuffer& saved) {
    unsigned row = row_address(job.out, unsigned(step.row));
gradient_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        row_part(row, step, 2, address);
    gradient_words:
        for (int w = 0; w < 2 * port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 1, kReadLatency);
            PortWords word;
#pragma HLS array_partition variable=word type=complete
            read_ports(mem0, mem1, mem2, address, w, word);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                if (w % 2 == 0)
                    extra[port][(1 + i) * kPortWords + w / 2] = word[port];
                else
                    saved[port][i * kPortWords + w / 2] = word[port];
            }
        }
        row += unsigned(job.out.pitch);
    }
}

// Words of the bias gradients of a panel; the panel's first row is the first element of a word.
inline unsigned bias_address(const GemmJob& job, const GemmStep& step) {
    return job.bias.address + unsigned((step.row - step.panel_row) / kWideLanes);
}

// The bias gradients that are added to.
inline void load_bias_gradient(const word_t* mem0, const GemmJob& job, const GemmStep& step, BiasBuffer& old_bias) {
    const unsigned address = bias_address(job, step);
load_bias_gradient:
    for (int w = 0; w < words32(step.stored_sums); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kReadLatency);
        old_bias[w] = read_word<0>(mem0, address + unsigned(w));
    }
}

inline void load(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                 RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra, SavedBuffer& saved, BiasBuffer& old_bias) {
    if (step.loads_columns) load_columns(mem0, mem1, mem2, job, step, rows, columns);
    if (step.loads_rows) load_rows(mem0, mem1, mem2, job, step, rows, columns);
    if (step.closes_sum && (job.has_bias || job.has_residual)) load_residual(mem0, mem1, mem2, job, step, extra);
    if (step.closes_sum && job.has_gelu_backward) load_saved(mem0, mem1, mem2, job, step, saved);
    if (step.closes_sum && job.accumulates) load_gradients(mem0, mem1, mem2, job, step, extra, saved);
    if (step.stored_sums > 0 && job.accumulates) load_bias_gradient(mem0, job, step, old_bias);
}

}  // namespace peelvit

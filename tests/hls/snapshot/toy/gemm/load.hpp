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

// Rows of the first operand: by contraction step modulo kPorts, row tile and step / kPorts, lane.
using RowBuffer = i16[kPorts][kStepTiles * kThirdChunk][kRowTile];
// Columns of the second operand: by contraction step and lane.
using ColumnBuffer = i16[kChunk][kColumnTile];
// Words of bias and residuals, and of saved values, by port. Weight gradients are in both, one word of two in each.
using ExtraBuffer = word_t[kPorts][(kStepRows + 1) * kPortWords];
using SavedBuffer = word_t[kPorts][kStepRows * kPortWords];
// Words of a panel's bias gradients.
using BiasBuffer = word_t[kPanelRows / kWideLanes];

// Strips of a block of row tiles: tile by tile, kPorts strips at a time.
struct RowStrips {
    static constexpr int kRounds = (kRowTile + kPorts * kLanes - 1) / (kPorts * kLanes);  // of a row tile
    int row, rows, tiles, third;
    int tile, part;  // where the walk through them stands

    int rounds() const { return tiles * kRounds; }
    void advance() {
        ++part;
        if (part == kRounds) {
            part = 0;
            ++tile;
        }
    }
    int source(int port, int lane) const {
        return row + smaller(tile * kRowTile + kLanes * (kPorts * part + port) + lane, rows - 1);
    }
    void put(RowBuffer& buffer, int port, int lane, int step, i16 value) const {
        const int bank = kLanes * (kPorts * part + port) + lane;
        if (bank < kRowTile) buffer[step % kPorts][tile * third + step / kPorts][bank] = value;
    }
};

// Strips of a column tile: each port has kPortWords of them.
struct ColumnStrips {
    int column, columns;
    int part;

    int rounds() const { return port_words(columns); }
    void advance() { ++part; }
    int source(int port, int lane) const {
        return column + smaller(kLanes * (port_start(port, columns) + part) + lane, columns - 1);
    }
    void put(ColumnBuffer& buffer, int port, int lane, int step, i16 value) const {
        buffer[step][kLanes * (port * kPortWords + part) + lane] = value;
    }
};

// `words` words from `word` on of the rows of all strips. Blocks of eight rows by kBurst words go through a line buffer.
template <class Strips, class Buffer>
inline void load_transposed(const word_t* mem0, const word_t* mem1, const word_t* mem2, const Matrix& matrix, int word,
                            int words, Strips strips, Buffer& buffer) {
#pragma HLS inline
    word_t line[2][kPorts][kLanes][kBurst];
#pragma HLS array_partition variable=line type=complete dim=1
#pragma HLS array_partition variable=line type=complete dim=2
#pragma HLS array_partition variable=line type=complete dim=3
    const int burst = smaller(kBurst, words);
    const int blocks = (words + kBurst - 1) / kBurst;
    const int passes = strips.rounds() * blocks;
    Strips written_strips = strips;
    int written_start = 0;
    int block = 0;
transpose_passes:
    for (int pass = 0; pass <= passes; ++pass) {  // the last one only writes: what it reads is not used
#pragma HLS loop_tripcount max = 1
        const int start = smaller(block * kBurst, words - burst);  // the last block may overlap the one before
        int element = 0;
    transpose_rows:
        for (int lane = 0; lane < kLanes; ++lane) {
            unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                address[port] = matrix.address + unsigned(strips.source(port, lane)) * unsigned(matrix.pitch) + unsigned(word + start);
            }
        transpose_words:
            for (int w = 0; w < burst; ++w) {
#pragma HLS loop_tripcount max = 8
                PIPELINE((pass | lane | w) == 0, 1, kReadLatency);
                line[pass & 1][0][lane][w] = read_word<0>(mem0, address[0] + unsigned(w));
                line[pass & 1][1][lane][w] = read_word<1>(mem1, address[1] + unsigned(w));
                line[pass & 1][2][lane][w] = read_word<2>(mem2, address[2] + unsigned(w));
                if (pass > 0) {
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                            const word_t source = line[(pass - 1) & 1][port][l][element / kLanes];
                            written_strips.put(buffer, port, l, kLanes * written_start + element, get16(source, element % kLanes));
                        }
                    }
                }
                ++element;
            }
        }
        written_strips = strips;
        written_start = start;
        ++block;
        if (block == blocks && pass < passes - 1) {
            block = 0;
            strips.advance();
        } else if (block == blocks) {
            block = 0;
        }
    }
}

// Rows of the first operand whose contraction runs across memory rows: port p brings steps p, p + kPorts, ... whole.
inline void load_rows_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                             RowBuffer& rows) {
    const int first_word = step.row / kLanes;
    const int words = words16(step.row + step.rows) - first_word;
    const int third = third_of(step.chunk);
row_steps:
    for (int t = 0; t < (step.chunk.count + kPorts - 1) / kPorts; ++t) {
#pragma HLS loop_tripcount max = 8
        unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            const int source = step.chunk.start + smaller(kPorts * t + port, step.chunk.count - 1);
            address[port] = job.first.address + unsigned(source) * unsigned(job.first.pitch) + unsigned(first_word);
        }
        int tile = 0;
        int place = t;  // of the tile
        int bank = -(step.row % kLanes);  // of the word's first element; the first word may begin before the step's rows
    row_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 3
            PIPELINE((t | w) == 0, 1, kReadLatency);
            word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
            word[0] = read_word<0>(mem0, address[0] + unsigned(w));
            word[1] = read_word<1>(mem1, address[1] + unsigned(w));
            word[2] = read_word<2>(mem2, address[2] + unsigned(w));
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                const bool is_next = i < bank;  // elements behind the tile's end belong to the next one
                const int lane = is_next ? i - bank + kRowTile : i - bank;
                if (lane < kLanes && (is_next ? tile + 1 : tile) < step.tiles) {
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        rows[port][is_next ? place + third : place][i] = get16(word[port], lane);
                    }
                }
            }
            bank += kLanes;
            if (bank >= kRowTile) {
                bank -= kRowTile;
                ++tile;
                place += third;
            }
        }
    }
}

inline void load_columns_direct(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                                ColumnBuffer& columns) {
column_steps:
    for (int c = 0; c < step.chunk.count; ++c) {
#pragma HLS loop_tripcount max = 24
        const unsigned address = job.second.address + unsigned(step.chunk.start + c) * unsigned(job.second.pitch) + unsigned(step.column / kLanes);
    column_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((c | w) == 0, 1, kReadLatency);
            word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
            word[0] = read_word<0>(mem0, address + unsigned(port_start(0, step.columns) + w));
            word[1] = read_word<1>(mem1, address + unsigned(port_start(1, step.columns) + w));
            word[2] = read_word<2>(mem2, address + unsigned(port_start(2, step.columns) + w));
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                    columns[c][kLanes * (port * kPortWords + w) + lane] = get16(word[port], lane);
                }
            }
        }
    }
}

inline void load_rows(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                      RowBuffer& rows) {
#pragma HLS inline
    if (job.form == kTn) {
        load_rows_direct(mem0, mem1, mem2, job, step, rows);
    } else {
        RowStrips strips;
        strips.row = step.row;
        strips.rows = step.rows;
        strips.tiles = step.tiles;
        strips.third = third_of(step.chunk);
        strips.tile = 0;
        strips.part = 0;
        load_transposed(mem0, mem1, mem2, job.first, step.chunk.start / kLanes, words16(step.chunk.count), strips, rows);
    }
}

inline void load_columns(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                         ColumnBuffer& columns) {
#pragma HLS inline
    if (job.form == kNt) {
        ColumnStrips strips;
        strips.column = step.column;
        strips.columns = step.columns;
        strips.part = 0;
        load_transposed(mem0, mem1, mem2, job.second, step.chunk.start / kLanes, words16(step.chunk.count), strips, columns);
    } else {
        load_columns_direct(mem0, mem1, mem2, job, step, columns);
    }
}

// `lines` lines of the step's columns: the bias (or a line that nobody uses), then residual rows.
inline void load_residual(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                          ExtraBuffer& extra) {
    const int lines = job.has_residual ? 1 + step.rows : 1;
    const unsigned column_word = unsigned(step.column / kLanes);
    int residual_row = step.row % job.residual_period;  // lint: divider
    unsigned address = job.has_bias ? job.bias.address : job.residual.address;
residual_lines:
    for (int line = 0; line < lines; ++line) {
#pragma HLS loop_tripcount max = 21
    residual_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((line | w) == 0, 1, kReadLatency);
            const int place = line * kPortWords + w;
            extra[0][place] = read_word<0>(mem0, address + column_word + unsigned(port_start(0, step.columns) + w));
            extra[1][place] = read_word<1>(mem1, address + column_word + unsigned(port_start(1, step.columns) + w));
            extra[2][place] = read_word<2>(mem2, address + column_word + unsigned(port_start(2, step.columns) + w));
        }
        address = job.residual.address + unsigned(residual_row) * unsigned(job.residual.pitch);
        ++residual_row;
        if (residual_row == job.residual_period) residual_row = 0;
    }
}

// What GELU's backward multiplies with: the values before it.
inline void load_saved(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                       SavedBuffer& saved) {
saved_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const unsigned address = job.pre.address + unsigned(step.row + i) * unsigned(job.pre.pitch) + unsigned(step.column / kLanes);
    saved_words:
        for (int w = 0; w < port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 1
            PIPELINE((i | w) == 0, 1, kReadLatency);
            const int place = i * kPortWords + w;
            saved[0][place] = read_word<0>(mem0, address + unsigned(port_start(0, step.columns) + w));
            saved[1][place] = read_word<1>(mem1, address + unsigned(port_start(1, step.columns) + w));
            saved[2][place] = read_word<2>(mem2, address + unsigned(port_start(2, step.columns) + w));
        }
    }
}

// The weight gradients that are added to.
inline void load_gradients(const word_t* mem0, const word_t* mem1, const word_t* mem2, const GemmJob& job, const GemmStep& step,
                           ExtraBuffer& extra, SavedBuffer& saved) {
gradient_rows:
    for (int i = 0; i < step.rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const unsigned address = job.out.address + unsigned(step.row + i) * unsigned(job.out.pitch) + unsigned(2 * (step.column / kLanes));
    gradient_words:
        for (int w = 0; w < 2 * port_words(step.columns); ++w) {
#pragma HLS loop_tripcount max = 2
            PIPELINE((i | w) == 0, 1, kReadLatency);
            word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
            word[0] = read_word<0>(mem0, address + unsigned(2 * port_start(0, step.columns) + w));
            word[1] = read_word<1>(mem1, address + unsigned(2 * port_start(1, step.columns) + w));
            word[2] = read_word<2>(mem2, address + unsigned(2 * port_start(2, step.columns) + w));
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                if (w % 2 == 0)
                    extra[port][(1 + i) * kPortWords + w / 2] = word[port];
                else
                    saved[port][i * kPortWords + w / 2] = word[port];
            }
        }
    }
}

// Words of the bias gradients of a panel; the panel's first row is the first element of a word.
inline unsigned bias_address(const GemmJob& job, const GemmStep& step) {
    return job.bias.address + unsigned((step.row - step.panel_tile * kRowTile) / kWideLanes);
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
    if (step.loads_columns) load_columns(mem0, mem1, mem2, job, step, columns);
    if (step.loads_rows) load_rows(mem0, mem1, mem2, job, step, rows);
    if (step.closes_sum && (job.has_bias || job.has_residual)) load_residual(mem0, mem1, mem2, job, step, extra);
    if (step.closes_sum && job.has_gelu_backward) load_saved(mem0, mem1, mem2, job, step, saved);
    if (step.closes_sum && job.accumulates) load_gradients(mem0, mem1, mem2, job, step, extra, saved);
    if (step.stored_sums > 0 && job.accumulates) load_bias_gradient(mem0, job, step, old_bias);
}

}  // namespace peelvit

// Loads of an operand whose contraction runs along memory rows (kNt; the first operand of kNn): strips of eight rows, one
// strip a port, are transposed on the way.
#pragma once

#include "ports.hpp"

namespace peelvit {

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
    strips.matrix = step.is_next ? job.next.matrix : job.second;
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

// A block of eight rows by eight words, turned in place. Words come row by row; a column of the block before leaves with
// each of them, and the word takes its room: element `e` of word `w` of row `r` where the column's element of row `e` was.
// So rows, words and elements change their parts from block to block, and after three they are where they were. Elements
// of a word, and those of a column, lie in banks of their own.
struct TurnedBlock {
    i16 element[kPorts][kLanes][kLanes * kBurst];
    u8 order;
};
static_assert(kBurst == kLanes, "a block has as many columns as words");

// Where a bank holds its part of word `w` of row `lane`, and of the column that leaves with it.
inline int slot_of(int order, int bank, int lane, int w) {
    const int turned = (bank - lane - w) & (kLanes - 1);
    const int row = order == 0 ? turned : (order == 1 ? w : lane);
    const int word = order == 0 ? lane : (order == 1 ? turned : w);
    return kBurst * row + word;
}

// Lane l is lane l + `by` of the word.
inline word_t rotated(const word_t& word, int by) {
#pragma HLS inline
    word_t turned = word;
    for (int level = 0; level < 3; ++level) {
#pragma HLS unroll
        word_t next = zero_word();
        for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
            const int from = (l + (1 << level)) % kLanes;
            put16(next, l, (by >> level & 1) != 0 ? get16(turned, from) : get16(turned, l));
        }
        turned = next;
    }
    return turned;
}

// Words of row `lane` go in if they are the block's, the columns before them come out.
inline void turn(TurnedBlock& block, int lane, int w, bool goes_in, const PortWords& word, PortWords& column) {
#pragma HLS inline
    const int first = (lane + w) & (kLanes - 1);  // bank of the first element of both
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const word_t coming = rotated(word[port], -first & (kLanes - 1));
        word_t leaving = zero_word();
        for (int bank = 0; bank < kLanes; ++bank) {
#pragma HLS unroll
            const int slot = slot_of(block.order, bank, lane, w);
            put16(leaving, bank, block.element[port][bank][slot]);
            if (goes_in) block.element[port][bank][slot] = get16(coming, bank);
        }
        column[port] = rotated(leaving, first);
    }
}

// How a load begins and ends. One that goes on reads the first block of the columns behind it while it turns its own last
// one; that one has begun then. Behind all of it may come a line of bias.
struct Turn {
    bool has_begun;
    bool goes_on;
    Strips behind;
    unsigned word_behind;
    int bias_words;  // of each port, or 0
    unsigned bias[kPorts];
};

inline Turn plain_turn(const Strips& strips) {
    Turn turn;
    turn.has_begun = false;
    turn.goes_on = false;
    turn.behind = strips;
    turn.word_behind = 0;
    turn.bias_words = 0;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        turn.bias[port] = 0;
    }
    return turn;
}

// `words` words from `word` on of the rows of all strips.
inline void load_transposed(const word_t* mem0, const word_t* mem1, const word_t* mem2, const Strips& strips, int word,
                            int words, const Turn& by, TurnedBlock& block_before, RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra) {
#pragma HLS inline off
    const int burst = smaller(kBurst, words);
    const int blocks = (words + kBurst - 1) / kBurst;
    const int passes = short_product(strips.rounds, blocks);
    const int first_pass = by.has_begun ? 1 : 0;
    const bool skips_round = by.has_begun && blocks == 1;
    int block = by.has_begun && blocks > 1 ? 1 : 0;
    int round = skips_round ? 1 : 0;
    int strip = skips_round ? int(strips.stride) : 0;  // how far the ports' strips have moved on
    int written_round = 0;
    int written_start = 0;
transpose_passes:
    for (int pass = first_pass; pass <= passes; ++pass) {
#pragma HLS loop_tripcount max = 1
        const bool is_last = pass == passes;  // it only writes, unless the load goes on: else nobody uses what it reads
        const bool is_behind = is_last && by.goes_on;
        const Strips from = is_behind ? by.behind : strips;
        const int start = is_last ? 0 : smaller(block * kBurst, words - burst);  // the last block may overlap the one before
        const unsigned first_word = is_behind ? by.word_behind : unsigned(word + start);
        const int moved = is_last ? 0 : strip;
        int c = kLanes * written_start;
        int bank = bank_of(strips.slot + c);
        const int lanes = is_last && by.bias_words > 0 ? kLanes + 1 : int(kLanes);
    transpose_rows:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS loop_tripcount max = 9
            const bool is_bias = lane == kLanes;
            unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const int row = from.row + smaller(kLanes * (from.start[port] + moved) + lane, from.rows - 1);
                address[port] = is_bias ? by.bias[port] : row_address(from.matrix, unsigned(row)) + first_word;
            }
            // Where rows are short, each brings few words, and as few rows of words hold columns.
        transpose_words:
            for (int w = 0; w < (is_bias ? by.bias_words : (lane < burst ? int(kBurst) : burst)); ++w) {
#pragma HLS loop_tripcount max = 8
                PIPELINE((lane | w) == 0 && pass == first_pass, 1, kReadLatency);
                PortWords read;
                PortWords turned;
#pragma HLS array_partition variable=read type=complete
#pragma HLS array_partition variable=turned type=complete
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    read[port] = zero_word();
                }
                if (is_bias || w < burst) read_ports(mem0, mem1, mem2, address, w, read);
                turn(block_before, lane & (kLanes - 1), w, !is_bias, read, turned);
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    if (is_bias) extra[port][w] = read[port];
                }
                if (pass > 0 && lane < burst) {
                    if (!strips.are_columns) put_rows(rows, bank, strips.slot, written_round, c, turned);
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        if (strips.are_columns) columns[pair_of(c)][place_in_pair(c)][port][written_round] = turned[port];
                    }
                }
                ++c;
                bank = next_of(bank);
            }
        }
        block_before.order = block_before.order == 2 ? u8(0) : u8(block_before.order + 1);
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

}  // namespace peelvit

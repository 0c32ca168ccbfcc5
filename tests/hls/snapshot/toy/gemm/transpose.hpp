// Loads of an operand whose contraction runs along memory rows (kNt; the first operand of kNn): strips of eight rows, one
// strip a port, are transposed on the way.
#pragma once

#include "lines.hpp"

namespace peelvit {

// Strips of eight memory rows, each the source of one word a contraction step: of the pass's new rows, or of its columns.
struct Strips {
    Matrix matrix;
    bool are_columns;
    i20 row, rows;        // of the matrix: the first one, and how many
    u8 start[kPorts];     // first strip of each port
    u8 stride;            // strips from one round to the next
    u8 rounds;            // of a column tile
    u8 tiles;
    u8 slot;              // of the first row word in its group
};

inline Strips no_strips(const Matrix& matrix) {
    Strips strips;
    strips.matrix = matrix;
    strips.are_columns = false;
    strips.row = 0;
    strips.rows = 1;
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        strips.start[port] = 0;
    }
    strips.stride = 0;
    strips.rounds = 0;
    strips.tiles = 0;
    strips.slot = 0;
    return strips;
}

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
    strips.tiles = 1;
    strips.slot = rows.slot;
    return strips;
}

inline Strips strips_of_columns(const GemmJob& job, const GemmStep& step) {
    Strips strips;
    strips.matrix = step.is_next ? job.next.matrix : job.second;
    strips.are_columns = true;
    strips.row = step.new_tiles < step.column_tiles ? i20(step.column + kColumnTile) : step.column;
    strips.rows = step.new_tiles == 2 ? i20(2 * kColumnTile) : i20(step.columns);
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        strips.start[port] = start_of(step, port);
    }
    strips.stride = 1;
    strips.rounds = words_of(step);
    strips.tiles = step.new_tiles;
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

// What a load turns: strips of rows, then of columns, or of one of both; and how it begins and ends. One that goes on reads
// the first block of what is behind it while it turns its own last one; that one has begun then. Behind all of it may come
// lines, as every loop waits for its first word.
struct Turn {
    Strips part[2];
    unsigned word;  // first word of a row, and how many
    int words;
    bool has_begun;
    bool goes_on;
    Strips behind;
    unsigned word_behind;
    Lines lines;
};

// A block of a turn.
struct TurnPlace {
    bool is_second;  // part
    bool is_second_tile;
    u8 block;
    u8 round;  // of its column tile
    u8 strip;  // how far the ports' strips have moved on
};

inline void advance(const Turn& by, int blocks, TurnPlace& place) {
#pragma HLS inline
    const Strips& strips = by.part[place.is_second ? 1 : 0];
    place.block = u8(place.block + 1);
    if (place.block < blocks) return;
    place.block = 0;
    place.round = u8(place.round + 1);
    place.strip = u8(place.strip + strips.stride);
    if (place.round < strips.rounds) return;
    place.round = 0;
    place.is_second_tile = !place.is_second_tile && strips.tiles == 2;
    place.strip = place.is_second_tile ? u8(kRowBeats) : u8(0);
    place.is_second = true;
}

// Its first word; the last block may overlap the one before.
inline int start_of_block(const Turn& by, const TurnPlace& place, int burst) {
    return smaller(natural<2>(unsigned(place.block * kBurst)), by.words - burst);
}

// Blocks come one by one, a column of the block before leaves with each word; a pass more writes the last one.
inline void load_transposed(const word_t* mem0, const word_t* mem1, const word_t* mem2, const Turn& by, const GemmStep& step,
                            TurnedBlock& block_before, RowBuffer& rows, ColumnBuffer& columns, ExtraBuffer& extra, SavedBuffer& saved) {
#pragma HLS inline off
    const int burst = smaller(kBurst, by.words);
    const int blocks = (by.words + kBurst - 1) / kBurst;
    const int rounds = by.part[0].rounds + (by.part[1].tiles == 2 ? int(2 * by.part[1].rounds) : int(by.part[1].rounds));
    const int passes = short_product(natural<8>(unsigned(rounds)), blocks);
    const int first_pass = by.has_begun ? 1 : 0;
    TurnPlace place;
    place.is_second = by.part[0].rounds == 0;
    place.is_second_tile = false;
    place.block = 0;
    place.round = 0;
    place.strip = 0;
    LineWalk line = start_of_lines(by.lines, step);
transpose_passes:
    for (int pass = first_pass; pass <= passes; ++pass) {
#pragma HLS loop_tripcount max = 1
        const bool is_last = pass == passes;  // it only writes, unless the load goes on: else nobody uses what it reads
        const bool is_behind = is_last && by.goes_on;
        const TurnPlace written = place;
        if (pass > 0 && !is_last) advance(by, blocks, place);
        const Strips from = is_behind ? by.behind : by.part[place.is_second ? 1 : 0];
        const int start = is_last ? 0 : start_of_block(by, place, burst);
        const unsigned first_word = is_behind ? by.word_behind : by.word + unsigned(start);
        const u8 moved = is_last ? u8(0) : place.strip;
        const int first_pair = written.is_second_tile ? pairs_of(step.chunk.count) : 0;
        const bool writes_columns = by.part[written.is_second ? 1 : 0].are_columns;
        const int first_c = natural<7>(unsigned(kLanes * kBurst * written.block));  // that no block before has written
        int c = kLanes * start_of_block(by, written, burst);
        int bank = bank_of(by.part[0].slot + c);
        const int lanes = kLanes + (is_last ? int(by.lines.count) : 0);
    transpose_rows:
        for (int lane = 0; lane < lanes; ++lane) {
#pragma HLS loop_tripcount max = 49
            const bool is_line = lane >= kLanes;
            unsigned address[kPorts];
            unsigned line_address[kPorts];
#pragma HLS array_partition variable=address type=complete
#pragma HLS array_partition variable=line_address type=complete
            row_part(line_start(by.lines, line), step, line_address);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const int strip = natural<8>(unsigned(from.start[port] + moved));
                const int row = from.row + smaller(kLanes * strip + (lane & (kLanes - 1)), from.rows - 1);
                address[port] = is_line ? line_address[port] : row_address(from.matrix, unsigned(row)) + first_word;
            }
            // Where rows are short, each brings few words, and as few rows of words hold columns.
        transpose_words:
            for (int w = 0; w < (is_line ? line_words(step) : (lane < burst ? int(kBurst) : burst)); ++w) {
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
                if (is_line || w < burst) read_ports(mem0, mem1, mem2, address, is_line ? ahead_of(w) : w, read);
                turn(block_before, lane & (kLanes - 1), w & (kBurst - 1), !is_line, read, turned);
                if (is_line) keep_line(by.lines, line.line * kPortWords + w, read, extra, saved);
                if (pass > 0 && lane < burst) {
                    if (!writes_columns) put_rows(rows, bank, by.part[0].slot, written.round, c, turned);
                    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                        if (writes_columns && c >= first_c && c < step.chunk.count) columns[first_pair + pair_of(c)][place_in_pair(c)][port][written.round] = turned[port];
                    }
                }
                ++c;
                bank = next_of(bank);
            }
            if (is_line) advance(by.lines, line);
        }
        block_before.order = block_before.order == 2 ? u8(0) : u8(block_before.order + 1);
    }
}

}  // namespace peelvit

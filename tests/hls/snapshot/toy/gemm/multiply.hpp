// The multipliers of the GEMM engine: outer products of a row tile and a column tile, summed over a chunk.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kMultiplyDepth = 12;
constexpr int kPanelGroupBits = 2;

// The sum over a chunk, and that of one operand alone, in as few bits as the longest chunk takes.
#ifdef PEELVIT_NATIVE
using chunk_t = acc_t;
using row_chunk_t = i32;
#else
using chunk_t = ap_int<36>;
using row_chunk_t = ap_int<21>;
#endif

// Sums of a step by row and lane, handed on row by row.
using SumBuffer = chunk_t[kStepRows][kColumnTile];
// Sums of the first operand over the contraction, by row.
using RowSumBuffer = row_chunk_t[kStepRows];

// kRowTile x kColumnTile multiply-accumulates in a cycle; `opens` begins new sums.
inline void rank_1(chunk_t (&acc)[kRowTile][kColumnTile], bool opens, const factor_t (&a)[kRowTile], const factor_t (&b)[kColumnTile]) {
#pragma HLS inline
    for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
        for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
            const chunk_t before = opens ? chunk_t(0) : acc[i][j];
            acc[i][j] = before + product(a[i], b[j]);
        }
    }
}

// Cycles of a row tile.
inline int turn_of(const Chunk& chunk) { return larger(chunk.count, kRowTile); }

// Where a row tile lies in the panel: its first word, its first element in it, and the bank of that word.
struct TilePlace {
    u8 word;
    u8 pair;   // its first two elements there: a tile is an even number of rows
    u8 bank;   // of the present contraction step
    u8 group;  // of the first word, with the one in bank 0 of the first step
    u8 slot;   // of the first word in the group
};

inline TilePlace place_of(int panel_row) {
    TilePlace place;
    const int row = natural<kPanelPlaceBits>(unsigned(panel_row));
    place.word = row / kLanes;
    place.pair = row % kLanes / 2;
    place.group = group_of(place.word);
    place.slot = bank_of(place.word);
    place.bank = place.slot;
    return place;
}

// The factors of a row tile at contraction step `c`: new ones from `rows`, and kept in `panel` for the steps that follow.
inline void read_rows(const GemmStep& step, const TilePlace& tile, int c, const RowBuffer& rows, RowPanel& panel, factor_t (&a)[kRowTile]) {
#pragma HLS inline
    const NewRows fresh = new_rows(step);
    const int first_bank = natural<2>(tile.bank);
    const int tile_group = natural<kPanelGroupBits>(tile.group);
    const int fresh_group = natural<kPanelGroupBits>(fresh.group);
    word_t read[kPorts];
#pragma HLS array_partition variable=read type=complete
    for (int bank = 0; bank < kPorts; ++bank) {
#pragma HLS unroll
        const int ahead = bank < first_bank ? bank - first_bank + kPorts : bank - first_bank;  // words behind the tile's first
        const bool is_used = ahead < kTileWords;
        const int group = is_used && tile.slot + ahead >= kPorts ? tile_group + 1 : tile_group;
        const bool is_new = step.loads_rows && is_used && tile.word + ahead >= fresh.word;
        word_t& kept = panel[bank][group * kChunk + c];
        const word_t word = is_new ? rows[bank][natural<kPanelGroupBits>(unsigned(group - fresh_group)) * kChunk + c] : kept;
        if (is_new) kept = word;
        read[bank] = word;
    }
    const int pair = kRowTile % kLanes == 0 ? 0 : natural<2>(tile.pair);
    i16 element[kTileWords * kLanes];
#pragma HLS array_partition variable=element type=complete
    for (int w = 0; w < kTileWords; ++w) {
#pragma HLS unroll
        const int bank = first_bank + w < kPorts ? first_bank + w : first_bank + w - kPorts;
        for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
            element[kLanes * w + l] = get16(read[bank], l);
        }
    }
    for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
        a[i] = element[2 * pair + i];
    }
}

// One loop over row tiles and contraction steps. A tile's sums are handed on while the next tile is summed. New rows and
// columns are used as they arrive and kept in `panel` and `column_tile` for the steps that follow.
inline void multiply(const GemmStep& step, const RowBuffer& rows, const ColumnBuffer& columns, RowPanel& panel, ColumnBuffer& column_tile,
                     SumBuffer& sums, RowSumBuffer& row_sums) {
    chunk_t acc[kRowTile][kColumnTile];
    chunk_t finished[kRowTile][kColumnTile];
    row_chunk_t row_acc[kRowTile];
    row_chunk_t row_finished[kRowTile];
#pragma HLS array_partition variable=row_acc type=complete
#pragma HLS array_partition variable=row_finished type=complete
#pragma HLS array_partition variable=acc type=complete dim=0
#pragma HLS array_partition variable=finished type=complete dim=0
    const i16 turn = turn_of(step.chunk);
    const int cycles = short_product(step.tiles, turn) + kRowTile;
    i16 tile = 0;
    i16 panel_row = step.panel_row;
    TilePlace place = place_of(panel_row);
    i16 c = 0;  // contraction step
    u8 drained = kRowTile;
    i16 handed_on = 0;
multiply_steps:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS loop_tripcount max = 58
        PIPELINE(cycle == 0, 1, kMultiplyDepth);
        if (drained < kRowTile && handed_on < step.rows) {
            row_sums[handed_on] = row_finished[drained];
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                sums[handed_on][j] = finished[drained][j];
            }
            ++drained;
            ++handed_on;
        }
        if (tile < step.tiles && c < step.chunk.count) {
            factor_t a[kRowTile];
            factor_t b[kColumnTile];
#pragma HLS array_partition variable=a type=complete
#pragma HLS array_partition variable=b type=complete
            read_rows(step, place, natural<kPanelPlaceBits>(unsigned(c)), rows, panel, a);
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                const row_chunk_t before = c == 0 ? row_chunk_t(0) : row_acc[i];
                row_acc[i] = before + a[i];
            }
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                for (int w = 0; w < kPortWords; ++w) {
#pragma HLS unroll
                    word_t& kept = column_tile[step.kept_column + c][port][w];
                    const word_t word = step.loads_columns ? columns[c][port][w] : kept;
                    if (step.loads_columns) kept = word;
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        b[kLanes * (port * kPortWords + w) + l] = get16(word, l);
                    }
                }
            }
            rank_1(acc, c == 0, a, b);
        }
        place.bank = next_of(place.bank);
        ++c;
        if (c == turn && tile < step.tiles) {
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                row_finished[i] = row_acc[i];
                for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                    finished[i][j] = acc[i][j];
                }
            }
            c = 0;
            panel_row += kRowTile;
            place = place_of(panel_row);
            drained = 0;
            ++tile;
        }
    }
}

}  // namespace peelvit

// The multipliers of the GEMM engine: outer products of a row tile and a column tile, summed over a chunk.
//
// A cell makes two multiply-accumulates a cycle with one multiplier (`crossed`, types.hpp). What has to be taken away
// depends on the row or on the column alone; it is summed beside the array and added when a row is handed on.
#pragma once

#include "load.hpp"
#include "panel.hpp"

namespace peelvit {

constexpr int kMultiplyDepth = 12;
constexpr int kRowGrain = 2;  // a row tile begins at a multiple of it in a word
static_assert(kRowTile * kPortWords <= 255, "words of a port of a row tile are counted in eight bits: fewer rows or columns");
constexpr int kPanelGroupBits = 2;

// The sum over a chunk, and that of one operand alone, in as few bits as the longest chunk takes: sums of crossed
// products wrap at that.
#ifdef PEELVIT_NATIVE
using chunk_t = acc_t;
using row_chunk_t = i32;
#else
using chunk_t = ap_int<36>;
using row_chunk_t = ap_int<21>;
#endif

// Sums are handed on a word of each port at once: by row and word of a port.
constexpr int kPortsLanes = kPorts * kLanes;
using SumBuffer = chunk_t[kMostColumnTiles * kPanelRows * kPortWords][kPortsLanes];
// Sums of the first operand over the contraction, by row.
using RowSumBuffer = row_chunk_t[kMostColumnTiles * kPanelRows];

// Factors of a row tile and of a column tile, of a pair of contraction steps.
using RowFactors = factor_t[kPair][kRowTile];
using ColumnFactors = factor_t[kPair][kColumnTile];

// kRowTile x kColumnTile x 2 multiply-accumulates in a cycle; `opens` begins new sums.
inline void rank_2(chunk_t (&acc)[kRowTile][kColumnTile], bool opens, const RowFactors& a, const ColumnFactors& b) {
#pragma HLS inline
    for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
        for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
            const chunk_t before = opens ? chunk_t(0) : acc[i][j];
            acc[i][j] = before + crossed(a[0][i], a[1][i], b[0][j], b[1][j]);
        }
    }
}

// What crossed products hold beside the sum, negative, of each row or column.
template <int kCount>
inline void take_own(chunk_t (&acc)[kCount], bool opens, const factor_t (&x)[kPair][kCount]) {
#pragma HLS inline
    for (int i = 0; i < kCount; ++i) {
#pragma HLS unroll
        const chunk_t before = opens ? chunk_t(0) : acc[i];
        acc[i] = before - own(x[0][i], x[1][i]);
    }
}

// Where a column of the tile is among the words of its port, and in one of each.
inline int word_of(int column) { return column / kLanes % kPortWords; }
inline int port_lane_of(int column) { return column / kLanes / kPortWords * kLanes + column % kLanes; }

// Cycles of a row tile: those of its sums, and those in which the ones before are handed on, if there are any.
inline int turn_of(const GemmStep& step) {
    const bool is_alone = step.tiles == 1 && step.column_tiles == 1;
    return larger(pairs_of(step.chunk.count), is_alone ? 1 : short_product(kRowTile, words_of(step)));
}

// For the schedule: from one column tile to the next.
inline int cycles_apart(const GemmStep& step) { return step.tiles * turn_of(step); }

// Where a row tile lies in the panel: its first word, its first element in it, and the bank of that word.
struct TilePlace {
    u8 word;
    u8 grain;  // elements there before its first, by kRowGrain
    u8 bank;   // of the first step of the present pair
    u8 group;  // of the first word, with the one in bank 0 of the first step
    u8 slot;   // of the first word in the group
};

inline TilePlace place_of(int panel_row) {
    TilePlace place;
    const int row = natural<kPanelPlaceBits>(unsigned(panel_row));
    place.word = row / kLanes;
    place.grain = row % kLanes / kRowGrain;
    place.group = group_of(place.word);
    place.slot = bank_of(place.word);
    place.bank = place.slot;
    return place;
}

// The factors of a row tile at a step of pair `pair`, whose first word is in `first_bank`: new ones from `rows`, and kept
// in `panel` for the passes that follow.
template <int kPlace>
inline void read_rows(const GemmStep& step, const TilePlace& tile, int first_bank, int pair, const RowBuffer& rows, RowPanel& panel,
                      RowFactors& a) {
#pragma HLS inline
    const NewRows fresh = new_rows(step);
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
        const int index = group * kChunkPairs + pair;
        word_t kept = zero_word();
        for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
            put16(kept, l, panel[bank][kPlace][index][l]);
        }
        const word_t word = is_new ? rows[bank][kPlace][natural<kPanelGroupBits>(unsigned(group - fresh_group)) * kChunkPairs + pair] : kept;
        for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
            if (is_new) panel[bank][kPlace][index][l] = get16(word, l);
        }
        read[bank] = word;
    }
    const int first = kRowGrain == kLanes ? 0 : kRowGrain * natural<2>(tile.grain);
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
    // The last pair of an odd count has one step: a row factor of 0 makes its second product nothing.
    const bool exists = kPlace == 0 || kPair * pair + kPlace < step.chunk.count;
    for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
        a[kPlace][i] = exists ? element[first + i] : i16(0);
    }
}

// The factors of a column tile at the steps of pair `pair`: those that `arrive`, in the tile's first turn, come from a FIFO
// each and are kept in `column_tile`. What the last pair of an odd count, or a narrow tile, does not have stays as it was.
inline void read_columns(const GemmStep& step, bool is_second, bool arrive, int pair, const ColumnBuffer& columns, KeptColumns& column_tile,
                         ColumnFactors& b) {
#pragma HLS inline
    const int new_pair = is_second && step.new_tiles == 2 ? pairs_of(step.chunk.count) + pair : pair;
    const int kept_pair = step.kept_column[is_second ? 1 : 0] + pair;
    for (int place = 0; place < kPair; ++place) {
#pragma HLS unroll
        const bool exists = place == 0 || kPair * pair + place < step.chunk.count;
        for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
            for (int w = 0; w < kPortWords; ++w) {
#pragma HLS unroll
                word_t& kept = column_tile[kept_pair][place][port][w];
                const bool arrives = arrive && exists && kPorts * w + port < beats_of(step);
                const word_t word = arrives ? columns[new_pair][place][port][w] : kept;
                if (arrives) kept = word;
                for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                    b[place][kLanes * (port * kPortWords + w) + l] = get16(word, l);
                }
            }
        }
    }
}

// One loop over column tiles, row tiles and pairs of contraction steps. A tile's sums are handed on while the next tile is
// summed. New rows and columns are used as they arrive and kept in `panel` and `column_tile` for the passes that follow.
inline void multiply(const GemmStep& step, const RowBuffer& rows, const ColumnBuffer& columns, RowPanel& panel, KeptColumns& column_tile,
                     SumBuffer& sums, RowSumBuffer& row_sums) {
    chunk_t acc[kRowTile][kColumnTile];
    chunk_t finished[kRowTile * kPortWords][kPortsLanes];
    chunk_t row_own[kRowTile];
    chunk_t row_own_finished[kRowTile];
    chunk_t column_own[kColumnTile];
    chunk_t column_own_finished[kPortWords][kPortsLanes];
    row_chunk_t row_acc[kRowTile];
    row_chunk_t row_finished[kRowTile];
#pragma HLS array_partition variable=acc type=complete dim=0
#pragma HLS array_partition variable=finished type=complete dim=0
#pragma HLS array_partition variable=row_own type=complete
#pragma HLS array_partition variable=row_own_finished type=complete
#pragma HLS array_partition variable=column_own type=complete
#pragma HLS array_partition variable=column_own_finished type=complete dim=0
#pragma HLS array_partition variable=row_acc type=complete
#pragma HLS array_partition variable=row_finished type=complete
    const i16 pairs = pairs_of(step.chunk.count);
    const i16 turn = turn_of(step);
    const int words = words_of(step);
    const int last_rows = step.rows - narrow<7>(step.tiles - 1) * kRowTile;
    const int tiles = step.column_tiles == 2 ? int(2 * step.tiles) : int(step.tiles);
    const int cycles = short_product(tiles, turn) + short_product(last_rows, words);
    i16 tile = 0;
    bool is_second = false;  // column tile
    bool arrive = step.new_tiles == step.column_tiles;  // its columns
    i16 panel_row = step.panel_row;
    TilePlace place = place_of(panel_row);
    i16 pair = 0;
    u8 drained = 0;  // rows of the last tile that are handed on, of so many, and words of the next one
    u8 to_drain = 0;
    u8 drained_words = 0;
    u8 drained_place = 0;
    i16 handed_on = 0;
    i16 rows_handed_on = 0;
multiply_steps:
    for (int cycle = 0; cycle < cycles; ++cycle) {
#pragma HLS loop_tripcount max = 58
        PIPELINE(cycle == 0, 1, kMultiplyDepth);
        if (drained < to_drain) {
            if (drained_words == 0) row_sums[rows_handed_on] = row_finished[drained];
            for (int l = 0; l < kPortsLanes; ++l) {
#pragma HLS unroll
                sums[handed_on][l] = finished[drained_place][l] + row_own_finished[drained] + column_own_finished[drained_words][l];
            }
            ++handed_on;
            ++drained_place;
            ++drained_words;
            if (drained_words == words) {
                drained_words = 0;
                ++drained;
                drained_place = narrow<5>(drained) * kPortWords;
                ++rows_handed_on;
            }
        }
        if (tile < tiles && pair < pairs) {
            RowFactors a;
            ColumnFactors b;
#pragma HLS array_partition variable=a type=complete dim=0
#pragma HLS array_partition variable=b type=complete dim=0
            const int now = natural<kPanelPlaceBits>(unsigned(pair));
            const int bank = natural<2>(place.bank);
            read_rows<0>(step, place, bank, now, rows, panel, a);
            read_rows<1>(step, place, next_of(bank), now, rows, panel, a);
            read_columns(step, is_second, arrive, now, columns, column_tile, b);
            const bool opens = pair == 0;
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                const row_chunk_t before = opens ? row_chunk_t(0) : row_acc[i];
                row_acc[i] = before + a[0][i] + a[1][i];
            }
            take_own(row_own, opens, a);
            take_own(column_own, opens, b);
            rank_2(acc, opens, a, b);
        }
        place.bank = next_of(next_of(place.bank));
        ++pair;
        if (pair == turn && tile < tiles) {
            for (int i = 0; i < kRowTile; ++i) {
#pragma HLS unroll
                row_finished[i] = row_acc[i];
                row_own_finished[i] = row_own[i];
                for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                    finished[i * kPortWords + word_of(j)][port_lane_of(j)] = acc[i][j];
                }
            }
            for (int j = 0; j < kColumnTile; ++j) {
#pragma HLS unroll
                column_own_finished[word_of(j)][port_lane_of(j)] = column_own[j];
            }
            ++tile;
            const bool ends_column_tile = tile == step.tiles || tile == tiles;
            pair = 0;
            panel_row = ends_column_tile ? int(step.panel_row) : int(panel_row + kRowTile);
            place = place_of(panel_row);
            arrive = step.new_tiles > 0 && step.column_tiles == 2 && tile == step.tiles;
            is_second = tile >= step.tiles;
            drained = 0;
            drained_place = 0;
            to_drain = u8(unsigned(ends_column_tile ? last_rows : int(kRowTile)));
        }
    }
}

}  // namespace peelvit

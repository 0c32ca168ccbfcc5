// What stays on chip from one instruction to the next: rows of the first operand, a panel of them, and column tiles.
//
// What is kept word by word of eight rows (multiply) can also come row by row, eight contraction steps a word, from who
// makes the rows (layernorm): every lane is a memory of its own.
#pragma once

#include "job.hpp"

namespace peelvit {

// By bank, place in a pair, and lane of a word of eight rows.
using RowPanel = i16[kPorts][kPair][kPanelGroups * kChunkPairs][kLanes];

// A matrix that an operand's memory holds when an instruction has ended, if it is of use to a later one.
struct HeldMatrix {
    bool is_there;
    unsigned address;
    u17 pitch;
    bool is_across;  // the contraction runs across its rows
    bool is_by_rows;  // words of columns lie as whole rows bring them
    i18 rows;   // of the first operand; columns of the second one
    i18 start, length;  // of the contraction
};

inline HeldMatrix held_matrix(bool is_there, const Matrix& matrix, int rows, int length) {
    HeldMatrix held;
    held.is_there = is_there;
    held.address = matrix.address;
    held.pitch = u17(unsigned(matrix.pitch));
    held.is_across = false;
    held.is_by_rows = false;
    held.rows = rows;
    held.start = 0;
    held.length = length;
    return held;
}

inline HeldMatrix no_matrix() { return held_matrix(false, Matrix(), 0, 0); }

inline bool is_same(const HeldMatrix& held, const HeldMatrix& wanted) {
    const bool is_same_place = held.address == wanted.address && held.pitch == wanted.pitch && held.is_across == wanted.is_across && held.is_by_rows == wanted.is_by_rows;
    const bool is_same_part = held.rows == wanted.rows && held.start == wanted.start && held.length == wanted.length;
    return held.is_there && wanted.is_there && is_same_place && is_same_part;
}

// Whole rows in the panel; column tiles: the first ones of weights, all of what a weight gradient contracts.
struct Held {
    HeldMatrix rows, columns;
};

inline Held nothing_held() {
    Held held;
    held.rows = no_matrix();
    held.columns = no_matrix();
    return held;
}

inline HeldMatrix held_rows_of(const GemmJob& job) {
    const bool are_whole = job.form != kTn && job.chunks == 1 && job.rows <= kPanelRows;
    return held_matrix(are_whole, job.first, job.rows, job.segment[0].count);
}

// The first column tiles of the next weights, for a job of the same form; of their first chunk, where the contraction has
// several.
inline HeldMatrix held_weights(const GemmJob& job) {
    HeldMatrix held = held_matrix(true, job.next.matrix, job.next.columns, job.next.length);
    held.is_across = job.form != kNt;
    return held;
}

inline HeldMatrix held_columns_of(const GemmJob& job) {
    const bool are_held = job.form != kTn || job.chunks == 1;
    HeldMatrix held = held_matrix(are_held, job.second, job.columns, job.segment[0].count);
    held.is_across = job.form != kNt;
    held.is_by_rows = moves_rows(job);
    held.start = job.segment[0].start;
    return held;
}

inline bool fits_panel(int rows, int columns) { return rows <= kPanelRows && columns <= kChunk; }

// Where the next word of a row goes, which is eight contraction steps.
struct PanelPlace {
    u8 lane;
    u8 bank;    // of the word's first step
    i16 index;  // of its first pair of steps
};

inline PanelPlace place_of_row(int row) {
    const int in_panel = natural<6>(unsigned(row));
    const int word = in_panel / kLanes;
    PanelPlace place;
    place.lane = u8(unsigned(in_panel) % kLanes);
    place.bank = u8(unsigned(bank_of(word)));
    place.index = i16(group_of(word) * kChunkPairs);
    return place;
}

inline void advance(PanelPlace& place) {
    place.bank = u8(unsigned(next_of(next_of(natural<2>(place.bank)))));  // eight steps on
    place.index = i16(place.index + kLanes / kPair);
}

// The steps of a word that lie in one bank at one place of their pairs: one, and of two banks another one six steps on.
struct BankSteps {
    i16 value[2];
    i16 index[2];
    bool has_second;
};

inline BankSteps steps_in_bank(const word_t& word, const PanelPlace& row, int bank, int place) {
#pragma HLS inline
    const int first = natural<2>(row.bank);
    const int own = bank < first ? bank - first + kPorts : bank - first;  // the word's steps are in banks `first` + step
    const int ahead = own < place ? own - place + kPorts : own - place;
    const int pair = ahead == 0 ? 0 : kPorts - ahead;  // step `place` + 2 `pair`
    BankSteps steps;
    steps.value[0] = ahead == 0 ? get16(word, place) : (ahead == 1 ? get16(word, place + 4) : get16(word, place + 2));
    steps.index[0] = i16(row.index + pair);
    steps.value[1] = get16(word, place + 6);
    steps.index[1] = i16(row.index + 3);
    steps.has_second = ahead == 0;
    return steps;
}

static_assert(kPorts == 3 && kPair == 2, "eight steps lie in six memories, the last two where the first two are");

inline void keep_steps(RowPanel& panel, int bank, int place, int lane, bool keeps, const BankSteps& steps) {
#pragma HLS inline
    if (keeps) panel[bank][place][steps.index[0]][lane] = steps.value[0];
    if (keeps && steps.has_second) panel[bank][place][steps.index[1]][lane] = steps.value[1];
}

// A word of a row.
inline void keep_row(RowPanel& panel, const word_t& word, const PanelPlace& row, bool keeps) {
#pragma HLS inline
    for (int bank = 0; bank < kPorts; ++bank) {
#pragma HLS unroll
        for (int place = 0; place < kPair; ++place) {
#pragma HLS unroll
            const BankSteps steps = steps_in_bank(word, row, bank, place);
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                keep_steps(panel, bank, place, lane, keeps && lane == natural<3>(row.lane), steps);
            }
        }
    }
}

// A word of each of two rows, in different lanes.
inline void keep_rows(RowPanel& panel, const word_t (&word)[2], const PanelPlace (&row)[2], bool keeps, bool has_second) {
#pragma HLS inline
    for (int bank = 0; bank < kPorts; ++bank) {
#pragma HLS unroll
        for (int place = 0; place < kPair; ++place) {
#pragma HLS unroll
            const BankSteps first = steps_in_bank(word[0], row[0], bank, place);
            const BankSteps second = steps_in_bank(word[1], row[1], bank, place);
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const bool is_first = lane == natural<3>(row[0].lane);
                const bool is_second = has_second && lane == natural<3>(row[1].lane);
                keep_steps(panel, bank, place, lane, keeps && (is_first || is_second), is_first ? first : second);
            }
        }
    }
}

}  // namespace peelvit

// A step of the GEMM engine: what one pass through its dataflow region works on.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kMostColumnTiles = 2;  // of a step

// What one pass through the dataflow region works on: a block of row tiles, a column tile or two, one chunk.
struct GemmStep {
    Chunk chunk;
    i20 row;            // first output row
    i16 rows;           // output rows
    i16 turns;          // in which ports move them: each row in parts, or a row a port
    u8 last_turn;       // ports that have a part of the last turn
    i16 tiles;          // row tiles
    i16 panel_row;      // place of the first row in the panel
    i20 column;         // first output column
    i16 columns;        // output columns, of a tile
    u8 column_tiles;    // two are whole ones
    u8 new_tiles;       // of them, the last ones, whose columns are loaded
    u8 port_words;      // of a row of them that each port moves
    u8 port_start[kPorts];  // first one of each
    u8 beats;           // words of a row of them
    i20 sum_beat;       // place of its first word among the sums that wait
    bool loads_rows;    // the block's rows of the first operand are new
    bool has_begun;     // the step before has read the first block of it
    bool goes_on;       // this step reads the first block of what the step behind turns
    bool is_next;       // it is one of the next weights, and nothing else happens
    i16 kept_column[kMostColumnTiles];  // place of a tile's first pair of contraction steps
    bool waits;         // the contraction has several chunks
    bool closes_sum;    // last chunk of the contraction
    bool sums_rows;     // the sums of the first operand are taken
    bool ends_panel;    // its last row is that of the panel
};

// Words of a row of the step's columns that each port moves, and where they start.
inline int words_of(const GemmStep& step) { return natural<1>(step.port_words); }
inline int start_of(const GemmStep& step, int port) { return natural<2>(step.port_start[port]); }

// Words of a row of a column tile: each port's in turn; where a port moves whole rows, as they lie in memory.
inline int beats_of(const GemmStep& step) { return natural<2>(step.beats); }
// Which of the row's words word `w` of the array's part `part` is.
inline int place_in_row(const GemmJob& job, const GemmStep& step, int part, int w) {
    return moves_rows(job) ? kPorts * w + part : start_of(step, part) + w;
}

// Words of a row that a port moves.
inline int port_row_words(const GemmJob& job, const GemmStep& step) { return moves_rows(job) ? beats_of(step) : words_of(step); }

inline bool loads_columns(const GemmStep& step) { return step.new_tiles > 0; }

// Pairs of contraction steps of a new column tile.
inline int new_pairs(const GemmStep& step) { return loads_columns(step) ? pairs_of(step.chunk.count) : 0; }

// Rows of all its column tiles, one behind the other.
inline int rows_of(const GemmStep& step) { return step.column_tiles == 2 ? int(2 * step.rows) : int(step.rows); }

// Whether a row of it fills the bursts of a load.
inline bool is_long(const Chunk& chunk) { return chunk.count > kLanes * (kBurst - 1); }

// Whether this port is the first that moves a word of its part.
inline bool is_first_port(const GemmJob& job, const GemmStep& step, int port, int word) {
    return moves_rows(job) || port == 0 || start_of(step, port) + word >= start_of(step, port - 1) + words_of(step);
}

inline bool updates_weights(const GemmJob& job, const GemmStep& step) { return job.updates && step.closes_sum; }

// The words of a pass's rows that no earlier pass has brought: those that its first row does not reach back into.
struct NewRows {
    u8 word;   // the first one, in the panel
    u8 words;
    u8 group;  // of the first word
    u8 slot;   // of it in the group
};

// Rows of the panel up to the step's last one.
inline int end_of(const GemmStep& step) { return natural<kPanelPlaceBits>(unsigned(step.panel_row + step.rows)); }

// Words of the panel that rows before this one have a part in.
inline int words_to(int row) { return (natural<kPanelPlaceBits>(unsigned(row)) + kLanes - 1) / kLanes; }

// The bias gradients of a step, in words of the panel: the first one that a row of the step has a part in, and the end of
// those that are complete with its last row.
inline bool makes_bias_gradient(const GemmStep& step) { return step.sums_rows && step.closes_sum; }
inline int first_bias_word(const GemmStep& step) { return natural<kPanelPlaceBits>(unsigned(step.panel_row)) / kWideLanes; }
inline int end_of_bias_words(const GemmStep& step) { return step.ends_panel ? words32(end_of(step)) : end_of(step) / kWideLanes; }

inline NewRows new_rows(const GemmStep& step) {
    NewRows rows;
    rows.word = words_to(step.panel_row);
    rows.words = words_to(step.panel_row + step.rows) - rows.word;
    rows.group = group_of(rows.word);
    rows.slot = bank_of(rows.word);
    return rows;
}

}  // namespace peelvit

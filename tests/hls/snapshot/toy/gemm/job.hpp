// What the GEMM engine works on: its job, the segments and chunks of the contraction, and the walk through its steps.
//
// A segment is a part of the contraction with its own fraction: the class and patch rows of gemm_tn, the query, key and
// value parts of gemm_nn. Sums within a segment are exact; segments are added at a common fraction (docs/numerics.md).
#pragma once

#include "../instruction.hpp"

namespace peelvit {

enum GemmForm { kNt, kNn, kTn };

constexpr int kPatchRows = 0;
constexpr int kClassRows = 1;

constexpr int kStepRows = kStepTiles * kRowTile;
constexpr int kPortWords = kColumnTile / kLanes / kPorts;  // words of a row of a column tile that each port moves

// Rows of the first operand are held as words of eight, counted from the panel's first row. A row tile may begin inside
// of a word; it lies in kTileWords. Word w of contraction step c is kept in bank (w + c) % kPorts: what is written
// together (a word each of kPorts steps, or kPorts words of a step), and what a tile reads, lies in different banks.
constexpr int kTileWords = 2;
constexpr int kPanelGroups = 2;  // of a word in each bank
constexpr int kStepGroups = 2;

struct Segment {
    i20 start;
    i20 count;
};

// A part of a segment that the buffers of both operands hold at once.
struct Chunk {
    i20 start;
    i16 count;
    i4 segment;
    bool opens;   // first chunk of its segment
    bool closes;  // last chunk of its segment
};

struct GemmJob {
    GemmForm form;
    i20 rows;         // output rows
    i20 columns;      // output columns
    i20 split;        // class-token rows: output rows of kNt and kNn, contraction steps of kTn
    Matrix first, second, bias, residual, pre, out;
    bool has_bias, has_residual, has_gelu, has_gelu_backward, accumulates;
    bool sums_rows;   // `bias` is a gradient: the sums of the first operand over the contraction
    i20 residual_period;
    i16 column_tiles;
    i16 chunks;  // of all segments
    i4 segments;
    Segment segment[kMaxSegments];
    i16 segment_shift[kMaxSegments][2];  // to the common fraction, by segment and row group
    i16 fraction[2];          // of the finished sum, by row group
    int slot[2];              // of the output, by row group
    // fractions looked up once
    i16 f_second, f_out[2], f_residual[2], f_bias, f_pre;
};

// What one pass through the dataflow region works on: a block of row tiles, one column tile, one chunk.
struct GemmStep {
    Chunk chunk;
    i20 row;            // first output row
    i16 rows;           // output rows
    i16 tiles;          // row tiles
    i16 panel_row;      // place of the first row in the panel
    i20 column;         // first output column
    i16 columns;        // output columns
    i16 sum_row;        // place of the first row among the unfinished sums
    bool loads_rows;    // the block's rows of the first operand are new
    bool loads_columns; // the column tile of the second operand is new
    i16 kept_column;    // place of its first contraction step: where several tiles fit they stay over all panels
    bool waits;         // the contraction has several chunks
    bool closes_sum;    // last chunk of the contraction
    bool sums_rows;     // the sums of the first operand are taken
    i16 stored_sums;    // how many of them are complete with this step and stored: the panel's rows, or none
};

// The place of the next step. From the outermost loop: panels of rows, groups of column tiles, chunks, column tiles, blocks.
struct GemmWalk {
    i20 row;    // first row of the panel
    i16 group;  // first column tile of the group
    i4 segment;
    i20 done;   // of the segment, in the chunks before
    i16 column_tile;
    i16 tile;     // in the panel
    i16 sum_row;  // rows of sums that wait for further chunks, in the group's column tiles before
};

inline int row_group(const GemmJob& job, int row) { return job.form != kTn && row < job.split ? kClassRows : kPatchRows; }

inline int tiles_of(int rows) { return (narrow<8>(rows) + kRowTile - 1) / kRowTile; }  // of a panel
inline int column_tiles_of(int columns) { return (narrow<14>(columns) + kColumnTile - 1) / kColumnTile; }

// Groups of kPorts words, and the bank that a word (or a contraction step) moves to.
constexpr int kPanelPlaceBits = 7;
inline int group_of(int word) { return natural<kPanelPlaceBits>(unsigned(word)) / kPorts; }
inline int bank_of(int word) { return natural<2>(unsigned(natural<kPanelPlaceBits>(unsigned(word)) - kPorts * group_of(word))); }
inline int next_of(int bank) { return bank == kPorts - 1 ? 0 : bank + 1; }

// Each port moves `port_words` neighbouring words of a row of a column tile. Where a row is short the parts overlap, so
// that every port always moves a whole burst: what is moved twice is the same.
inline int port_words(int columns) { return smaller(kPortWords, words16(columns)); }
inline int port_start(int port, int columns) { return smaller(port * kPortWords, words16(columns) - port_words(columns)); }

// Whether this port is the first that moves a word of its part.
inline bool is_first_port(int port, int word, int columns) {
    return port == 0 || port_start(port, columns) + word >= port_start(port - 1, columns) + port_words(columns);
}

// [start, start + count) of the contraction as the next segment, unless it is empty.
inline void add_segment(GemmJob& job, int start, int count) {
    job.segment[job.segments].start = start;
    job.segment[job.segments].count = count;
    if (count > 0) ++job.segments;
count_chunks:
    for (int done = 0; done < count; done += kChunk) {
#pragma HLS loop_tripcount max = 22
        ++job.chunks;
    }
}

// The chunk where the walk stands; the last two of a segment share what is left, so that none is very short.
inline Chunk chunk_at(const GemmJob& job, const GemmWalk& walk) {
    const Segment segment = job.segment[walk.segment];
    const int rest = segment.count - walk.done;
    Chunk chunk;
    chunk.start = segment.start + walk.done;
    chunk.count = rest > kChunk && rest < 2 * kChunk ? kLanes * words16((rest + 1) / 2) : smaller(kChunk, rest);
    chunk.segment = walk.segment;
    chunk.opens = walk.done == 0;
    chunk.closes = chunk.count == rest;
    return chunk;
}

inline GemmWalk start_of_walk() {
    GemmWalk walk;
    walk.row = 0;
    walk.group = 0;
    walk.segment = 0;
    walk.done = 0;
    walk.column_tile = 0;
    walk.tile = 0;
    walk.sum_row = 0;
    return walk;
}

inline int panel_rows(const GemmJob& job, const GemmWalk& walk) { return smaller(kPanelRows, job.rows - walk.row); }

// Row tiles of the next step: the job's first step is a short one, as nothing overlaps with its loads.
inline int step_tiles(const GemmJob& job, const GemmWalk& walk) {
    const bool is_first = (walk.row | walk.group | walk.segment | walk.done | walk.column_tile | walk.tile) == 0;
    return is_first ? 1 : smaller(kStepTiles, tiles_of(panel_rows(job, walk)) - walk.tile);
}

inline void advance(const GemmJob& job, const Chunk& chunk, GemmWalk& walk) {
    walk.tile += step_tiles(job, walk);
    if (walk.tile < tiles_of(panel_rows(job, walk))) return;
    const int rows = panel_rows(job, walk);
    // All columns are one group unless sums have to wait for further chunks.
    const bool is_full = job.chunks > 1 && walk.sum_row + 2 * rows > kSumRows;
    walk.tile = 0;
    walk.sum_row += rows;
    ++walk.column_tile;
    const int end = walk.column_tile;
    if (end < job.column_tiles && !is_full) return;
    walk.sum_row = 0;
    walk.column_tile = walk.group;
    walk.done += chunk.count;
    if (!chunk.closes) return;
    walk.done = 0;
    ++walk.segment;
    if (walk.segment < job.segments) return;
    walk.segment = 0;
    walk.group = end;
    if (end == job.column_tiles) {
        walk.group = 0;
        walk.row += kPanelRows;
    }
    walk.column_tile = walk.group;
}

// Passes over the row tiles of a panel for one column tile and one chunk.
inline int passes_of(int tiles) { return (narrow<7>(tiles) + kStepTiles - 1) / kStepTiles; }

inline int count_steps(const GemmJob& job) {
    const int of_first = tiles_of(smaller(kPanelRows, job.rows));
    const int added = 1 + passes_of(of_first - 1) - passes_of(of_first);  // by the short first step
    int passes = 0;
count_panels:
    for (int row = 0; row < job.rows; row += kPanelRows) {
#pragma HLS loop_tripcount max = 103
        passes += passes_of(tiles_of(smaller(kPanelRows, job.rows - row)));
    }
    const int of_chunk = int(multiply(u20(passes), u17(job.column_tiles)));
    return added + int(multiply(i27(of_chunk), u17(job.chunks)));
}

// The words of a pass's rows that no earlier pass has brought: those that its first row does not reach back into.
struct NewRows {
    u8 word;   // the first one, in the panel
    u8 words;
    u8 group;  // of the first word
    u8 slot;   // of it in the group
};

// Words of the panel that rows before this one have a part in.
inline int words_to(int row) { return (natural<kPanelPlaceBits>(unsigned(row)) + kLanes - 1) / kLanes; }

inline NewRows new_rows(const GemmStep& step) {
    NewRows rows;
    rows.word = words_to(step.panel_row);
    rows.words = words_to(step.panel_row + step.rows) - rows.word;
    rows.group = group_of(rows.word);
    rows.slot = bank_of(rows.word);
    return rows;
}

// A copy of the step, for each task: a channel has one producer and one consumer.
inline void next_step(const GemmJob& job, GemmWalk& walk, GemmStep& load, GemmStep& product, GemmStep& sum, GemmStep& result) {
    GemmStep step;
    step.chunk = chunk_at(job, walk);
    step.tiles = step_tiles(job, walk);
    step.panel_row = narrow<7>(walk.tile) * kRowTile;
    step.row = walk.row + step.panel_row;
    step.rows = smaller(step.tiles * kRowTile, job.rows - step.row);
    step.column = walk.column_tile * kColumnTile;
    step.columns = smaller(kColumnTile, job.columns - step.column);
    step.sum_row = walk.sum_row + step.panel_row;
    step.loads_rows = walk.column_tile == walk.group;
    const bool keeps_columns = job.chunks == 1 && short_product(job.column_tiles, step.chunk.count) <= kChunk;
    step.loads_columns = walk.tile == 0 && (walk.row == 0 || !keeps_columns);
    step.kept_column = keeps_columns ? short_product(walk.column_tile, step.chunk.count) : 0;
    step.waits = job.chunks > 1;
    step.closes_sum = step.chunk.closes && walk.segment == job.segments - 1;
    step.sums_rows = job.sums_rows && walk.column_tile == 0;
    const bool ends_panel = walk.tile + step.tiles == tiles_of(panel_rows(job, walk));
    step.stored_sums = step.sums_rows && step.closes_sum && ends_panel ? panel_rows(job, walk) : 0;
    advance(job, step.chunk, walk);
    load = step;
    product = step;
    sum = step;
    result = step;
}

}  // namespace peelvit

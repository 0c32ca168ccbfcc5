// What the GEMM engine works on: its job, the segments and chunks of the contraction, and the walk through its steps.
//
// A segment is a part of the contraction with its own fraction: the class and patch rows of gemm_tn, the query, key and
// value parts of gemm_nn. Sums within a segment are exact; segments are added at a common fraction (docs/numerics.md).
#pragma once

#include "../instruction.hpp"

namespace peelvit {

enum GemmForm { kNt, kNn, kTn };

constexpr int kMaxChunks = kMaxContraction / kChunk + 3;  // a segment may end in a short chunk
constexpr int kPatchRows = 0;
constexpr int kClassRows = 1;

constexpr int kStepRows = kStepTiles * kRowTile;
constexpr int kPanelTiles = kPanelRows / kRowTile;
constexpr int kPortWords = kColumnTile / kLanes / kPorts;  // words of a row of a column tile that each port moves

// Rows of the first operand are held as words of eight, counted from the panel's first row. A row tile may begin inside
// of a word; it lies in kTileWords. Word w of contraction step c is kept in bank (w + c) % kPorts: what is written
// together (a word each of kPorts steps, or kPorts words of a step), and what a tile reads, lies in different banks.
constexpr int kTileWords = 2;
constexpr int kPanelGroups = 2;  // of a word in each bank
constexpr int kStepGroups = 2;

// A part of the contraction that the buffers of both operands hold at once.
struct Chunk {
    int start;
    int count;
    int segment;
    bool opens;   // first chunk of its segment
    bool closes;  // last chunk of its segment
};

struct GemmJob {
    GemmForm form;
    int rows;         // output rows
    int columns;      // output columns
    int contraction;
    int split;        // class-token rows: output rows of kNt and kNn, contraction steps of kTn
    Matrix first, second, bias, residual, pre, out;
    bool has_bias, has_residual, has_gelu, has_gelu_backward, accumulates;
    bool sums_rows;   // `bias` is a gradient: the sums of the first operand over the contraction
    int residual_period;
    int column_tiles;
    int chunks;
    Chunk chunk[kMaxChunks];
    int segment_shift[3][2];  // to the common fraction, by segment and row group
    int fraction[2];          // of the finished sum, by row group
    int slot[2];              // of the output, by row group
    // fractions looked up once
    int f_second, f_out[2], f_residual[2], f_bias, f_pre;
};

// What one pass through the dataflow region works on: a block of row tiles, one column tile, one chunk.
struct GemmStep {
    Chunk chunk;
    int row;            // first output row
    int rows;           // output rows
    int tiles;          // row tiles
    int panel_row;      // place of the first row in the panel
    int column;         // first output column
    int columns;        // output columns
    int sum_row;        // place of the first row among the unfinished sums
    bool loads_rows;    // the block's rows of the first operand are new
    bool loads_columns; // the column tile of the second operand is new
    int kept_column;    // place of its first contraction step: where several tiles fit they stay over all panels
    bool waits;         // the contraction has several chunks
    bool closes_sum;    // last chunk of the contraction
    bool sums_rows;     // the sums of the first operand are taken
    int stored_sums;    // how many of them are complete with this step and stored: the panel's rows, or none
};

// The place of the next step. From the outermost loop: panels of rows, groups of column tiles, chunks, column tiles, blocks.
struct GemmWalk {
    int row;    // first row of the panel
    int group;  // first column tile of the group
    int chunk;
    int column_tile;
    int tile;  // in the panel
};

inline int row_group(const GemmJob& job, int row) { return job.form != kTn && row < job.split ? kClassRows : kPatchRows; }

inline int tiles_of(int rows) { return (narrow<8>(rows) + kRowTile - 1) / kRowTile; }  // of a panel
inline int column_tiles_of(int columns) { return (narrow<14>(columns) + kColumnTile - 1) / kColumnTile; }

// Groups of kPorts words, and the bank that a word (or a contraction step) moves to.
inline int group_of(int word) { return narrow<16>(word) / kPorts; }
inline int bank_of(int word) { return narrow<16>(word) - kPorts * group_of(word); }
inline int next_of(int bank) { return bank == kPorts - 1 ? 0 : bank + 1; }

// Each port moves `port_words` neighbouring words of a row of a column tile. Where a row is short the parts overlap, so
// that every port always moves a whole burst: what is moved twice is the same.
inline int port_words(int columns) { return smaller(kPortWords, words16(columns)); }
inline int port_start(int port, int columns) { return smaller(port * kPortWords, words16(columns) - port_words(columns)); }

// Whether this port is the first that moves a word of its part.
inline bool is_first_port(int port, int word, int columns) {
    return port == 0 || port_start(port, columns) + word >= port_start(port - 1, columns) + port_words(columns);
}

// Chunks of [start, start + count) as segment `segment`; the last two share what is left, so that none is very short.
inline void add_segment(GemmJob& job, int start, int count, int segment) {
    int length = 0;
add_segment:
    for (int done = 0; done < count; done += length) {
#pragma HLS loop_tripcount max = 22
        Chunk chunk;
        chunk.start = start + done;
        const int rest = count - done;
        length = rest > kChunk && rest < 2 * kChunk ? kLanes * words16((rest + 1) / 2) : smaller(kChunk, rest);
        chunk.segment = segment;
        chunk.opens = done == 0;
        chunk.count = length;
        chunk.closes = length == rest;
        job.chunk[job.chunks] = chunk;
        ++job.chunks;
    }
}

inline GemmWalk start_of_walk() {
    GemmWalk walk;
    walk.row = 0;
    walk.group = 0;
    walk.chunk = 0;
    walk.column_tile = 0;
    walk.tile = 0;
    return walk;
}

inline int panel_rows(const GemmJob& job, const GemmWalk& walk) { return smaller(kPanelRows, job.rows - walk.row); }

// The first column tile behind the group. All columns are one group unless sums have to wait for further chunks.
inline int group_end(const GemmJob& job, const GemmWalk& walk) {
    const int rows = narrow<7>(panel_rows(job, walk));
    int tiles = 1;
group_tiles:
    for (int more = 2; more <= kSumRows / kRowTile; ++more) {
#pragma HLS unroll
        if (more * rows <= kSumRows) tiles = more;
    }
    const int end = job.chunks == 1 ? job.column_tiles : walk.group + tiles;
    return smaller(end, job.column_tiles);
}

// Row tiles of the next step: the job's first step is a short one, as nothing overlaps with its loads.
inline int step_tiles(const GemmJob& job, const GemmWalk& walk) {
    const bool is_first = (walk.row | walk.group | walk.chunk | walk.column_tile | walk.tile) == 0;
    return is_first ? 1 : smaller(kStepTiles, tiles_of(panel_rows(job, walk)) - walk.tile);
}

inline void advance(const GemmJob& job, GemmWalk& walk) {
    walk.tile += step_tiles(job, walk);
    if (walk.tile < tiles_of(panel_rows(job, walk))) return;
    const int end = group_end(job, walk);
    walk.tile = 0;
    ++walk.column_tile;
    if (walk.column_tile < end) return;
    walk.column_tile = walk.group;
    ++walk.chunk;
    if (walk.chunk < job.chunks) return;
    walk.chunk = 0;
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
    int word;   // the first one, in the panel
    int words;
    int group;  // of the first word
    int slot;   // of it in the group
};

inline NewRows new_rows(const GemmStep& step) {
    NewRows rows;
    rows.word = words16(step.panel_row);
    rows.words = words16(step.panel_row + step.rows) - rows.word;
    rows.group = group_of(rows.word);
    rows.slot = bank_of(rows.word);
    return rows;
}

// A copy of the step, for each task: a channel has one producer and one consumer.
inline void next_step(const GemmJob& job, GemmWalk& walk, GemmStep& load, GemmStep& product, GemmStep& sum, GemmStep& result) {
    GemmStep step;
    step.chunk = job.chunk[walk.chunk];
    step.tiles = step_tiles(job, walk);
    step.panel_row = narrow<7>(walk.tile) * kRowTile;
    step.row = walk.row + step.panel_row;
    step.rows = smaller(step.tiles * kRowTile, job.rows - step.row);
    step.column = walk.column_tile * kColumnTile;
    step.columns = smaller(kColumnTile, job.columns - step.column);
    step.sum_row = short_product(walk.column_tile - walk.group, panel_rows(job, walk)) + step.panel_row;
    step.loads_rows = walk.column_tile == walk.group;
    const bool keeps_columns = job.chunks == 1 && short_product(job.column_tiles, step.chunk.count) <= kChunk;
    step.loads_columns = walk.tile == 0 && (walk.row == 0 || !keeps_columns);
    step.kept_column = keeps_columns ? short_product(walk.column_tile, step.chunk.count) : 0;
    step.waits = job.chunks > 1;
    step.closes_sum = walk.chunk == job.chunks - 1;
    step.sums_rows = job.sums_rows && walk.column_tile == 0;
    const bool ends_panel = walk.tile + step.tiles == tiles_of(panel_rows(job, walk));
    step.stored_sums = step.sums_rows && step.closes_sum && ends_panel ? panel_rows(job, walk) : 0;
    advance(job, walk);
    load = step;
    product = step;
    sum = step;
    result = step;
}

}  // namespace peelvit

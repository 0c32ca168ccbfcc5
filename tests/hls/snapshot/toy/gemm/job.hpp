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
constexpr int kColumnParts = 3;

constexpr int kPanelTiles = kPanelRows / kRowTile;
constexpr int kLineRows = kLineTiles * kRowTile;
constexpr int kUpdateRows = kUpdateTiles * kRowTile;
constexpr int kRowBeats = kColumnTile / kLanes;  // words of a row of a column tile
constexpr int kSumBeats = kSumRows * kRowBeats;  // of sums, that a memory holds
constexpr int kPortWords = kColumnTile / kLanes / kPorts;  // words of a row of a column tile that each port moves

// The array takes contraction steps in pairs, two a cycle; buffers are cut by the place of a step in its pair.
constexpr int kPair = 2;
constexpr int kChunkPairs = kChunk / kPair;
constexpr int kKeptPairs = 512;  // of column tiles that stay over all panels

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
    i20 columns;      // output columns of a part
    i4 parts;         // of them: 1, or kColumnParts between which columns of others lie
    i20 between;      // columns of others between two parts
    i20 split;        // class-token rows: output rows of kNt and kNn, contraction steps of kTn
    Matrix first, second, bias, residual, pre, out;
    Matrix state, weight;
    bool may_have_rows; // the first operand is that of the job before, and nothing has written it since
    bool has_rows;      // and it is on chip
    bool may_have_columns;  // a job before has loaded the first column tiles, and nothing has written them since
    i16 held_tiles;         // of them, on chip
    bool keeps_columns;     // all column tiles have room beside each other, and stay over all panels
    bool only_columns;      // nothing but the first column tiles is loaded
    bool has_products;  // or there are no operands, and all sums are 0
    bool has_bias, has_residual, has_gelu, has_gelu_backward, accumulates;
    bool updates;         // the output is a gradient that is not stored: it updates a weight
    bool adds_class_row;  // the epilogue adds the products of the first contraction step, at the fraction of a residual
    bool sums_rows;   // `bias` is a gradient: the sums of the first operand over the contraction
    i20 residual_period;
    i16 column_tiles;
    i16 part_tiles;   // of a part
    i16 last_columns; // of a part's last column tile
    i16 chunks;       // of all segments
    bool holds_both;  // sums of closed segments wait while those of an open one do
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
    u8 port_words;      // of a row of them that each port moves
    u8 port_start[kPorts];  // first one of each
    i20 sum_beat;       // place of its first word among the sums that wait
    bool loads_rows;    // the block's rows of the first operand are new
    bool loads_columns; // the column tile of the second operand is new
    i16 kept_column;    // place of its first pair of contraction steps: where several tiles fit they stay over all panels
    bool waits;         // the contraction has several chunks
    bool closes_sum;    // last chunk of the contraction
    bool sums_rows;     // the sums of the first operand are taken
    bool ends_panel;    // its last row is that of the panel
};

// Where a column tile is.
struct ColumnPlace {
    i16 tile;     // of all
    i16 in_part;  // of those of its part
    i20 column;   // first one
};

// The place of the next step. From the outermost loop: panels of rows, groups of column tiles, chunks, column tiles, blocks.
struct GemmWalk {
    i20 row;  // first row of the panel
    ColumnPlace group;  // first column tile of the group
    i4 segment;
    i20 done;   // of the segment, in the chunks before
    ColumnPlace columns;
    i16 tile;     // in the panel
    i20 sum_beat;  // words of sums that wait for further chunks, of the group's column tiles before
};

inline int row_group(const GemmJob& job, int row) { return job.form != kTn && row < job.split ? kClassRows : kPatchRows; }

inline int tiles_of(int rows) { return (narrow<8>(rows) + kRowTile - 1) / kRowTile; }  // of a panel
inline int column_tiles_of(int columns) { return (narrow<14>(columns) + kColumnTile - 1) / kColumnTile; }

// Groups of kPorts words, and the bank that a word (or a contraction step) moves to.
constexpr int kPanelPlaceBits = 7;
inline int group_of(int word) { return natural<kPanelPlaceBits>(unsigned(word)) / kPorts; }
inline int bank_of(int word) { return natural<2>(unsigned(natural<kPanelPlaceBits>(unsigned(word)) - kPorts * group_of(word))); }
inline int next_of(int bank) { return bank == kPorts - 1 ? 0 : bank + 1; }

// Pairs of contraction steps, the pair that a step is in, and its place there.
inline int pairs_of(int count) { return natural<kPanelPlaceBits>(unsigned(count + kPair - 1)) / kPair; }
inline int pair_of(int step) { return natural<kPanelPlaceBits>(unsigned(step)) / kPair; }
inline int place_in_pair(int step) { return step & (kPair - 1); }

// Most column tiles that a job leaves on chip for another one: as many as have room beside each other.
constexpr int kMostHeldTiles = 3;
inline int tiles_that_stay(const GemmJob& job) {
    const int pairs = pairs_of(job.segment[0].count);
    int tiles = 1;
    for (int more = 2; more <= kMostHeldTiles; ++more) {
#pragma HLS unroll
        if (more * pairs <= kKeptPairs && more <= job.column_tiles) tiles = more;
    }
    return tiles;
}

// Each port moves `port_words` neighbouring words of a row of a column tile. Where these are more than the row has the
// parts overlap: what is moved twice is the same.
inline int port_words(int columns) {
    const int words = words16(natural<5>(unsigned(smaller(columns, kColumnTile))));
    return (words + kPorts - 1) / kPorts;
}
inline int port_start(int port, int columns) {
    const int words = port_words(columns);
    return smaller(port * words, words16(columns) - words);
}

// [start, start + count) of the contraction as the next segment, unless it is empty.
inline void add_segment(GemmJob& job, int start, int count) {
    job.segment[job.segments].start = start;
    job.segment[job.segments].count = count;
    job.holds_both = job.holds_both || (job.segments > 0 && count > kChunk);
    if (count > 0) ++job.segments;
count_chunks:
    for (int done = 0; done < count; done += kChunk) {
#pragma HLS loop_tripcount max = 22
        ++job.chunks;
    }
}

// The contraction of a job without products.
inline void add_empty_segment(GemmJob& job) {
    job.segment[0].start = 0;
    job.segment[0].count = 0;
    job.segments = 1;
    job.chunks = 1;
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

inline ColumnPlace first_columns() {
    ColumnPlace place;
    place.tile = 0;
    place.in_part = 0;
    place.column = 0;
    return place;
}

inline bool ends_part(const GemmJob& job, const ColumnPlace& place) { return place.in_part == job.part_tiles - 1; }

// Columns of a column tile.
inline int columns_of(const GemmJob& job, const ColumnPlace& place) {
    return ends_part(job, place) ? int(job.last_columns) : int(kColumnTile);
}

inline ColumnPlace next_columns(const GemmJob& job, const ColumnPlace& place) {
    ColumnPlace next;
    const bool ends = ends_part(job, place);
    next.tile = place.tile + 1;
    next.in_part = ends ? 0 : int(place.in_part + 1);
    next.column = place.column + columns_of(job, place) + (ends ? int(job.between) : 0);
    return next;
}

inline GemmWalk start_of_walk() {
    GemmWalk walk;
    walk.row = 0;
    walk.group = first_columns();
    walk.segment = 0;
    walk.done = 0;
    walk.columns = first_columns();
    walk.tile = 0;
    walk.sum_beat = 0;
    return walk;
}

inline int panel_rows(const GemmJob& job, const GemmWalk& walk) { return smaller(kPanelRows, job.rows - walk.row); }

inline bool closes_sum(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    return chunk.closes && walk.segment == job.segments - 1;
}

// Whether the epilogue reads a line beside each row of sums.
inline bool reads_lines(const GemmJob& job) { return job.has_residual || job.has_gelu_backward || job.accumulates; }

// Whether the step is of a group's first column tile, and its rows are not on chip yet.
inline bool brings_rows(const GemmJob& job, const GemmWalk& walk) {
    return !job.has_rows && walk.columns.tile == walk.group.tile;
}

// Most row tiles of a step. Those of a group's first column tile bring rows, those that end with an epilogue may read
// lines, or with an update master weights and momenta, all into buffers; others take what there is.
inline int most_tiles(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    const bool closes = closes_sum(job, walk, chunk);
    if (job.updates && closes) return kUpdateTiles;
    if (brings_rows(job, walk)) return kStepTiles;
    return reads_lines(job) && closes ? int(kLineTiles) : int(kPanelTiles);
}

// Words of a row of the step's columns that each port moves, and where they start.
inline int words_of(const GemmStep& step) { return natural<1>(step.port_words); }
inline int start_of(const GemmStep& step, int port) { return natural<2>(step.port_start[port]); }

// Whether this port is the first that moves a word of its part.
inline bool is_first_port(const GemmStep& step, int port, int word) {
    return port == 0 || start_of(step, port) + word >= start_of(step, port - 1) + words_of(step);
}

inline bool updates_weights(const GemmJob& job, const GemmStep& step) { return job.updates && step.closes_sum; }

// Row tiles of the next step. The job's first step is a short one, as nothing overlaps with its loads.
inline int step_tiles(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    const bool is_first = !job.has_rows && (walk.row | walk.segment | walk.done | walk.columns.tile | walk.tile) == 0;
    return is_first ? 1 : smaller(most_tiles(job, walk, chunk), tiles_of(panel_rows(job, walk)) - walk.tile);
}

// Words of sums of so many rows of a column tile.
inline int sum_beats(const GemmJob& job, const ColumnPlace& place, int rows) {
    return short_product(rows, kPorts * port_words(columns_of(job, place)));
}

// Whether a further column tile finds no room for so many words of sums where others wait. All columns are one group
// unless sums have to wait for further chunks.
inline bool is_full(const GemmJob& job, int waiting, int more) {
    const int room = job.holds_both ? int(kSumBeats) : 2 * kSumBeats;
    return job.chunks > 1 && waiting + more > room;
}

inline void advance(const GemmJob& job, const Chunk& chunk, GemmWalk& walk) {
    walk.tile += step_tiles(job, walk, chunk);
    if (walk.tile < tiles_of(panel_rows(job, walk))) return;
    const int rows = panel_rows(job, walk);
    walk.tile = 0;
    walk.sum_beat += sum_beats(job, walk.columns, rows);
    walk.columns = next_columns(job, walk.columns);
    const bool ends_group = is_full(job, walk.sum_beat, sum_beats(job, walk.columns, rows));
    const ColumnPlace end = walk.columns;
    if (end.tile < job.column_tiles && !ends_group) return;
    walk.sum_beat = 0;
    walk.columns = walk.group;
    walk.done += chunk.count;
    if (!chunk.closes) return;
    walk.done = 0;
    ++walk.segment;
    if (walk.segment < job.segments) return;
    walk.segment = 0;
    walk.group = end;
    if (end.tile == job.column_tiles) {
        walk.group = first_columns();
        walk.row += kPanelRows;
    }
    walk.columns = walk.group;
}

// Passes over the row tiles of a panel for one column tile and one chunk, of at most kMost tiles each.
template <int kMost>
inline int passes_of(int tiles) {
    return (narrow<7>(tiles) + kMost - 1) / kMost;
}

// Groups of column tiles of a panel of so many rows.
inline int count_groups(const GemmJob& job, int rows) {
    int groups = 1;
    ColumnPlace place = first_columns();
    int waiting = sum_beats(job, place, rows);
count_groups:
    for (int tile = 1; tile < job.column_tiles; ++tile) {
#pragma HLS loop_tripcount max = 170
        place = next_columns(job, place);
        const int more = sum_beats(job, place, rows);
        const bool begins = is_full(job, waiting, more);
        waiting = begins ? more : waiting + more;
        groups += begins ? 1 : 0;
    }
    return groups;
}

inline int count_steps_of_panel(const GemmJob& job, int rows) {
#pragma HLS inline off
    const int tiles = tiles_of(rows);
    const int groups = count_groups(job, rows);
    const int of_update = passes_of<kUpdateTiles>(tiles);
    const int of_lines = reads_lines(job) ? passes_of<kLineTiles>(tiles) : 1;
    const int of_rows = job.has_rows ? of_lines : passes_of<kStepTiles>(tiles);
    const int with_rows = short_product(of_rows, job.chunks - 1) + (job.updates ? of_update : of_rows);
    const int without = job.chunks - 1 + (job.updates ? of_update : of_lines);
    return int(multiply(i27(groups), u17(with_rows))) + int(multiply(i27(job.column_tiles - groups), u17(without)));
}

// Passes over so many row tiles in the job's first chunk and column tile.
inline int passes_of_first_rows(const GemmJob& job, int tiles) {
    return job.updates && job.chunks == 1 ? passes_of<kUpdateTiles>(tiles) : passes_of<kStepTiles>(tiles);
}

inline int count_steps(const GemmJob& job) {
    const int of_first = tiles_of(smaller(kPanelRows, job.rows));
    int steps = 0;
    if (!job.has_rows) steps = 1 + passes_of_first_rows(job, of_first - 1) - passes_of_first_rows(job, of_first);  // by the short first step
    int panels = 0;
    int rest = job.rows;
count_panels:
    for (; rest >= kPanelRows; rest -= kPanelRows) {
#pragma HLS loop_tripcount max = 102
        ++panels;
    }
    if (panels > 0) steps += int(multiply(i27(count_steps_of_panel(job, kPanelRows)), u17(panels)));
    if (rest > 0) steps += count_steps_of_panel(job, rest);
    return steps;
}

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

// A copy of the step, for each task: a channel has one producer and one consumer.
inline void next_step(const GemmJob& job, GemmWalk& walk, GemmStep& load, GemmStep& product, GemmStep& sum, GemmStep& change,
                      GemmStep& result) {
    GemmStep step;
    step.chunk = chunk_at(job, walk);
    step.tiles = step_tiles(job, walk, step.chunk);
    step.panel_row = narrow<7>(walk.tile) * kRowTile;
    step.row = walk.row + step.panel_row;
    step.rows = job.only_columns ? 0 : smaller(step.tiles * kRowTile, job.rows - step.row);
    step.column = walk.columns.column;
    step.columns = columns_of(job, walk.columns);
    step.port_words = port_words(step.columns);
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        step.port_start[port] = port_start(port, step.columns);
    }
    step.sum_beat = walk.sum_beat + sum_beats(job, walk.columns, step.panel_row);
    step.loads_rows = job.has_products && brings_rows(job, walk);
    const int pairs = pairs_of(step.chunk.count);
    const bool is_held = walk.row == 0 && walk.columns.tile < job.held_tiles;
    step.loads_columns = job.has_products && walk.tile == 0 && !is_held && (walk.row == 0 || !job.keeps_columns);
    const bool stays = job.keeps_columns || is_held || job.only_columns;
    step.kept_column = stays ? short_product(walk.columns.tile, pairs) : 0;
    step.waits = job.chunks > 1;
    step.closes_sum = closes_sum(job, walk, step.chunk);
    step.sums_rows = job.sums_rows && walk.columns.tile == 0;
    step.ends_panel = walk.tile + step.tiles == tiles_of(panel_rows(job, walk));
    advance(job, step.chunk, walk);
    load = step;
    product = step;
    sum = step;
    change = step;
    result = step;
}

}  // namespace peelvit

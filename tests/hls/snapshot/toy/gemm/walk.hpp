// The walk of the GEMM engine through the steps of a job, and how many they are.
//
// From the outermost loop: panels of rows, groups of column tiles, chunks of the contraction, column tiles, blocks of row
// tiles; behind them all, column tiles of the weights that a later job begins with.
#pragma once

#include "step.hpp"

namespace peelvit {

// Where a column tile is.
struct ColumnPlace {
    i16 tile;     // of all
    i16 in_part;  // of those of its part
    i20 column;   // first one
};

// The place of the step behind `coming`.
struct GemmWalk {
    i20 row;  // first row of the panel
    ColumnPlace group;  // first column tile of the group
    i4 segment;
    i20 done;   // of the segment, in the chunks before
    ColumnPlace columns;
    i16 tile;     // in the panel
    i20 sum_beat;  // words of sums that wait for further chunks, of the group's column tiles before
    bool is_over;  // behind the job's own steps come those of the next weights
    GemmStep coming;  // the one that is handed out next
};

// The chunk where the walk stands.
inline Chunk chunk_at(const GemmJob& job, const GemmWalk& walk) {
    const Segment segment = job.segment[walk.segment];
    const int rest = segment.count - walk.done;
    Chunk chunk;
    chunk.start = segment.start + walk.done;
    chunk.count = chunk_length(rest);
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
    return ends_part(job, place) ? int(job.last_columns) : tile_columns(job);
}

inline ColumnPlace next_columns(const GemmJob& job, const ColumnPlace& place) {
    ColumnPlace next;
    const bool ends = ends_part(job, place);
    next.tile = place.tile + 1;
    next.in_part = ends ? 0 : int(place.in_part + 1);
    next.column = place.column + columns_of(job, place) + (ends ? int(job.between) : 0);
    return next;
}

inline GemmWalk start_of_walk(const GemmJob& job) {
    GemmWalk walk;
    walk.row = 0;
    walk.group = first_columns();
    walk.segment = 0;
    walk.done = 0;
    walk.columns = first_columns();
    walk.tile = 0;
    walk.sum_beat = 0;
    walk.is_over = job.rows == 0;
    walk.coming = GemmStep();  // in which nothing happens
    return walk;
}

inline int panel_rows(const GemmJob& job, const GemmWalk& walk) { return smaller(kPanelRows, job.rows - walk.row); }

inline bool closes_sum(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    return chunk.closes && walk.segment == job.segments - 1;
}

// Whether the step is of a group's first column tile, and its rows are not on chip yet.
inline bool brings_rows(const GemmJob& job, const GemmWalk& walk) {
    return !job.has_rows && walk.columns.tile == walk.group.tile;
}

// Most row tiles of a step. Those of a group's first column tile bring rows, those that end with an epilogue may read
// lines, all into buffers; others take what there is.
inline int most_tiles(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    if (brings_rows(job, walk)) return kStepTiles;
    if (!closes_sum(job, walk, chunk) || !reads_lines(job)) return kPanelTiles;
    return reads_two_lines(job) ? int(kLineTiles) : int(kSingleLineTiles);
}

// Passes over the row tiles of a panel for one column tile and one chunk, of at most kMost tiles each.
template <int kMost>
inline int passes_of(int tiles) {
    return (narrow<7>(tiles) + kMost - 1) / kMost;
}

// Of so many row tiles in as few passes that update as there can be, each as long as the others, what the next one takes.
constexpr int kShareMask = 7;  // behind the last row there is no next pass, and no count
static const int kEvenShare[kShareMask + 1] = {
    // clang-format off
    0, 1, 2, 2, 2, 2, 2, 2,
    // clang-format on
};

// Row tiles of the next step. The job's first step is a short one, as nothing overlaps with its loads.
inline int step_tiles(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    const bool is_first = !job.has_rows && (walk.row | walk.segment | walk.done | walk.columns.tile | walk.tile) == 0;
    const int rest = tiles_of(panel_rows(job, walk)) - walk.tile;
    if (is_first) return 1;
    return job.updates && closes_sum(job, walk, chunk) ? kEvenShare[rest & kShareMask] : smaller(most_tiles(job, walk, chunk), rest);
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

// Whether the column tile that the walk comes to is a whole one with a whole one behind it.
inline bool has_like_behind(const GemmJob& job, const ColumnPlace& place, const ColumnPlace& behind) {
    return !ends_part(job, place) && columns_of(job, behind) == kColumnTile;
}

// Whether a step over a panel may take two column tiles: both have room, and no line is read beside each row.
inline bool may_take_two(const GemmJob& job, bool closes) {
    return job.form == kNt && job.has_room_for_two && !(closes && reads_lines(job));
}

inline bool takes_two(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk, const ColumnPlace& behind) {
    const int rows = panel_rows(job, walk);
    const bool ends_group = is_full(job, walk.sum_beat + sum_beats(job, walk.columns, rows), sum_beats(job, behind, rows));
    const bool may = may_take_two(job, closes_sum(job, walk, chunk)) && !brings_rows(job, walk);
    return may && !ends_group && has_like_behind(job, walk.columns, behind);
}

inline void advance(const GemmJob& job, const Chunk& chunk, bool takes_two, const ColumnPlace& behind, GemmWalk& walk) {
    walk.tile += step_tiles(job, walk, chunk);
    if (walk.tile < tiles_of(panel_rows(job, walk))) return;
    const int rows = panel_rows(job, walk);
    const int beats = sum_beats(job, walk.columns, rows);
    walk.tile = 0;
    walk.sum_beat += takes_two ? 2 * beats : beats;
    walk.columns = takes_two ? next_columns(job, behind) : behind;
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
        walk.is_over = walk.row >= job.rows;
    }
    walk.columns = walk.group;
}

// Groups of column tiles of a panel, and pairs of tiles that a step may take at once.
struct Grouping {
    int groups, pairs;
};

inline Grouping grouping_of(const GemmJob& job, int rows) {
    Grouping found;
    found.groups = 1;
    found.pairs = 0;
    ColumnPlace place = first_columns();
    int waiting = sum_beats(job, place, rows);
    bool is_alone = job.has_rows;  // and brings no rows
count_groups:
    for (int tile = 1; tile < job.column_tiles; ++tile) {
#pragma HLS loop_tripcount max = 170
        const ColumnPlace behind = next_columns(job, place);
        const int more = sum_beats(job, behind, rows);
        const bool begins = is_full(job, waiting, more);
        const bool is_pair = is_alone && !begins && has_like_behind(job, place, behind);
        waiting = begins ? more : waiting + more;
        found.groups += begins ? 1 : 0;
        found.pairs += is_pair ? 1 : 0;
        is_alone = !is_pair && (!begins || job.has_rows);
        place = behind;
    }
    return found;
}

inline int count_steps_of_panel(const GemmJob& job, int rows) {
#pragma HLS inline off
    const int tiles = tiles_of(rows);
    const Grouping grouping = grouping_of(job, rows);
    const int of_update = passes_of<kUpdateTiles>(tiles);
    const int of_line = reads_two_lines(job) ? passes_of<kLineTiles>(tiles) : passes_of<kSingleLineTiles>(tiles);
    const int of_lines = reads_lines(job) ? of_line : 1;
    const int of_rows = job.has_rows ? of_lines : passes_of<kStepTiles>(tiles);
    const int with_rows = short_product(of_rows, job.chunks - 1) + (job.updates ? of_update : of_rows);
    const int without = job.chunks - 1 + (job.updates ? of_update : of_lines);
    const int at_once = (may_take_two(job, false) ? int(job.chunks - 1) : 0) + (may_take_two(job, true) ? 1 : 0);
    const int of_groups = int(multiply(i27(grouping.groups), u17(with_rows)));
    const int of_others = int(multiply(i27(job.column_tiles - grouping.groups), u17(without)));
    return of_groups + of_others - short_product(grouping.pairs, at_once);
}

// Passes over so many row tiles in the job's first chunk and column tile.
inline int passes_of_first_rows(const GemmJob& job, int tiles) {
    return job.updates && job.chunks == 1 ? passes_of<kUpdateTiles>(tiles) : passes_of<kStepTiles>(tiles);
}

inline int count_steps(const GemmJob& job) {
    const int of_first = tiles_of(smaller(kPanelRows, job.rows));
    int steps = job.next_tiles;
    if (job.rows > 0 && !job.has_rows)  // the first step is a short one
        steps += 1 + passes_of_first_rows(job, of_first - 1) - passes_of_first_rows(job, of_first);
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

// Column tiles that are on chip when the walk comes to them: the first ones.
inline int held_tiles(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk) {
    if (walk.row > 0) return job.keeps_columns ? int(job.column_tiles) : 0;
    return chunk.segment == 0 && chunk.opens ? int(job.held_tiles) : 0;
}

// Where the column tiles of a step are kept: those that are held, or stay, have a place each, others the first ones.
inline void set_columns(const GemmJob& job, const GemmWalk& walk, bool takes_two, GemmStep& step) {
    const int pairs = pairs_of(step.chunk.count);
    const int own = short_product(walk.columns.tile, pairs);
    const int held = held_tiles(job, walk, step.chunk);
    const bool holds_first = walk.columns.tile < held;
    const bool holds_second = walk.columns.tile + 1 < held;
    const int missing = takes_two ? (holds_second ? 0 : (holds_first ? 1 : 2)) : (holds_first ? 0 : 1);
    step.column_tiles = u8(takes_two ? 2 : 1);
    step.new_tiles = u8(job.has_products && walk.tile == 0 ? missing : 0);
    step.kept_column[0] = job.keeps_columns || holds_first ? own : 0;
    step.kept_column[1] = job.keeps_columns || holds_second ? own + pairs : (holds_first ? 0 : pairs);
}

// A step of the job itself.
inline GemmStep own_step(const GemmJob& job, const GemmWalk& walk, const Chunk& chunk, bool takes_two) {
#pragma HLS inline
    GemmStep step;
    step.chunk = chunk;
    step.tiles = step_tiles(job, walk, step.chunk);
    step.panel_row = narrow<7>(walk.tile) * kRowTile;
    step.row = walk.row + step.panel_row;
    step.rows = smaller(step.tiles * kRowTile, job.rows - step.row);
    step.column = walk.columns.column;
    step.columns = columns_of(job, walk.columns);
    step.sum_beat = walk.sum_beat + sum_beats(job, walk.columns, step.panel_row);
    step.turns = moves_rows(job) ? group_of(step.rows + kPorts - 1) : int(step.rows);
    step.last_turn = u8(moves_rows(job) ? bank_of(step.rows + kPorts - 1) + 1 : int(kPorts));
    step.loads_rows = job.has_products && brings_rows(job, walk) && new_rows(step).words > 0;
    step.has_begun = false;
    step.goes_on = false;
    step.is_next = false;
    set_columns(job, walk, takes_two, step);
    step.waits = job.chunks > 1;
    step.closes_sum = closes_sum(job, walk, step.chunk);
    step.sums_rows = job.sums_rows && walk.columns.tile == 0;
    step.ends_panel = walk.tile + step.tiles == tiles_of(panel_rows(job, walk));
    return step;
}

// A step behind those, for a column tile of the next weights: its columns are loaded and kept.
inline GemmStep next_weights_step(const GemmJob& job, const GemmWalk& walk, const GemmStep& own) {
#pragma HLS inline
    GemmStep step = own;
    step.chunk.start = 0;
    step.chunk.count = chunk_length(job.next.length);
    step.tiles = 1;
    step.rows = 0;
    step.column = walk.columns.column;
    step.columns = smaller(kColumnTile, job.next.columns - step.column);
    step.column_tiles = u8(1);
    step.new_tiles = u8(walk.columns.tile < job.next_tiles ? 1 : 0);
    step.loads_rows = false;
    step.is_next = true;
    step.kept_column[0] = short_product(walk.columns.tile, pairs_of(step.chunk.count));
    step.closes_sum = false;
    return step;
}

inline void advance_next(GemmWalk& walk) {
    ++walk.columns.tile;
    walk.columns.column += kColumnTile;
}

// The step where the walk stands, which moves on.
inline GemmStep take_step(const GemmJob& job, GemmWalk& walk) {
#pragma HLS inline
    const Chunk chunk = chunk_at(job, walk);
    const ColumnPlace behind = next_columns(job, walk.columns);
    const bool has_two = takes_two(job, walk, chunk, behind);
    GemmStep step = own_step(job, walk, chunk, has_two);
    if (walk.is_over) {
        step = next_weights_step(job, walk, step);
        advance_next(walk);
    } else {
        advance(job, chunk, has_two, behind, walk);
    }
    step.port_words = port_words(step.columns);
    step.beats = moves_rows(job) ? u8(words16(natural<5>(unsigned(int(step.columns))))) : u8(kPorts * step.port_words);
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        step.port_start[port] = port_start(port, step.columns);
    }
    return step;
}

// Whether a load of a linear layer's step turns rows or columns.
inline bool turns_anything(const GemmStep& step) { return step.loads_rows || loads_columns(step); }

// The step found a pass ago: in the first pass there is none, so that each knows the one behind. A copy for each task: a
// channel has one producer and one consumer.
inline void next_step(const GemmJob& job, GemmWalk& walk, GemmStep& load, GemmStep& behind, GemmStep& product, GemmStep& sum,
                      GemmStep& change, GemmStep& result) {
    GemmStep step = walk.coming;
    GemmStep coming = take_step(job, walk);
    const bool are_long = is_long(step.chunk) && is_long(coming.chunk);
    step.goes_on = job.form == kNt && turns_anything(step) && turns_anything(coming) && are_long;
    coming.has_begun = step.goes_on;
    walk.coming = coming;
    load = step;
    behind = coming;
    product = step;
    sum = step;
    change = step;
    result = step;
}

}  // namespace peelvit

// What the GEMM engine works on: its job, the segments and chunks of the contraction.
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

constexpr int kBurst = 8;  // words of a row read at once

constexpr int kPanelTiles = kPanelRows / kRowTile;
constexpr int kSingleLineTiles = 2 * kLineTiles < kPanelTiles ? 2 * kLineTiles : kPanelTiles;
constexpr int kLineRows = kLineTiles * kRowTile;
constexpr int kRowBeats = kColumnTile / kLanes;  // words of a row of a column tile
constexpr int kSumBeats = kSumRows * kRowBeats;  // of sums, that a memory holds
constexpr int kPortWords = kColumnTile / kLanes / kPorts;  // words of a row of a column tile that each port moves
constexpr bool kMovesRows = true;  // ports whole rows of short updates (moves_rows below)
constexpr int kUpdateColumns = 24;  // of a column tile then

// The array takes contraction steps in pairs, two a cycle; buffers are cut by the place of a step in its pair.
constexpr int kPair = 2;
constexpr int kChunkPairs = kChunk / kPair;
constexpr int kColumnPairs = 512;  // of new column tiles
constexpr int kKeptPairs = 512;  // of column tiles that stay over all panels

static_assert(kKeptPairs >= kColumnPairs, "what arrives in a pass is kept");

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

// The first columns of weights that a later job begins with.
struct NextWeights {
    Matrix matrix;
    i20 columns;  // of all its column tiles
    i20 length;   // of its contraction
};

struct GemmJob {
    GemmForm form;
    i20 rows;         // output rows; without any the job only brings the next weights
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
    bool has_room_for_two;  // of them, among the new ones
    NextWeights next;       // to be on chip when the job has ended
    i16 next_tiles;         // column tiles of them
    bool has_products;  // or there are no operands, and all sums are 0
    bool has_bias, has_residual, has_gelu, has_gelu_backward, accumulates;
    bool updates;         // the output is a gradient that is not stored: it updates a weight
    bool is_short_update; // and that is added to no other one, and is of one chunk
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

inline int row_group(const GemmJob& job, int row) { return job.form != kTn && row < job.split ? kClassRows : kPatchRows; }

inline int tiles_of(int rows) { return (narrow<8>(rows) + kRowTile - 1) / kRowTile; }  // of a panel

// Groups of kPorts words, and the bank that a word (or a contraction step) moves to.
constexpr int kPanelPlaceBits = 7;
inline int group_of(int word) { return natural<kPanelPlaceBits>(unsigned(word)) / kPorts; }
inline int bank_of(int word) { return natural<2>(unsigned(natural<kPanelPlaceBits>(unsigned(word)) - kPorts * group_of(word))); }
inline int next_of(int bank) { return bank == kPorts - 1 ? 0 : bank + 1; }

// Each port moves a third of a row of a column tile, thirds that are short for the memory. Where the memory is what an
// update waits for, each moves every third row whole.
inline bool moves_rows(const GemmJob& job) { return kMovesRows && job.is_short_update; }

inline int tile_columns(const GemmJob& job) { return moves_rows(job) ? kUpdateColumns : kColumnTile; }
// From the rows that ports move to the next ones.
inline int rows_apart(const GemmJob& job, int pitch) { return moves_rows(job) ? kPorts * pitch : pitch; }

inline int column_tiles_of(const GemmJob& job) {
    const int columns = narrow<14>(job.columns);
    return moves_rows(job) ? (columns + kUpdateColumns - 1) / kUpdateColumns : (columns + kColumnTile - 1) / kColumnTile;
}

// Pairs of contraction steps, the pair that a step is in, and its place there.
inline int pairs_of(int count) { return natural<kPanelPlaceBits>(unsigned(count + kPair - 1)) / kPair; }
inline int pair_of(int step) { return natural<kPanelPlaceBits>(unsigned(step)) / kPair; }
inline int place_in_pair(int step) { return step & (kPair - 1); }

// Of so much that is left of a segment, what its next chunk takes; the last two share it, so that none is very short.
inline int chunk_length(int rest) {
    return rest > kChunk && rest < 2 * kChunk ? kLanes * words16((rest + 1) / 2) : smaller(kChunk, rest);
}

// Most column tiles that a job brings for another one: as many as have room beside each other. One, where no two whole ones
// follow each other: the second is loaded while the first is multiplied.
constexpr int kMostHeldTiles = 3;
inline int tiles_that_stay(int columns, int length) {
    const int pairs = pairs_of(chunk_length(length));
    int tiles = 1;
    for (int more = 2; more <= kMostHeldTiles; ++more) {
#pragma HLS unroll
        if (more * pairs <= kKeptPairs && columns >= 2 * kColumnTile && columns > (more - 1) * kColumnTile) tiles = more;
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

// Whether the epilogue reads a line beside each row of sums, and whether two: residuals and saved values, or int32 lines.
// One alone has the room of both.
inline bool reads_lines(const GemmJob& job) { return job.has_residual || job.has_gelu_backward || job.accumulates; }
inline bool reads_two_lines(const GemmJob& job) { return (job.has_residual && job.has_gelu_backward) || job.accumulates; }

}  // namespace peelvit

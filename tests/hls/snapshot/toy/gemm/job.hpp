// What the GEMM engine works on: its job, the segments and chunks of the contraction, and the steps through them.
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

// A part of the contraction that the second operand's buffer holds at once.
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
    int stride;       // panel steps a row tile takes: the contraction, padded to whole words
    int split;        // class-token rows: output rows of kNt and kNn, contraction steps of kTn
    Matrix first, second, bias, residual, pre, out;
    bool has_bias, has_residual, has_gelu, has_gelu_backward, accumulates;
    int residual_period;
    int chunks;
    Chunk chunk[kMaxChunks];
    int segment_shift[3][2];  // to the common fraction, by segment and row group
    int fraction[2];          // of the finished sum, by row group
    int slot[2];              // of the output, by row group
    // fractions looked up once
    int f_out[2], f_residual[2], f_bias, f_pre, f_gelu;
};

// What one pass through the dataflow region works on.
struct GemmStep {
    int column;  // first output column
    Chunk chunk;
    bool opens_sum;   // first chunk of the contraction
    bool closes_sum;  // last one
};

inline int row_group(const GemmJob& job, int row) { return job.form != kTn && row < job.split ? kClassRows : kPatchRows; }

// Chunks of [start, start + count) as segment `segment`.
inline void add_segment(GemmJob& job, int start, int count, int segment) {
add_segment:
    for (int done = 0; done < count; done += kChunk) {
#pragma HLS loop_tripcount max = 33
        Chunk chunk;
        chunk.start = start + done;
        chunk.count = smaller(kChunk, count - done);
        chunk.segment = segment;
        chunk.opens = done == 0;
        chunk.closes = done + kChunk >= count;
        job.chunk[job.chunks] = chunk;
        ++job.chunks;
    }
}

// Three copies of the step, one for each task: a channel has one producer and one consumer.
inline void next_step(const GemmJob& job, int index, GemmStep& load, GemmStep& product, GemmStep& result) {
    const int tile = index / job.chunks;  // lint: divider
    const int chunk = index - tile * job.chunks;
    GemmStep step;
    step.column = tile * kColumnTile;
    step.chunk = job.chunk[chunk];
    step.opens_sum = chunk == 0;
    step.closes_sum = chunk == job.chunks - 1;
    load = step;
    product = step;
    result = step;
}

}  // namespace peelvit

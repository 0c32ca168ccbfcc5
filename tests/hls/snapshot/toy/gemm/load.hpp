// Loading of both operands of a matrix product into banks: rows along the contraction are transposed on the way.
#pragma once

#include "job.hpp"

namespace peelvit {

// Rows along the contraction: groups of eight rows are read in bursts into a line buffer and written transposed, so that
// each of kBanks banks receives its row. Rows past `rows` become zero up to a whole tile.
template <int kPort, int kBanks, int kDepth>
inline void load_transposed(const word_t* mem, const Matrix& matrix, int row0, int rows, int step0, int steps, int stride,
                            i16 (&buffer)[kDepth][kBanks]) {
    constexpr int kLineWords = (kDepth < kMaxContraction ? kDepth : kMaxContraction) / kLanes;
    word_t line[2][kLanes][kLineWords];
#pragma HLS array_partition variable=line type=complete dim=1
#pragma HLS array_partition variable=line type=complete dim=2
    const int words = words16(steps);
    const int groups = (rows + kBanks - 1) / kBanks * (kBanks / kLanes);
    int bank = 0;
    int base = 0;
transpose_groups:
    for (int group = 0; group <= groups; ++group) {
#pragma HLS loop_tripcount max = 4
        int written = 0;
    transpose_rows:
        for (int lane_row = 0; lane_row < kLanes; ++lane_row) {
        transpose_words:
            for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 64
                PIPELINE((group | lane_row | w) == 0, 1, kReadLatency);
                const int row = kLanes * group + lane_row;
                if (group < groups) {
                    word_t word = zero_word();
                    if (row < rows) word = read_word<kPort>(mem, matrix.address + unsigned(row0 + row) * unsigned(matrix.pitch) + unsigned(step0 / kLanes + w));
                    line[group & 1][lane_row][w] = word;
                }
                if (group > 0) {
                    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                        buffer[base + written][bank + lane] = get16(line[(group - 1) & 1][lane][written / kLanes], written % kLanes);
                    }
                }
                ++written;
            }
        }
        if (group > 0) {
            bank += kLanes;
            if (bank == kBanks) {
                bank = 0;
                base += stride;
            }
        }
    }
}

// Rows across the contraction: a word fills eight neighbouring banks at one step.
template <int kPort, int kBanks, int kDepth>
inline void load_direct(const word_t* mem, const Matrix& matrix, int step0, int steps, int column0, int columns, int stride,
                        i16 (&buffer)[kDepth][kBanks]) {
    const int tiles = (columns + kBanks - 1) / kBanks;
    const int words = words16(columns);
direct_steps:
    for (int step = 0; step < steps; ++step) {
#pragma HLS loop_tripcount max = 512
    direct_tiles:
        for (int tile = 0; tile < tiles; ++tile) {
#pragma HLS loop_tripcount max = 3
        direct_words:
            for (int w = 0; w < kBanks / kLanes; ++w) {
                PIPELINE((step | tile | w) == 0, 1, kReadLatency);
                const int index = tile * (kBanks / kLanes) + w;
                word_t word = zero_word();
                if (index < words) word = read_word<kPort>(mem, matrix.address + unsigned(step0 + step) * unsigned(matrix.pitch) + unsigned(column0 / kLanes + index));
                for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                    buffer[tile * stride + step][kLanes * w + lane] = get16(word, lane);
                }
            }
        }
    }
}

inline void load_panel(const word_t* mem1, const GemmJob& job, int row0, int rows, i16 (&panel)[kPanelDepth][kRowTile]) {
    if (job.form == kTn)
        load_direct<1>(mem1, job.first, 0, job.contraction, row0, rows, job.stride, panel);
    else
        load_transposed<1>(mem1, job.first, row0, rows, 0, job.contraction, job.stride, panel);
}

inline void load_tile(const word_t* mem0, const GemmJob& job, const GemmStep& step, i16 (&tile)[kChunk][kColumnTile]) {
    const int columns = smaller(kColumnTile, job.columns - step.column);
    if (job.form == kNt)
        load_transposed<0>(mem0, job.second, step.column, columns, step.chunk.start, step.chunk.count, kChunk, tile);
    else
        load_direct<0>(mem0, job.second, step.chunk.start, step.chunk.count, step.column, columns, kChunk, tile);
}

}  // namespace peelvit

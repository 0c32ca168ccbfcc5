// y[i][j] = exp2(scale * (x[i][j] - max_j x[i][j])) / sum_j; scale holds log2(e).
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

// Exponentials of a block by word and lane, U1.20.
using Exponentials = int[kBlockWords][kLanes];

// Largest element by row; `kept` is the block for the next process.
inline void softmax_maxima(const word_t block[kBlockWords], const Blocks& blocks, int b, word_t kept[kBlockWords],
                           i16 maximum[kBlockRows]) {
    Cursor at = start_of_block();
    i16 largest = -32768;
softmax_maxima:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 8);
        const word_t x = block[i];
        if (at.word == 0) largest = -32768;
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const i16 value = get16(x, lane);
            if (lane < lanes_in(blocks, at.word) && value > largest) largest = value;
        }
        kept[i] = x;
        maximum[at.row] = largest;
        advance(at, blocks.words);
    }
}

inline void softmax_exponentials(const word_t block[kBlockWords], const i16 maximum[kBlockRows], const Blocks& blocks,
                                 int b, int f_in, int scale, Exponentials& exponentials,
                                 wide_t reciprocals[kBlockRows]) {
    wide_t sums[kBlockRows];
    Cursor at = start_of_block();
    wide_t sum = 0;
softmax_exponentials:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kVectorDepth);
        const word_t x = block[i];
        const wide_t largest = maximum[at.row];
        if (at.word == 0) sum = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const bool is_padding = lane >= lanes_in(blocks, at.word);
            const wide_t value = get16(x, lane);
            const wide_t distance = is_padding ? wide_t(0) : wide_t(largest - value);
            const int e = int(exponential(distance, f_in, scale));
            exponentials[i][lane] = e;
            if (!is_padding) sum += e;
        }
        sums[at.row] = sum;
        advance(at, blocks.words);
    }
softmax_reciprocals:
    for (int row = 0; row < rows_in(blocks, b); ++row) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(row == 0, 1, kDivideDepth);
        reciprocals[row] = reciprocal(sums[row]);
    }
}

inline void softmax_probabilities(const Exponentials& exponentials, const wide_t reciprocals[kBlockRows],
                                  const Blocks& blocks, int b, int f_out, word_t block[kBlockWords],
                                  Statistics& statistics) {
    Cursor at = start_of_block();
softmax_probabilities:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kVectorDepth);
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            acc[lane] = wide_t(exponentials[i][lane]) * reciprocals[at.row];
        }
        block[i] = store_word(acc, lanes_in(blocks, at.word), kProbabilityBits - f_out, statistics);
        advance(at, blocks.words);
    }
}

inline void softmax_blocks(word_t* mem1, word_t* mem2, const Matrix& x, const Matrix& y, const Blocks& blocks, int f_in,
                           int f_out, int scale, Statistics& statistics) {
softmax_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t in_block[kBlockWords];
        word_t kept[kBlockWords];
        word_t out_block[kBlockWords];
        i16 maximum[kBlockRows];
        wide_t reciprocals[kBlockRows];
        Exponentials exponentials;
#pragma HLS array_partition variable=exponentials type=complete dim=2
        PROCESS(load_block<1>(mem1, x, blocks, b, in_block));
        PROCESS(softmax_maxima(in_block, blocks, b, kept, maximum));
        PROCESS(softmax_exponentials(kept, maximum, blocks, b, f_in, scale, exponentials, reciprocals));
        PROCESS(softmax_probabilities(exponentials, reciprocals, blocks, b, f_out, out_block, statistics));
        PROCESS(store_block<2>(mem2, y, blocks, b, out_block));
    }
}

inline void softmax(word_t* /*mem0*/, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix x = operand(in, 0);
    const Matrix y = operand(in, 1);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);
    const int scale = int(in.immediate[0]);

    Statistics statistics = no_statistics();
    softmax_blocks(mem1, mem2, x, y, cut(rows, n), slots.f[x.slot], slots.f[y.slot], scale, statistics);
    record(slots, y.slot, statistics, kProbabilityBits);
}

}  // namespace peelvit

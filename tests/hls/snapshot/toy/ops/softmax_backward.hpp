// dx[i][j] = y[i][j] * (dy[i][j] - sum_j y[i][j] * dy[i][j]).
#pragma once

#include "../blocks.hpp"

namespace peelvit {

// Mean gradient by row, at the fraction of dy; the blocks go on to the next process.
inline void softmax_backward_means(const word_t gradients[kBlockWords], const word_t outputs[kBlockWords],
                                   const Blocks& blocks, int b, int f_y, word_t kept_gradients[kBlockWords],
                                   word_t kept_outputs[kBlockWords], wide_t means[kBlockRows]) {
    Cursor at = start_of_block();
    wide_t sum = 0;
softmax_backward_means:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 12);
        const word_t dy = gradients[i];
        const word_t y = outputs[i];
        if (at.word == 0) sum = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t product = wide_t(get16(dy, lane)) * wide_t(get16(y, lane));
            if (lane < lanes_in(blocks, at.word)) sum += product;
        }
        kept_gradients[i] = dy;
        kept_outputs[i] = y;
        means[at.row] = round_shift(sum, f_y);
        advance(at, blocks.words);
    }
}

// `shift` and `statistics` by row kind.
inline void softmax_backward_block(const word_t gradients[kBlockWords], const word_t outputs[kBlockWords],
                                   const wide_t means[kBlockRows], const Blocks& blocks, int b, int split,
                                   const int shift[2], word_t out_block[kBlockWords], Statistics statistics[2]) {
    Cursor at = start_of_block();
softmax_backward_words:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kVectorDepth);
        const int kind = row_kind(first_row(blocks, b) + at.row, split);
        const word_t dy = gradients[i];
        const word_t y = outputs[i];
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t difference = wide_t(get16(dy, lane)) - means[at.row];
            acc[lane] = wide_t(get16(y, lane)) * difference;
        }
        out_block[i] = store_word(acc, lanes_in(blocks, at.word), shift[kind], statistics[kind]);
        advance(at, blocks.words);
    }
}

inline void softmax_backward_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& dy, const Matrix& y,
                                    const Matrix& dx, const Blocks& blocks, int split, int f_y, const int shift[2],
                                    Statistics statistics[2]) {
softmax_backward_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t gradients[kBlockWords];
        word_t outputs[kBlockWords];
        word_t kept_gradients[kBlockWords];
        word_t kept_outputs[kBlockWords];
        word_t out_block[kBlockWords];
        wide_t means[kBlockRows];
        PROCESS(load_block<1>(mem1, dy, blocks, b, gradients));
        PROCESS(load_block<0>(mem0, y, blocks, b, outputs));
        PROCESS(softmax_backward_means(gradients, outputs, blocks, b, f_y, kept_gradients, kept_outputs, means));
        PROCESS(softmax_backward_block(kept_gradients, kept_outputs, means, blocks, b, split, shift, out_block,
                                       statistics));
        PROCESS(store_block<2>(mem2, dx, blocks, b, out_block));
    }
}

inline void softmax_backward(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix dy = operand(in, 0);
    const Matrix y = operand(in, 1);
    const Matrix dx = operand(in, 2);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<13>(in.dimension[1]);
    const int n = natural<9>(in.dimension[2]);

    const int f_y = slots.f[y.slot];
    int fraction[2];
    int shift[2];
    Statistics statistics[2];
#pragma HLS array_partition variable=fraction type=complete
#pragma HLS array_partition variable=shift type=complete
#pragma HLS array_partition variable=statistics type=complete
row_kinds:
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        fraction[kind] = slots.f[dy.slot + kind] + f_y;
        shift[kind] = fraction[kind] - slots.f[dx.slot + kind];
        statistics[kind] = no_statistics();
    }
    softmax_backward_blocks(mem0, mem1, mem2, dy, y, dx, cut(rows, n), split, f_y, shift, statistics);
    record(slots, dx.slot, statistics[0], fraction[0]);
    record(slots, dx.slot + 1, statistics[1], fraction[1]);
}

}  // namespace peelvit

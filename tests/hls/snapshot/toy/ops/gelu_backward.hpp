// dx = dy * GELU'(x).
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

// `shift` and `statistics` by row kind.
inline void gelu_backward_block(const word_t gradients[kBlockWords], const word_t inputs[kBlockWords],
                                const Blocks& blocks, int b, int split, int f_in, const int shift[2],
                                word_t out_block[kBlockWords], Statistics statistics[2]) {
    Cursor at = start_of_block();
gelu_backward_words:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kVectorDepth);
        const int kind = row_kind(first_row(blocks, b) + at.row, split);
        const word_t dy = gradients[i];
        const word_t x = inputs[i];
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            acc[lane] = wide_t(get16(dy, lane)) * wide_t(gelu_slope(get16(x, lane), f_in));
        }
        out_block[i] = store_word(acc, lanes_in(blocks, at.word), shift[kind], statistics[kind]);
        advance(at, blocks.words);
    }
}

inline void gelu_backward_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& dy, const Matrix& x,
                                 const Matrix& dx, const Blocks& blocks, int split, int f_in, const int shift[2],
                                 Statistics statistics[2]) {
gelu_backward_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t gradients[kBlockWords];
        word_t inputs[kBlockWords];
        word_t out_block[kBlockWords];
        PROCESS(load_block<1>(mem1, dy, blocks, b, gradients));
        PROCESS(load_block<0>(mem0, x, blocks, b, inputs));
        PROCESS(gelu_backward_block(gradients, inputs, blocks, b, split, f_in, shift, out_block, statistics));
        PROCESS(store_block<2>(mem2, dx, blocks, b, out_block));
    }
}

inline void gelu_backward(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix dy = operand(in, 0);
    const Matrix x = operand(in, 1);
    const Matrix dx = operand(in, 2);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<13>(in.dimension[1]);
    const int n = natural<9>(in.dimension[2]);

    int fraction[2];
    int shift[2];
    Statistics statistics[2];
#pragma HLS array_partition variable=fraction type=complete
#pragma HLS array_partition variable=shift type=complete
#pragma HLS array_partition variable=statistics type=complete
row_kinds:
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        fraction[kind] = slots.f[dy.slot + kind] + kGeluSlopeBits;
        shift[kind] = fraction[kind] - slots.f[dx.slot + kind];
        statistics[kind] = no_statistics();
    }
    gelu_backward_blocks(mem0, mem1, mem2, dy, x, dx, cut(rows, n), split, slots.f[x.slot], shift, statistics);
    record(slots, dx.slot, statistics[0], fraction[0]);
    record(slots, dx.slot + 1, statistics[1], fraction[1]);
}

}  // namespace peelvit

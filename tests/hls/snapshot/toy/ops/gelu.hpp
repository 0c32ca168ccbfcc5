// y = relu(x) - table(abs(x)).
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

inline void gelu_block(const word_t in_block[kBlockWords], const Blocks& blocks, int b, int f_in, int f_out,
                       word_t out_block[kBlockWords], Statistics& statistics) {
    Cursor at = start_of_block();
gelu_words:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kVectorDepth);
        const word_t x = in_block[i];
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            acc[lane] = gelu_value(get16(x, lane), f_in);
        }
        out_block[i] = store_word(acc, lanes_in(blocks, at.word), kGeluBits - f_out, statistics);
        advance(at, blocks.words);
    }
}

inline void gelu_blocks(word_t* mem1, word_t* mem2, const Matrix& x, const Matrix& y, const Blocks& blocks, int f_in,
                        int f_out, Statistics& statistics) {
gelu_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t in_block[kBlockWords];
        word_t out_block[kBlockWords];
        PROCESS(load_block<1>(mem1, x, blocks, b, in_block));
        PROCESS(gelu_block(in_block, blocks, b, f_in, f_out, out_block, statistics));
        PROCESS(store_block<2>(mem2, y, blocks, b, out_block));
    }
}

inline void gelu(word_t* /*mem0*/, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix x = operand(in, 0);
    const Matrix y = operand(in, 1);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);

    Statistics statistics = no_statistics();
    gelu_blocks(mem1, mem2, x, y, cut(rows, n), slots.f[x.slot], slots.f[y.slot], statistics);
    record(slots, y.slot, statistics, kGeluBits);
}

}  // namespace peelvit

// x[b][j] = round(token[j] + position[j]): the class-token rows of the first layer's input.
#pragma once

#include "../blocks.hpp"

namespace peelvit {

inline void embed_class(word_t* mem0, word_t* /*mem1*/, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix token = operand(in, 0);
    const Matrix position = operand(in, 1);
    const Matrix x = operand(in, 2);
    const int batch = int(in.dimension[0]);
    const int n = int(in.dimension[1]);

    const int f_token = slots.f[token.slot];
    const int f_position = slots.f[position.slot];
    const int fraction = larger(f_token, f_position);
    const int shift = fraction - slots.f[x.slot];
    const int words = words16(n);
    word_t token_row[kMaxWords];
    word_t position_row[kMaxWords];
    load_row<0>(mem0, token.address, words, token_row);
    load_row<0>(mem0, position.address, words, position_row);
    Statistics statistics = no_statistics();
embed_images:
    for (int b = 0; b < batch; ++b) {
#pragma HLS loop_tripcount max = 8
        const unsigned address = x.address + unsigned(b) * unsigned(x.pitch);
    embed_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE(w == 0, 1, kVectorDepth);
            wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                acc[lane] = align(wide_t(get16(token_row[w], lane)), f_token, fraction) +
                            align(wide_t(get16(position_row[w], lane)), f_position, fraction);
            }
            const word_t word = store_word(acc, smaller(kLanes, n - kLanes * w), shift, statistics);
            write_word<2>(mem2, address + unsigned(w), word);
        }
    }
    record(slots, x.slot, statistics, fraction);
}

}  // namespace peelvit

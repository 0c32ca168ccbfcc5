// x[b][j] = round(token[j] + position[j]): the class-token rows of the first layer's input.
#pragma once

#include "../blocks.hpp"

namespace peelvit {

inline void embed_class(word_t* mem0, word_t* /*mem1*/, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix token = operand(in, 0);
    const Matrix position = operand(in, 1);
    const Matrix x = operand(in, 2);
    const int batch = natural<4>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);

    const int f_token = slots.f[token.slot];
    const int f_position = slots.f[position.slot];
    const int fraction = larger(f_token, f_position);
    const int shift = fraction - slots.f[x.slot];
    const int words = words16(n);
    word_t token_row[kMaxWords];
    word_t position_row[kMaxWords];
    load_row<0>(mem0, token.address, words, token_row);
    load_row<0>(mem0, position.address, words, position_row);
    // All images have the same row: it is made once, element by element.
    Statistics statistics = no_statistics();
    word_t row[kMaxWords];
    word_t word = zero_word();
embed_elements:
    for (int i = 0; i < kLanes * words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kVectorDepth);
        const int lane = i % kLanes;
        const wide_t acc = align(wide_t(get16(token_row[i / kLanes], lane)), f_token, fraction) +
                           align(wide_t(get16(position_row[i / kLanes], lane)), f_position, fraction);
        i16 value = 0;
        if (i < n) value = i16(store(acc, shift, 16, statistics));
        put16(word, lane, value);
        row[i / kLanes] = word;
    }
    statistics.saturations *= unsigned(batch);
embed_images:
    for (int b = 0; b < batch; ++b) {
#pragma HLS loop_tripcount max = 8
        const unsigned address = row_address(x, unsigned(b));
    embed_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE(w == 0, 1, kCopyDepth);
            write_word<2>(mem2, address + unsigned(w), row[w]);
        }
    }
    record(slots, x.slot, statistics, fraction);
}

}  // namespace peelvit

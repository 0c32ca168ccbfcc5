// x[b][j] = round(token[j] + position[j]): the class-token rows of the first layer's input.
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

inline void embed_class(word_t* mem0, word_t* /*mem1*/, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that what records statistics is shared
    const Matrix token = operand(in, 0);
    const Matrix position = operand(in, 1);
    const Matrix x = operand(in, 2);
    const int batch = natural<4>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);

    const int f_token = slots.f[token.slot];
    const int f_position = slots.f[position.slot];
    const bool is_token_finer = f_token >= f_position;
    const int fraction = is_token_finer ? f_token : f_position;
    const int distance = natural<5>(unsigned(smaller(fraction - (is_token_finer ? f_position : f_token), kMaxAlign)));
    const PowerShift by = power_shift_of(-distance);
    const Fit16 to_x = fit16_of(fraction - slots.f[x.slot]);
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
        const unsigned element = unsigned(natural<13>(unsigned(i)));
        const int lane = int(element % kLanes);
        const i16 token_value = get16(token_row[element / kLanes], lane);
        const i16 position_value = get16(position_row[element / kLanes], lane);
        const i16 finer = is_token_finer ? token_value : position_value;
        const i16 coarser = is_token_finer ? position_value : token_value;
        const acc_t acc = acc_t(shift_by_power(coarser, by) + wide_t(finer));
        Seen seen = nothing_seen();
        put16(word, lane, fit16(i < n ? acc : acc_t(0), to_x, seen));
        add(statistics, seen);
        row[element / kLanes] = word;
    }
    statistics.saturations = unsigned(multiply(u17(statistics.saturations), u17(unsigned(batch))));
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

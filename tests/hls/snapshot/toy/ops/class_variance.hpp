// v = patches * sum_i m^2 - (sum_i m)^2 over m = map[b * map_rows][1 + i]; variance[b] = (low 32 bits of v, high 32 bits of v, fraction of the map, patches, 0, 0, 0, 0).
#pragma once

#include "../blocks.hpp"

namespace peelvit {

inline void class_variance(word_t* /*mem0*/, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS allocation operation instances = mul limit = 1
    const Matrix map = operand(in, 0);
    const Matrix variance = operand(in, 1);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int map_rows = natural<7>(in.dimension[2]);

variance_images:
    for (int b = 0; b < batch; ++b) {
#pragma HLS loop_tripcount max = 8
        const unsigned address = row_address(map, unsigned(multiply(u17(unsigned(b)), u17(unsigned(map_rows)))));
        acc_t sum = 0;
        wide_t square = 0;
        word_t word = zero_word();
    variance_tokens:
        for (int token = 0; token <= patches; ++token) {
#pragma HLS loop_tripcount max = 81
            PIPELINE(token == 0, 1, kReadLatency + 12);
            const int lane = token % kWideLanes;
            if (lane == 0) word = read_word<1>(mem1, address + unsigned(token / kWideLanes));
            const i32 value = token > 0 ? get32(word, lane) : i32(0);
            sum += value;
            square += multiply(value, value);
        }
        const wide_t variance_value = multiply(u17(unsigned(patches)), square) - multiply(sum, sum);
        word_t first = zero_word();
        put32(first, 0, i32(variance_value));
        put32(first, 1, i32(wide_t(variance_value >> 32)));
        put32(first, 2, i32(slots.f[map.slot]));
        put32(first, 3, i32(patches));
        const unsigned target = row_address(variance, unsigned(b));
        write_word<2>(mem2, target, first);
        write_word<2>(mem2, target + 1, zero_word());
    }
}

}  // namespace peelvit

// f_previous = f; of each slot in first ... first + count - 1 that saw a non-zero value, the peak enters the history and f = bits - margin - max(history).
#pragma once

#include "../instruction.hpp"
#include "../slots.hpp"

namespace peelvit {

inline void exponent_update(word_t* /*mem0*/, word_t* /*mem1*/, word_t* /*mem2*/, const Instruction& in, Slots& slots) {
    const int first = natural<10>(in.dimension[0]);
    const int count = natural<10>(in.dimension[1]);
    const int bits = natural<5>(in.dimension[2]);
    const int margin = natural<4>(in.dimension[3]);

exponent_slots:
    for (int i = 0; i < count; ++i) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(i == 0, 1, 8);
        const int slot = first + i;
        const int f = slots.f[slot];
        const int peak = slots.peak[slot];
        slots.f_previous[slot] = byte_of(f);
        slots.peak[slot] = byte_of(kEmpty);
        if (peak > kEmpty) {
            int largest = peak;
            for (int age = kHistory - 1; age >= 0; --age) {
#pragma HLS unroll
                const signed char past = age == 0 ? byte_of(peak) : slots.history[slot][larger(age - 1, 0)];
                slots.history[slot][age] = past;
                largest = larger(largest, past);
            }
            slots.f[slot] = byte_of(larger(kFractionMin, smaller(kFractionMax, bits - margin - largest)));
        }
    }
}

}  // namespace peelvit

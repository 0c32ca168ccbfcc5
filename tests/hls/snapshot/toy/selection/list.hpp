// Lists of patch indices on chip.
#pragma once

#include "../instruction.hpp"

namespace peelvit {

constexpr int kPatchBits = 7;
constexpr int kIndexWords = (kMaxPatches + kLanes - 1) / kLanes;  // of a list

// The index of a patch, or a negative number.
#ifdef PEELVIT_NATIVE
using patch_t = i16;
#else
using patch_t = ap_int<kPatchBits + 1>;
#endif

// How many lanes of word `w` belong to the first `count`.
inline int lanes_of(int count, int w) {
    return natural<4>(unsigned(larger(0, smaller(kLanes, count - kLanes * natural<kPatchBits>(unsigned(w))))));
}

// Indices below `limit`; larger ones are clamped.
inline void load_list(const word_t* mem, unsigned address, int count, int limit, patch_t (&list)[kMaxPatches]) {
    const int words = words16(count);
load_list:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + unsigned(w));
        const int lanes = lanes_of(count, w);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int index = int(get16(word, lane)) & 0xFFFF;
            if (lane < lanes) list[kLanes * w + lane] = patch_t(smaller(index, limit - 1));
        }
    }
}

}  // namespace peelvit

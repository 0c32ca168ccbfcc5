// Lists of patch indices on chip.
#pragma once

#include "../instruction.hpp"

namespace peelvit {

constexpr int kPatchBits = 7;
constexpr int kIndexWords = 10;     // of a list: of patches, or of images
constexpr int kIndices = kLanes * kIndexWords;  // whole words, so that nobody needs to see where a list ends
constexpr int kIndexBits = 7;     // of a list's length

// The index of a patch, or a negative number.
#ifdef PEELVIT_NATIVE
using patch_t = i16;
#else
using patch_t = ap_int<kIndexBits + 1>;
#endif

// Indices below `limit`; larger ones are clamped.
inline void load_list(const word_t* mem, unsigned address, int count, int limit, patch_t (&list)[kIndices]) {
    const int words = words16(count);
load_list:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + unsigned(w));
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int index = int(get16(word, lane)) & 0xFFFF;
            list[kLanes * w | lane] = patch_t(smaller(index, limit - 1));
        }
    }
}

// All indices below `count`.
inline void list_all(int count, patch_t (&list)[kIndices]) {
list_all:
    for (int w = 0; w < words16(count); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, 2);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            list[kLanes * w | lane] = patch_t(kLanes * w | lane);
        }
    }
}

}  // namespace peelvit

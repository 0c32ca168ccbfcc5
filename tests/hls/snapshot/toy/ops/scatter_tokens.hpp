// The backward of gather_tokens: rows that were pruned become zero.
#pragma once

#include "../selection.hpp"

namespace peelvit {

constexpr int kPruned = -1;

// Which kept row each patch comes from, or kPruned. Of equal indices the last one counts.
inline void invert_list(const i16 (&list)[kMaxPatches], int keep, int patches, i16 (&source)[kMaxPatches]) {
clear_sources:
    for (int patch = 0; patch < patches; ++patch) {
#pragma HLS loop_tripcount max = 80
        PIPELINE(patch == 0, 1, 2);
        source[patch] = kPruned;
    }
set_sources:
    for (int i = 0; i < keep; ++i) {
#pragma HLS loop_tripcount max = 80
        PIPELINE(i == 0, 1, 2);
        source[int(list[i])] = i16(i);
    }
}

// Every row of an image, read from where it comes from, or zeros.
inline void spread_rows(const word_t* mem1, word_t* mem2, const Matrix& dy, unsigned first_kept, const Matrix& dx,
                        unsigned first_patch, int patches, int words, const i16 (&source)[kMaxPatches]) {
spread_rows:
    for (int patch = 0; patch < patches; ++patch) {
#pragma HLS loop_tripcount max = 80
        const int from = int(source[patch]);
        const unsigned to = dx.address + (first_patch + unsigned(patch)) * unsigned(dx.pitch);
    spread_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE((patch | w) == 0, 1, kReadLatency);
            word_t word = zero_word();
            if (from != kPruned)
                word =
                    read_word<1>(mem1, dy.address + (first_kept + unsigned(from)) * unsigned(dy.pitch) + unsigned(w));
            write_word<2>(mem2, to + unsigned(w), word);
        }
    }
}

inline void scatter_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix dy = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix dx = operand(in, 2);
    const int batch = int(in.dimension[0]);
    const int patches = int(in.dimension[1]);
    const int keep = int(in.dimension[2]);
    const int n = int(in.dimension[3]);

    const int words = words16(n);
    copy_rows(mem1, mem2, dy, dx, batch, words);
scatter_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        i16 list[kMaxPatches];
        i16 source[kMaxPatches];
#pragma HLS array_partition variable = list type = cyclic factor = 8
        load_list(mem0, kept.address + unsigned(image) * unsigned(kept.pitch), keep, patches, list);
        invert_list(list, keep, patches, source);
        spread_rows(mem1, mem2, dy, unsigned(batch + image * keep), dx, unsigned(batch + image * patches), patches,
                    words, source);
    }
}

}  // namespace peelvit

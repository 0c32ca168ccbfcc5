// The class rows, then of each image the kept patch rows.
#pragma once

#include "../selection.hpp"

namespace peelvit {

// Copy the listed rows, counted from `source`, to rows that follow each other from `target`.
inline void copy_listed_rows(const word_t* mem1, word_t* mem2, const Matrix& x, unsigned source, const Matrix& y,
                             unsigned target, int rows, int words, const i16 (&list)[kMaxPatches]) {
copy_listed_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 80
        const unsigned from = x.address + (source + unsigned(int(list[i]))) * unsigned(x.pitch);
        const unsigned to = y.address + (target + unsigned(i)) * unsigned(y.pitch);
    copy_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE((i | w) == 0, 1, kReadLatency);
            write_word<2>(mem2, to + unsigned(w), read_word<1>(mem1, from + unsigned(w)));
        }
    }
}

inline void gather_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix x = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix y = operand(in, 2);
    const int batch = int(in.dimension[0]);
    const int patches = int(in.dimension[1]);
    const int keep = int(in.dimension[2]);
    const int n = int(in.dimension[3]);

    const int words = words16(n);
    copy_rows(mem1, mem2, x, y, batch, words);
gather_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        i16 list[kMaxPatches];
#pragma HLS array_partition variable = list type = cyclic factor = 8
        load_list(mem0, kept.address + unsigned(image) * unsigned(kept.pitch), keep, patches, list);
        copy_listed_rows(mem1, mem2, x, unsigned(batch + image * patches), y, unsigned(batch + image * keep), keep,
                         words, list);
    }
}

}  // namespace peelvit

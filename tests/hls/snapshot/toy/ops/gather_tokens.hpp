// The class rows, then of each image the kept patch rows.
#pragma once

#include "../copies.hpp"

namespace peelvit {

inline void gather_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that the one copier is shared
    const Matrix x = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix y = operand(in, 2);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int keep = natural<7>(in.dimension[2]);
    const int n = natural<9>(in.dimension[3]);

    patch_t list[kIndices];
#pragma HLS array_partition variable=list type=cyclic factor=8
    list_all(batch, list);
    RowCopy job = first_rows(x, y, batch, words16(n));
    copy_listed_rows(mem0, mem1, mem2, job, list);
    set_rows(job, keep);
gather_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        load_list(mem0, row_address(kept, unsigned(image)), keep, patches, list);
        job.first_from = unsigned(batch + image * patches);
        job.first_to = unsigned(batch + image * keep);
        copy_listed_rows(mem0, mem1, mem2, job, list);
    }
}

}  // namespace peelvit

// The backward of gather_tokens: rows that were pruned become zero.
#pragma once

#include "../copies.hpp"

namespace peelvit {

// Which kept row each patch comes from, or kNoRow. Of equal indices the last one counts.
inline void invert_list(const patch_t list[kIndices], int keep, int patches, patch_t source[kIndices]) {
clear_sources:
    for (int w = 0; w < words16(patches); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, 2);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            source[kLanes * w | lane] = kNoRow;
        }
    }
set_sources:
    for (int i = 0; i < keep; ++i) {
#pragma HLS loop_tripcount max = 80
        PIPELINE(i == 0, 1, 2);
        source[int(list[i])] = patch_t(i);
    }
}

inline void scatter_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that the one copier is shared
    const Matrix dy = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix dx = operand(in, 2);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int keep = natural<7>(in.dimension[2]);
    const int n = natural<9>(in.dimension[3]);

    patch_t list[kIndices];
    patch_t source[kIndices];
#pragma HLS array_partition variable=list type=cyclic factor=8
#pragma HLS array_partition variable=source type=cyclic factor=8
    list_all(batch, source);
    RowCopy job = first_rows(dy, dx, batch, words16(n));
    copy_listed_rows(mem0, mem1, mem2, job, source);
    set_rows(job, patches);
scatter_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        load_list(mem0, row_address(kept, unsigned(image)), keep, patches, list);
        invert_list(list, keep, patches, source);
        job.first_from = unsigned(batch + image * keep);
        job.first_to = unsigned(batch + image * patches);
        copy_listed_rows(mem0, mem1, mem2, job, source);
    }
}

}  // namespace peelvit

// Writes nothing: the first rows of w come on chip, for a gemm_nt with LOADED_W. Beside attention that takes no time.
#pragma once

#include "../gemm/engine.hpp"

namespace peelvit {

// A gemm_nt without rows, which brings the weights of the next one.
inline void load_weights(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline  // so that the one engine is shared
    const Matrix w = operand(in, 0);
    const int n = natural<13>(in.dimension[0]);
    const int k = natural<10>(in.dimension[1]);

    GemmJob job = plain_job(kNt, 0, n, 0, w, w, w);
    add_segment(job, 0, k);
    set_next(job, w, n, k);
    gemm(mem0, mem1, mem2, job, no_update(), panel, kept, held, slots);
}

}  // namespace peelvit

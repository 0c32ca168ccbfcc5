// v = mu * v + g / 2^average_shift + decay * w; w = w - lr * v; weight = round(w / 2^16). A state element is what is left of w, and v. Hyperparameters: (lr mantissa, lr shift, mu in Q16, decay mantissa, decay shift, 0, 0, 0). Fractions: numerics.md.
#pragma once

#include "../gemm/engine.hpp"

namespace peelvit {

// The end of a gemm_tn: the gradient is added to sums of no products.
inline void sgd_update(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline  // so that the one engine is shared
    const Matrix gradient = operand(in, 0);
    const Matrix state = operand(in, 1);
    const Matrix weight = operand(in, 2);
    const Matrix hyperparameters = operand(in, 3);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<13>(in.dimension[1]);
    const bool has_decay = (in.flags & 1u) != 0;
    const int average_shift = int(in.immediate[0]);

    GemmJob job = plain_job(kTn, rows, n, 0, gradient, gradient, gradient);
    job.has_products = false;
    job.accumulates = true;
    add_empty_segment(job);
    job.fraction[kPatchRows] = slots.f[gradient.slot];
    job.f_out[kPatchRows] = slots.f[gradient.slot];
    set_update(job, state, weight);
    const Scale scale = scale_of(slots, weight, false);
    const SgdUpdate update = sgd_update_of(mem0, hyperparameters.address, slots, gradient.slot, scale, average_shift, has_decay);
    gemm(mem0, mem1, mem2, job, update, panel, kept, held, slots);
}

}  // namespace peelvit

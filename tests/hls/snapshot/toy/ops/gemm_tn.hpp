// dw[i][j] (+)= sum_r dy[r][i] * x[r][j], patch rows and class rows summed apart; with BIAS also dbias[i] (+)= sum_r dy[r][i]. The gradients of a weight and of its bias. With UPDATE dw is not written: as sgd_update does, it updates the weight at once. LATER_PART: rows of a weight whose first rows were updated by an instruction before. SAME_X: x is that of the gemm_tn before, and nothing has written it since.
#pragma once

#include "../gemm/engine.hpp"

namespace peelvit {

inline void gemm_tn(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline  // so that the one engine is shared
    const Matrix dy = operand(in, 0);
    const Matrix x = operand(in, 1);
    const Matrix dw = operand(in, 2);
    const Matrix dbias = operand(in, 3);
    const Matrix state = operand(in, 4);
    const Matrix weight = operand(in, 5);
    const Matrix hyperparameters = operand(in, 6);
    const int rows = natural<10>(in.dimension[0]);
    const int split = natural<4>(in.dimension[1]);
    const int n = natural<13>(in.dimension[2]);
    const int k = natural<13>(in.dimension[3]);
    const bool has_accumulate = (in.flags & 1u) != 0;
    const bool has_bias = (in.flags & 2u) != 0;
    const bool has_update = (in.flags & 4u) != 0;
    const bool has_decay = (in.flags & 8u) != 0;
    const bool has_later_part = (in.flags & 16u) != 0;
    const bool has_same_x = (in.flags & 32u) != 0;
    const int average_shift = int(in.immediate[0]);

    GemmJob job = plain_job(kTn, n, k, split, dy, x, dw);
    const int f_patch = slots.f[dy.slot + kPatchRows] + slots.f[x.slot];
    const int f_class = slots.f[dy.slot + kClassRows] + slots.f[x.slot];
    const int common = split == 0 ? f_patch : (split == rows ? f_class : reference_fraction(f_patch, f_class));
    // A single class row is no segment: every sum would pass the epilogue once more for one product.
    job.adds_class_row = split == 1 && rows > 1 && !has_accumulate;
    // Patch rows first: class rows are one chunk, so sums of both never wait at once. A kind that has no rows is no segment.
    add_segment(job, split, rows - split);
    add_segment(job, 0, job.adds_class_row ? 0 : split);
    job.segment_shift[0][kPatchRows] = (split < rows ? f_patch : f_class) - common;
    job.segment_shift[1][kPatchRows] = f_class - common;
    job.may_have_columns = has_same_x;
    job.accumulates = has_accumulate;
    job.sums_rows = has_bias;
    job.bias = dbias;
    job.f_second = slots.f[x.slot];
    job.f_residual[kPatchRows] = f_class;
    job.f_bias = slots.f[dbias.slot];
    job.fraction[kPatchRows] = common;
    job.f_out[kPatchRows] = slots.f[dw.slot];
    SgdUpdate update = no_update();
    if (has_update) {
        set_update(job, state, weight);
        const Scale scale = scale_of(slots, weight, has_later_part);
        update = sgd_update_of(mem0, hyperparameters.address, slots, dw.slot, scale, average_shift, has_decay);
    }
    gemm(mem0, mem1, mem2, job, update, panel, kept, held, slots);
}

}  // namespace peelvit

// acc[i][j] = sum_k x[i][k] * w[j][k] + bias[j] + residual[i % period][j]; y = round(acc), or with GELU pre = round(acc), y = GELU(pre). A linear layer forward; with a residual of `period` rows patch embedding. The n columns are one part or three of `part` columns, between which `skipped` columns belong to others. SAME_X: x is what the instruction before read as x or, a layernorm, wrote as y, and nothing has written it since, so rows still on chip need not be read. NEXT_W: the first rows of next_w, of a gemm_nt behind, come on chip while the last sums are finished. LOADED_W: the instruction of this unit before has brought w, and nothing has written it since; of several parts, the first one's rows count.
#pragma once

#include "../gemm/engine.hpp"

namespace peelvit {

inline void gemm_nt(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline  // so that the one engine is shared
    const Matrix x = operand(in, 0);
    const Matrix w = operand(in, 1);
    const Matrix bias = operand(in, 2);
    const Matrix residual = operand(in, 3);
    const Matrix y = operand(in, 4);
    const Matrix pre = operand(in, 5);
    const Matrix next_w = operand(in, 6);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<4>(in.dimension[1]);
    const int n = natural<13>(in.dimension[2]);
    const int k = natural<10>(in.dimension[3]);
    const int period = natural<13>(in.dimension[4]);
    const int part = natural<13>(in.dimension[5]);
    const int skipped = natural<13>(in.dimension[6]);
    const int next_n = natural<13>(in.dimension[7]);
    const int next_k = natural<10>(in.dimension[8]);
    const bool has_bias = (in.flags & 1u) != 0;
    const bool has_residual = (in.flags & 2u) != 0;
    const bool has_gelu = (in.flags & 4u) != 0;
    const bool has_same_x = (in.flags & 8u) != 0;
    const bool has_next_w = (in.flags & 16u) != 0;
    const bool has_loaded_w = (in.flags & 32u) != 0;

    // Activations have one fraction for all rows.
    GemmJob job = plain_job(kNt, rows, part, 0, x, w, y);
    job.parts = n == part ? 1 : int(kColumnParts);
    job.between = skipped / (kColumnParts - 1);
    job.may_have_rows = has_same_x;
    job.may_have_columns = has_loaded_w;
    add_segment(job, 0, k);
    set_next(job, next_w, next_n, next_k);
    job.bias = bias;
    job.residual = residual;
    job.pre = pre;
    job.has_bias = has_bias;
    job.has_residual = has_residual;
    job.has_gelu = has_gelu;
    job.residual_period = period;
    job.fraction[kPatchRows] = slots.f[x.slot] + slots.f[w.slot];
    job.fraction[kClassRows] = job.fraction[kPatchRows];
    job.f_out[kPatchRows] = slots.f[y.slot];
    job.f_out[kClassRows] = job.f_out[kPatchRows];
    job.f_residual[kPatchRows] = slots.f[residual.slot];
    job.f_bias = slots.f[bias.slot];
    job.f_pre = slots.f[pre.slot];
    gemm(mem0, mem1, mem2, job, no_update(), panel, kept, held, slots);
}

}  // namespace peelvit

// acc[i][j] = sum_k dy[i][k] * w[k][j], each of the `segments` equal parts of k with its own fraction; with GELU_BACKWARD times GELU'(pre[i][j]); + residual[i][j]; dx = round(acc). A linear layer's input gradient. SAME_DY: dy is what the instruction before, a layernorm_backward, wrote as dx. NEXT_W and LOADED_W as in gemm_nt, for a gemm_nn behind: next_w are the rows of its first segment.
#pragma once

#include "../gemm/engine.hpp"

namespace peelvit {

inline void gemm_nn(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, KeptColumns& kept, Held& held, Slots& slots) {
#pragma HLS inline  // so that the one engine is shared
    const Matrix dy = operand(in, 0);
    const Matrix w = operand(in, 1);
    const Matrix residual = operand(in, 2);
    const Matrix pre = operand(in, 3);
    const Matrix dx = operand(in, 4);
    const Matrix next_w = operand(in, 5);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<4>(in.dimension[1]);
    const int n = natural<13>(in.dimension[2]);
    const int k = natural<10>(in.dimension[3]);
    const int segments = natural<2>(in.dimension[4]);
    const int next_n = natural<13>(in.dimension[5]);
    const int next_k = natural<10>(in.dimension[6]);
    const bool has_residual = (in.flags & 1u) != 0;
    const bool has_gelu_backward = (in.flags & 2u) != 0;
    const bool has_same_dy = (in.flags & 4u) != 0;
    const bool has_next_w = (in.flags & 8u) != 0;
    const bool has_loaded_w = (in.flags & 16u) != 0;

    GemmJob job = plain_job(kNn, rows, n, split, dy, w, dx);
    const int length = segments == 3 ? k / 3 : k;
segments:
    for (int segment = 0; segment < 3; ++segment) {
        add_segment(job, segment * length, segment < segments ? length : 0);
    }
    job.may_have_rows = has_same_dy;
    job.may_have_columns = has_loaded_w;
    set_next(job, next_w, next_n, next_k);
    job.residual = residual;
    job.pre = pre;
    job.has_residual = has_residual;
    job.has_gelu_backward = has_gelu_backward;
    job.f_pre = slots.f[pre.slot];
    const int slope_bits = has_gelu_backward ? 16 : 0;
groups:
    for (int group = 0; group < 2; ++group) {
        // With one segment the further slots may not exist.
        const int f0 = slots.f[dy.slot + group] + slots.f[w.slot];
        const int f1 = segments == 3 ? slots.f[dy.slot + 2 + group] + slots.f[w.slot] : f0;
        const int f2 = segments == 3 ? slots.f[dy.slot + 4 + group] + slots.f[w.slot] : f0;
        const int common = reference_fraction(f0, f1, f2);
        job.segment_shift[0][group] = f0 - common;
        job.segment_shift[1][group] = f1 - common;
        job.segment_shift[2][group] = f2 - common;
        job.fraction[group] = common + slope_bits;
        job.slot[group] = dx.slot + group;
        job.f_out[group] = slots.f[dx.slot + group];
        job.f_residual[group] = has_residual ? slots.f[residual.slot + group] : 0;
    }
    gemm(mem0, mem1, mem2, job, no_update(), panel, kept, held, slots);
}

}  // namespace peelvit

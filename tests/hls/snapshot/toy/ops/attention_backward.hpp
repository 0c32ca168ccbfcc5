// per image and head, with the stored p: dp = dy v^T, ds = p * (dp - sum_j p dp), dq = scale ds k, dk = scale ds^T q, dv = p^T dy.
#pragma once

#include "../attention/unit.hpp"

namespace peelvit {

inline AttentionJob attention_backward(const Instruction& in, const Slots& slots) {
    const Matrix qkv = operand(in, 0);
    const Matrix keys = operand(in, 1);
    const Matrix probability = operand(in, 2);
    const Matrix dy = operand(in, 3);
    const Matrix dscore = operand(in, 4);
    const Matrix dqkv = operand(in, 5);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int heads = natural<3>(in.dimension[2]);
    const int head_dim = natural<6>(in.dimension[3]);
    const int key_count = natural<7>(in.dimension[4]);
    const int queries = natural<7>(in.dimension[5]);
    const bool has_sparse = (in.flags & 1u) != 0;
    const int gradient_mantissa = int(in.immediate[0]);
    const int gradient_shift = int(in.immediate[1]);

    const int scale = gradient_mantissa & 0x1FFFF;
    AttentionJob job = attention_job(batch, patches, heads, head_dim, key_count, queries, scale, has_sparse, qkv, keys, probability,
                                     dqkv, slots);
    job.backward = true;
    job.first_pass = kScoreGradients;
    job.passes = 2;
    job.dscore = dscore;
    job.dy = dy;
    job.gradient_shift = gradient_shift;
    i16 f_key[2];
    i16 f_value[2];
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        job.f_dy[kind] = slots.f[dy.slot + kind];
        job.f_dscore[kind] = slots.f[dscore.slot + kind];
        job.f_out[kind] = slots.f[dqkv.slot + kind];
        job.f_dkey[kind] = slots.f[dqkv.slot + 2 + kind];
        job.f_dvalue[kind] = slots.f[dqkv.slot + 4 + kind];
        f_key[kind] = i16(job.f_dscore[kind] + job.f_qkv);
        f_value[kind] = i16(job.f_probability + job.f_dy[kind]);
    }
    // Without patch queries the class query's sum is the whole one.
    const bool only_class = queries == 1;
    const int common_key = only_class ? int(f_key[kClassQuery]) : reference_fraction(f_key[kPatchQuery], f_key[kClassQuery]);
    const int common_value =
        only_class ? int(f_value[kClassQuery]) : reference_fraction(f_value[kPatchQuery], f_value[kClassQuery]);
    job.dkey_fraction = common_key + gradient_shift;
    job.dvalue_fraction = common_value;
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        job.dkey_shift[kind] = narrow<11>(f_key[kind] - common_key);
        job.dvalue_shift[kind] = narrow<11>(f_value[kind] - common_value);
    }
    return job;
}

inline void record_attention_backward(const Instruction& in, const AttentionJob& job, const AttentionStatistics& statistics,
                                      Slots& slots) {
    const Matrix dscore = operand(in, 4);
    const Matrix dqkv = operand(in, 5);

    for (int kind = 0; kind < 2; ++kind) {
        const int f_value = job.f_probability + job.f_dy[kind];
        record(slots, dscore.slot + kind, statistics.score[kind], narrow<11>(f_value + job.f_qkv));
        record(slots, dqkv.slot + kind, statistics.rows[0][kind], job.f_dscore[kind] + job.f_qkv + job.gradient_shift);
        record(slots, dqkv.slot + 2 + kind, statistics.rows[1][kind], job.dkey_fraction);
        record(slots, dqkv.slot + 4 + kind, statistics.rows[2][kind], job.dvalue_fraction);
    }
}

}  // namespace peelvit

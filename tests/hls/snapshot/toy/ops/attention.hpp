// per image and head: p = softmax(q k^T), y = p v; with SPARSE a patch query reads the class key and its `key_count` listed patch keys; with MAP probabilities of the first `map_rows` queries are summed over heads. Queries may be some of each image's that follow each other: `count` from the `first` on; rows of others stay. Images may be some of a batch that follow each other: `gap` rows of others lie between class and patch rows. Heads may be some of a model: `skipped` columns of others lie between queries, keys and values. SCORES makes p (and the map) of q and k, VALUES makes y of p and v; without SCORES p is the stored `probability`.
#pragma once

#include "../attention/unit.hpp"

namespace peelvit {

inline AttentionJob attention(const Instruction& in, const Slots& slots) {
    const Matrix qkv = operand(in, 0);
    const Matrix keys = operand(in, 1);
    const Matrix probability = operand(in, 2);
    const Matrix y = operand(in, 3);
    const Matrix map = operand(in, 4);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int heads = natural<3>(in.dimension[2]);
    const int head_dim = natural<6>(in.dimension[3]);
    const int key_count = natural<7>(in.dimension[4]);
    const int queries = natural<7>(in.dimension[5]);
    const int first = natural<7>(in.dimension[6]);
    const int count = natural<7>(in.dimension[7]);
    const int map_rows = natural<7>(in.dimension[8]);
    const int gap = natural<13>(in.dimension[9]);
    const int skipped = natural<13>(in.dimension[10]);
    const bool has_sparse = (in.flags & 1u) != 0;
    const bool has_map = (in.flags & 2u) != 0;
    const bool has_scores = (in.flags & 4u) != 0;
    const bool has_values = (in.flags & 8u) != 0;
    const int scale = int(in.immediate[0]);

    AttentionJob job = attention_job(batch, patches, heads, head_dim, key_count, queries, scale, has_sparse, qkv, keys, probability,
                                     y, slots);
    job.first_pass = has_scores ? kScores : kValues;
    job.passes = has_scores && has_values ? 2 : 1;
    ask(job, first, count);
    job.gap = gap;
    job.part_words += skipped / (2 * kLanes);
    job.has_map = has_map;
    job.map_rows = map_rows;
    job.map = map;
    return job;
}

inline void record_attention(const Instruction& in, const AttentionJob& job, const AttentionStatistics& statistics, Slots& slots) {
    const Matrix probability = operand(in, 2);
    const Matrix y = operand(in, 3);

    const int fraction = job.f_probability + job.f_qkv;
    record(slots, probability.slot, statistics.score[kPatchQuery], kProbabilityBits);
    record(slots, probability.slot, statistics.score[kClassQuery], kProbabilityBits);
    record(slots, y.slot, statistics.rows[0][kPatchQuery], fraction);
    record(slots, y.slot, statistics.rows[0][kClassQuery], fraction);
}

}  // namespace peelvit

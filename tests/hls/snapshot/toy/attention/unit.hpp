// The attention unit: softmax(q k^T) v and its gradients over all keys or listed ones, as passes over one array of
// multipliers; probabilities and gradients of scores go through memory from one pass to the next.
//
//   for image, for pass, for head, for block of kQueryBlock queries       one dataflow loop:
//     next_block    the block, and which head comes next
//     load          its rows and lists; a share of the rows that the next head keeps on chip
//     spread        gradients of keys and values: rows by position become rows by token
//     multiply      scores s = q k^T | values y = p v |
//                   score gradients dp = dy v^T | dq = ds k | value gradients dv = p^T dy | key gradients dk = ds^T q
//     terms         e = exp(s - max) and their sum | p dp and their sum
//     divide        1 / sum | the mean
//     values        p = round(e / sum) | ds = round(p (dp - mean))
//     add_to_map    p to the map of the heads
//     store_results p or ds, the map, y, dq, dk, dv
//
// The backward passes read the stored probabilities: two words a cycle cost less than computing them again.
#pragma once

#include "../slots.hpp"
#include "load.hpp"
#include "map.hpp"
#include "multiply.hpp"
#include "softmax.hpp"
#include "spread.hpp"
#include "store.hpp"

namespace peelvit {

struct AttentionStatistics {
    Statistics probability;
    Statistics dscore[2];
    RowStatistics rows;
};

inline void attention_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const AttentionJob& job, int blocks,
                             AttentionPlace& place, KeyLists& lists,
                             word_t (&kept)[2 * kMaxTokens][kHeadWords],
                             acc_t (&gradient)[2 * kKeyRows][kMaxHeadDim], ClassQuery (&class_query)[2],
                             i32 (&map)[kQueryBlocks * kGroups * kMaxTokens][kLaneCount], Statistics& probability,
                             Statistics (&dscore)[2], RowStatistics& row_statistics) {
#pragma HLS inline off
attention_blocks:
    for (int block = 0; block < blocks; ++block) {
#pragma HLS loop_tripcount max = 1419
        DATAFLOW(block == 0);
        int pass, image, head, first, buffer, next_part, next_image, next_head;
        int out_pass, out_image, out_head, out_first;
        QueryBlock loaded;
        QueryVectors vectors;
        NextRows next_rows;
        word_t own[kGroups][kLaneCount][kHeadWords];
        word_t matrix[kBlockWords16][kLaneCount];
        word_t list[kBlockWords16][kLaneCount];
        SpreadRows weights;
        Products products;
        i16 token_of[kBlockSteps][kLaneCount];
        Sums sums;
        Terms term;
        wide_t sum[kGroups][kLaneCount];
        wide_t ratio[kGroups][kLaneCount];
        LaneWords rows;
        i16 for_map[kBlockSteps][kLaneCount];
        HeadMapRows map_rows;
#pragma HLS array_partition variable = loaded.own type = complete dim = 1
#pragma HLS array_partition variable = loaded.own type = complete dim = 3
#pragma HLS array_partition variable = loaded.own type = complete dim = 4
#pragma HLS array_partition variable = loaded.matrix type = complete dim = 1
#pragma HLS array_partition variable = loaded.matrix type = complete dim = 3
#pragma HLS array_partition variable = loaded.list type = complete dim = 1
#pragma HLS array_partition variable = loaded.list type = complete dim = 3
#pragma HLS array_partition variable = vectors type = complete dim = 1
#pragma HLS array_partition variable = vectors type = complete dim = 3
#pragma HLS array_partition variable = next_rows type = complete dim = 1
#pragma HLS array_partition variable = next_rows type = complete dim = 3
#pragma HLS array_partition variable = own type = complete dim = 2
#pragma HLS array_partition variable = own type = complete dim = 3
#pragma HLS array_partition variable = matrix type = complete dim = 2
#pragma HLS array_partition variable = list type = complete dim = 2
#pragma HLS array_partition variable = weights type = complete dim = 1
#pragma HLS array_partition variable = weights type = complete dim = 3
#pragma HLS bind_storage variable = weights type = ram_s2p impl = lutram
#pragma HLS array_reshape variable = products.value type = complete dim = 2
#pragma HLS array_reshape variable = products.weight type = complete dim = 2
#pragma HLS array_partition variable = products.largest type = complete dim = 2
#pragma HLS array_reshape variable = token_of type = complete dim = 2
#pragma HLS array_partition variable = sums.row type = complete dim = 1
#pragma HLS array_reshape variable = sums.row type = complete dim = 3
#pragma HLS bind_storage variable = sums.row type = ram_s2p impl = lutram
#pragma HLS array_partition variable = sums.class_query.weight type = complete
#pragma HLS array_partition variable = sums.class_query.row type = complete
#pragma HLS array_reshape variable = term.value type = complete dim = 2
#pragma HLS array_reshape variable = term.weight type = complete dim = 2
#pragma HLS array_partition variable = sum type = complete dim = 2
#pragma HLS array_partition variable = ratio type = complete dim = 2
#pragma HLS array_partition variable = rows type = complete dim = 1
#pragma HLS array_partition variable = rows type = complete dim = 3
#pragma HLS array_reshape variable = for_map type = complete dim = 2
#pragma HLS array_partition variable = map_rows type = complete dim = 1
#pragma HLS array_partition variable = map_rows type = complete dim = 3
// A channel that skips processes holds a block for each of them, so that all of them overlap.
#pragma HLS stream variable = vectors type = pipo depth = 3
#pragma HLS stream variable = next_rows type = pipo depth = 3
#pragma HLS stream variable = token_of type = pipo depth = 5
#pragma HLS stream variable = sums type = pipo depth = 2
#pragma HLS stream variable = term type = pipo depth = 3
#pragma HLS stream variable = rows type = pipo depth = 3
        PROCESS(next_block(job, place, pass, image, head, first, buffer, next_part, next_image, next_head, out_pass,
                           out_image, out_head, out_first));
        PROCESS(load(mem0, mem1, mem2, job, pass, image, head, first, next_part, next_image, next_head, lists, loaded,
                     vectors, next_rows));
        PROCESS(spread(job, pass, first, loaded, own, matrix, list, weights));
        COMPUTE(multiply(job, pass, first, buffer, next_part, out_pass, out_first, own, matrix, list, weights, vectors,
                         next_rows, kept, gradient, class_query, products, token_of, sums));
        PROCESS(terms(job, pass, first, products, term, sum));
        PROCESS(divide(job, pass, first, sum, ratio));
        PROCESS(values(job, pass, first, term, ratio, rows, for_map, probability, dscore));
        PROCESS(add_to_map(job, pass, head, first, token_of, for_map, map, map_rows));
        PROCESS(store_results(mem0, mem1, mem2, job, pass, image, head, first, out_pass, out_image, out_head, out_first,
                              rows, map_rows, sums, row_statistics));
    }
}

// Run a job whose shapes, places and fractions are set.
inline AttentionStatistics attend(word_t* mem0, word_t* mem1, word_t* mem2, const AttentionJob& job) {
#pragma HLS inline off
    KeyLists lists;
    word_t kept[2 * kMaxTokens][kHeadWords];
    acc_t gradient[2 * kKeyRows][kMaxHeadDim];
    ClassQuery class_query[2];
    i32 map[kQueryBlocks * kGroups * kMaxTokens][kLaneCount];
#pragma HLS array_partition variable = lists type = complete dim = 1
#pragma HLS array_partition variable = lists type = complete dim = 3
#pragma HLS array_partition variable = kept type = complete dim = 2
#pragma HLS bind_storage variable = kept type = ram_1wnr impl = bram
#pragma HLS array_reshape variable = gradient type = complete dim = 2
#pragma HLS bind_storage variable = gradient type = ram_s2p impl = bram
#pragma HLS array_partition variable = class_query.weight type = complete dim = 0
#pragma HLS array_partition variable = class_query.row type = complete dim = 0
#pragma HLS array_partition variable = map type = complete dim = 2
    AttentionStatistics statistics;
    statistics.probability = no_statistics();
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        statistics.dscore[kind] = no_statistics();
        for (int part = 0; part < 3; ++part) {
#pragma HLS unroll
            statistics.rows[part][kind] = no_statistics();
        }
    }
    AttentionPlace place = first_place();
    load_first_unit(mem0, mem1, mem2, job, kept);
    const int head_blocks = (job.tokens + kQueryBlock - 1) / kQueryBlock;
    const int blocks = job.batch * job.passes * job.pass_blocks + (job.backward ? head_blocks : 0);
    attention_blocks(mem0, mem1, mem2, job, blocks, place, lists, kept, gradient, class_query, map, statistics.probability,
                     statistics.dscore, statistics.rows);
    return statistics;
}

// What both directions have in common.
inline AttentionJob attention_job(int batch, int patches, int heads, int head_dim, int key_count, int queries,
                                  bool sparse, const Matrix& qkv, const Matrix& keys,
                                  const Matrix& probability, const Matrix& out, const Slots& slots) {
    AttentionJob job;
    job.backward = false;
    job.sparse = sparse;
    job.has_map = false;
    job.batch = batch;
    job.patches = patches;
    job.tokens = 1 + patches;
    job.heads = heads;
    job.head_words = head_dim / kLanes;
    job.key_count = key_count;
    job.queries = queries;
    job.map_rows = 0;
    job.class_keys = job.tokens;
    job.patch_keys = sparse ? key_count + 1 : job.tokens;
    job.passes = 2;
    job.pass_blocks = larger(heads * ((job.tokens + kQueryBlock - 1) / kQueryBlock), kLead);
    job.scale = 0;
    job.gradient_mantissa = 1;
    job.gradient_shift = 0;
    job.qkv = qkv;
    job.keys = keys;
    job.probability = probability;
    job.dscore = probability;
    job.dy = qkv;
    job.out = out;
    job.map = out;
    job.f_qkv = slots.f[qkv.slot];
    job.f_probability = slots.f[probability.slot];
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        job.f_dy[kind] = 0;
        job.f_dscore[kind] = 0;
        job.f_out[kind] = slots.f[out.slot];
        job.f_dkey[kind] = 0;
        job.f_dvalue[kind] = 0;
        job.dkey_shift[kind] = 0;
        job.dvalue_shift[kind] = 0;
    }
    job.dkey_fraction = 0;
    job.dvalue_fraction = 0;
    return job;
}

}  // namespace peelvit

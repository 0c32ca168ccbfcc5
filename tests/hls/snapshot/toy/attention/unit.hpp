// The attention unit: softmax(q k^T) v and its gradients, one (image, head) after the other, over all keys or
// listed ones.
//
//   for unit = (image, head), for block of kQueryBlock queries       one dataflow loop:
//     load_rows        rows of q (and dy) of the block; a share of the next unit's rows of k and v
//     load_keys        key lists of the block's queries
//     sort_keys        backward: listed keys by the bank that holds their sums
//     scores           s = q k^T, the largest s of a query; backward also dp = dy v^T           first pool
//     exponentials     e = exp(s - max) and their sum
//     reciprocals      1 / sum
//     probabilities    p = round(e / sum); backward also sum_j p dp
//     score_gradients  backward: ds = round(p (dp - sum))
//     weighted_sums    y = p v; backward: dq = ds k, dv += p dy, dk += ds q                     second pool
//     finish           rounds and stores y or dq; adds p to the map of the heads
#pragma once

#include "../slots.hpp"
#include "load.hpp"
#include "products.hpp"
#include "softmax.hpp"
#include "store.hpp"

namespace peelvit {

struct AttentionStatistics {
    Statistics probability;
    Statistics dscore[2];
    Statistics out[2];
    Statistics dkey[2];
    Statistics dvalue[2];
};

inline void attention_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const AttentionJob& job, int blocks,
                             AttentionPlace& place, word_t (&key_rows)[2 * kMaxTokens][kHeadWords],
                             word_t (&value_rows)[2 * kMaxTokens][kHeadWords],
                             word_t (&gathered)[2 * kMaxTokens][kHeadWords],
                             acc_t (&gradient)[2 * kKeySteps][kPoolLanes][kMaxHeadDim], ClassQuery& class_query,
                             word_t (&map)[kMaxTokens][kMapWords], Statistics& probability_statistics,
                             Statistics (&dscore_statistics)[2], Statistics (&out)[2], Statistics (&dkey)[2],
                             Statistics (&dvalue)[2]) {
#pragma HLS inline off
attention_blocks:
    for (int block = 0; block < blocks; ++block) {
#pragma HLS loop_tripcount max = 352
        DATAFLOW(block == 0);
        int image, head, first, buffer, next_image, next_head;
        RowBlock rows_for_scores;
        RowBlock rows_for_sums;
        word_t keys_for_scores[kQueryBlock][kKeyWords];
        word_t keys_for_banks[kQueryBlock][kKeyWords];
        word_t keys_for_sums[kQueryBlock][kKeyWords];
        word_t keys_for_map[kQueryBlock][kKeyWords];
        KeyBanks banks;
        acc_t score[kBlockSteps][kPoolLanes];
        acc_t largest[kQueryBlock];
        acc_t dp[kBlockSteps][kPoolLanes];
        acc_t dp_on[kBlockSteps][kPoolLanes];
        u32 exponential_of[kBlockSteps][kPoolLanes];
        wide_t sum[kQueryBlock];
        u32 inverse[kQueryBlock];
        wide_t p_dp[kQueryBlock];
        i16 probability[kBlockSteps][kPoolLanes];
        i16 probability_for_sums[kBlockSteps][kPoolLanes];
        i16 probability_for_map[kBlockSteps][kPoolLanes];
        i16 dscore[kBlockSteps][kPoolLanes];
        acc_t sums[kQueryBlock][kMaxHeadDim];
#pragma HLS array_partition variable = rows_for_scores.query type = complete dim = 2
#pragma HLS array_partition variable = rows_for_scores.dy type = complete dim = 2
#pragma HLS array_partition variable = rows_for_scores.key type = complete dim = 2
#pragma HLS array_partition variable = rows_for_scores.value type = complete dim = 2
#pragma HLS array_partition variable = rows_for_sums.query type = complete dim = 2
#pragma HLS array_partition variable = rows_for_sums.dy type = complete dim = 2
#pragma HLS array_partition variable = rows_for_sums.key type = complete dim = 2
#pragma HLS array_partition variable = rows_for_sums.value type = complete dim = 2
#pragma HLS bind_storage variable = keys_for_scores type = ram_1wnr impl = bram
#pragma HLS bind_storage variable = keys_for_sums type = ram_1wnr impl = bram
#pragma HLS array_partition variable = banks.row type = complete dim = 2
#pragma HLS array_partition variable = banks.position type = complete dim = 2
#pragma HLS array_partition variable = banks.used type = complete dim = 2
#pragma HLS array_partition variable = score type = complete dim = 2
#pragma HLS array_partition variable = dp type = complete dim = 2
#pragma HLS array_partition variable = dp_on type = complete dim = 2
#pragma HLS array_partition variable = exponential_of type = complete dim = 2
#pragma HLS array_partition variable = probability type = complete dim = 2
#pragma HLS array_reshape variable = probability_for_sums type = complete dim = 2
#pragma HLS array_reshape variable = probability_for_map type = complete dim = 2
#pragma HLS array_reshape variable = dscore type = complete dim = 2
#pragma HLS bind_storage variable = probability_for_sums type = ram_1wnr impl = bram
#pragma HLS bind_storage variable = probability_for_map type = ram_1wnr impl = bram
#pragma HLS bind_storage variable = dscore type = ram_1wnr impl = bram
#pragma HLS array_partition variable = sums type = complete dim = 2
// A channel that skips processes holds a block for each of them, so that all of them overlap.
#pragma HLS stream variable = rows_for_sums type = pipo depth = 7
#pragma HLS stream variable = keys_for_sums type = pipo depth = 7
#pragma HLS stream variable = keys_for_map type = pipo depth = 8
#pragma HLS stream variable = banks type = pipo depth = 6
#pragma HLS stream variable = dp type = pipo depth = 4
#pragma HLS stream variable = exponential_of type = pipo depth = 3
#pragma HLS stream variable = probability_for_map type = pipo depth = 3
        PROCESS(next_block(job, place, image, head, first, buffer, next_image, next_head));
        PROCESS(load_rows(mem0, mem1, job, image, head, first, next_image, next_head, rows_for_scores, rows_for_sums));
        PROCESS(load_keys(mem2, job, image, first, keys_for_scores, keys_for_banks, keys_for_sums, keys_for_map));
        PROCESS(sort_keys(job, first, keys_for_banks, banks));
        COMPUTE(
            scores(job, first, buffer, rows_for_scores, keys_for_scores, key_rows, value_rows, score, largest, dp));
        PROCESS(exponentials(job, first, score, largest, exponential_of, sum));
        PROCESS(reciprocals(job, first, sum, inverse));
        PROCESS(
            probabilities(job, first, exponential_of, inverse, dp, probability, dp_on, p_dp, probability_statistics));
        PROCESS(score_gradients(job, first, probability, dp_on, p_dp, probability_for_sums, probability_for_map, dscore,
                                dscore_statistics));
        COMPUTE(weighted_sums(mem1, mem2, job, image, head, first, buffer, rows_for_sums, keys_for_sums, banks,
                              probability_for_sums, dscore, sums, gathered, gradient, class_query, dkey, dvalue));
        PROCESS(finish(mem0, job, image, head, first, sums, keys_for_map, probability_for_map, map, out));
    }
}

inline void clear_gradient(acc_t (&gradient)[2 * kKeySteps][kPoolLanes][kMaxHeadDim]) {
#pragma HLS inline off
clear_gradient:
    for (int entry = 0; entry < 2 * kKeySteps; ++entry) {
        PIPELINE(entry == 0, 1, 2);
        for (int lane = 0; lane < kPoolLanes; ++lane) {
#pragma HLS unroll
            for (int d = 0; d < kMaxHeadDim; ++d) {
#pragma HLS unroll
                gradient[entry][lane][d] = 0;
            }
        }
    }
}

// Run a job whose shapes, places and fractions are set.
inline AttentionStatistics attend(word_t* mem0, word_t* mem1, word_t* mem2, const AttentionJob& job) {
#pragma HLS inline off
    word_t key_rows[2 * kMaxTokens][kHeadWords];
    word_t value_rows[2 * kMaxTokens][kHeadWords];
    word_t gathered[2 * kMaxTokens][kHeadWords];
    acc_t gradient[2 * kKeySteps][kPoolLanes][kMaxHeadDim];
    word_t map[kMaxTokens][kMapWords];
    ClassQuery class_query;
#pragma HLS array_partition variable = key_rows type = complete dim = 2
#pragma HLS array_partition variable = value_rows type = complete dim = 2
#pragma HLS array_partition variable = gathered type = complete dim = 2
#pragma HLS bind_storage variable = key_rows type = ram_1wnr impl = bram
#pragma HLS bind_storage variable = value_rows type = ram_1wnr impl = bram
#pragma HLS bind_storage variable = gathered type = ram_1wnr impl = bram
#pragma HLS array_partition variable = gradient type = complete dim = 2
#pragma HLS array_partition variable = gradient type = complete dim = 3
#pragma HLS bind_storage variable = gradient type = ram_s2p impl = lutram
#pragma HLS array_partition variable = class_query.probability type = complete dim = 2
#pragma HLS array_partition variable = class_query.dscore type = complete dim = 2
    AttentionStatistics statistics;
    statistics.probability = no_statistics();
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        statistics.dscore[kind] = no_statistics();
        statistics.out[kind] = no_statistics();
        statistics.dkey[kind] = no_statistics();
        statistics.dvalue[kind] = no_statistics();
    }
    AttentionPlace place;
    place.image = 0;
    place.head = 0;
    place.first = 0;
    place.buffer = 0;
    if (job.backward) clear_gradient(gradient);
    load_first_unit(mem0, mem1, job, key_rows, value_rows, gathered);
    const int blocks = job.batch * job.heads * ((job.tokens + kQueryBlock - 1) / kQueryBlock);
    attention_blocks(mem0, mem1, mem2, job, blocks, place, key_rows, value_rows, gathered, gradient, class_query, map,
                     statistics.probability, statistics.dscore, statistics.out, statistics.dkey, statistics.dvalue);
    return statistics;
}

// What both directions have in common.
inline AttentionJob attention_job(int batch, int patches, int heads, int head_dim, int key_count, int queries,
                                  bool sparse, int scale, const Matrix& qkv, const Matrix& keys,
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
    job.class_steps = (job.class_keys + kPoolLanes - 1) / kPoolLanes;
    job.patch_steps = (job.patch_keys + kPoolLanes - 1) / kPoolLanes;
    job.scale = scale;
    job.gradient_mantissa = 1;
    job.gradient_shift = 0;
    job.qkv = qkv;
    job.keys = keys;
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

// The attention unit: softmax(q k^T) v and its gradients over all keys or listed ones, as passes over one array of
// multipliers; probabilities and gradients of scores go through memory from one pass to the next.
//
//   for image, for pass, for head, for block of kQueryBlock queries       one dataflow loop (backward: for image, for
//                                                                         pair of passes, for head, for block, for pass):
//     next_block    the block, the one after it, which head comes next
//     load          a port each: rows and lists, rows of the block after and of the next head
//     spread        rows by port become rows by lane; for gradients of keys and values by token
//     multiply      scores s = q k^T | values y = p v |
//                   score gradients dp = dy v^T | dq = ds k | value gradients dv = p^T dy | key gradients dk = ds^T q
//     terms         e = exp(s - max) and their sum | p dp and their sum
//     divide        1 / sum | the mean
//     values        p = round(e / sum) | ds = round(p (dp - mean))
//     add_to_map    p to the map of the heads
//     round_sums    y, dq, dk, dv as elements
//     store_block   a port each: p or ds, the map, y, dq, dk, dv
//
// The backward passes read the stored probabilities: two words a cycle cost less than computing them again.
#pragma once

#include "../slots.hpp"
#include "load.hpp"
#include "map.hpp"
#include "multiply.hpp"
#include "place.hpp"
#include "round.hpp"
#include "softmax.hpp"
#include "spread.hpp"
#include "store.hpp"

namespace peelvit {

struct AttentionStatistics {
    Statistics score[2];  // of probabilities or of gradients of scores, by kind of query
    RowStatistics rows;
};

inline void attention_blocks(word_t* mem3, word_t* mem4, const AttentionJob& job, int blocks,
                             AttentionPlace& place, KeyLists& lists0, KeyLists& lists1, MatrixRows& held0,
                             MatrixRows& held1, OwnRows& own, KeptRows& kept, KeySums& gradient,
                             ClassQuery& class_query, AttentionMap& map,
                             Statistics (&score)[2], RowStatistics& row_statistics) {
#pragma HLS inline off
attention_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 1419
        DATAFLOW(b == 0);
        Block block;
        ComingWords coming0, coming1;
        LoadedRows loaded0, loaded1;
        LaneWeights weights;
        LaneTokens tokens;
        LaneMarks marks;
        Products products;
        token_t token_of[kBlockSteps][kLaneCount];
        Sums sums;
        Terms term;
        wide_t sum[kGroups][kLaneCount];
        dot_t ratio[kGroups][kLaneCount];
        HalfRows rows0, rows1;
        i16 for_map[kBlockSteps][kLaneCount];
        HalfMapRows map_rows0, map_rows1;
        HalfSums rounded0, rounded1;
#pragma HLS stream variable = coming0 type = fifo depth = 256
#pragma HLS array_reshape variable = loaded0.list type = complete dim = 2
#pragma HLS bind_storage variable = loaded0.matrix type = ram_s2p impl = lutram
#pragma HLS stream variable = coming1 type = fifo depth = 256
#pragma HLS array_reshape variable = loaded1.list type = complete dim = 2
#pragma HLS bind_storage variable = loaded1.matrix type = ram_s2p impl = lutram
#pragma HLS array_partition variable = weights type = complete dim = 1
#pragma HLS array_reshape variable = tokens type = complete dim = 2
#pragma HLS array_partition variable = marks type = complete dim = 1
#pragma HLS array_reshape variable = products.value type = complete dim = 2
#pragma HLS array_reshape variable = products.weight type = complete dim = 2
#pragma HLS array_partition variable = products.largest type = complete dim = 0
#pragma HLS array_reshape variable = token_of type = complete dim = 2
#pragma HLS array_reshape variable = sums.part type = complete dim = 2
#pragma HLS bind_storage variable = sums.part type = ram_s2p impl = lutram
#pragma HLS array_partition variable = sums.class_row type = complete
#pragma HLS array_reshape variable = term.value type = complete dim = 2
#pragma HLS array_reshape variable = term.weight type = complete dim = 2
#pragma HLS array_partition variable = sum type = complete dim = 0
#pragma HLS array_partition variable = ratio type = complete dim = 0
#pragma HLS array_reshape variable = for_map type = complete dim = 2
#pragma HLS bind_storage variable = rows0 type = ram_s2p impl = lutram
#pragma HLS array_reshape variable = map_rows0 type = complete dim = 2
#pragma HLS stream variable = rounded0 type = fifo depth = 512
#pragma HLS bind_storage variable = rows1 type = ram_s2p impl = lutram
#pragma HLS array_reshape variable = map_rows1 type = complete dim = 2
#pragma HLS stream variable = rounded1 type = fifo depth = 512
// A channel that skips processes holds a block for each of them, so that all of them overlap.
#pragma HLS stream variable = token_of type = pipo depth = 5
// A block that takes the lanes longer to spread than to multiply may come behind one with few queries.
#pragma HLS stream variable = weights type = pipo depth = 3
#pragma HLS stream variable = tokens type = pipo depth = 3
#pragma HLS stream variable = marks type = pipo depth = 3
#pragma HLS stream variable = sums type = pipo depth = 2
#pragma HLS stream variable = term type = pipo depth = 3
#pragma HLS stream variable = rows0 type = pipo depth = 3
#pragma HLS stream variable = rows1 type = pipo depth = 3
        PROCESS(next_block(job, place, block));
        PROCESS(load<0>(mem3, job, block, lists0, held0, coming0, loaded0));
        BESIDE(load<1>(mem4, job, block, lists1, held1, coming1, loaded1));
        AHEAD(spread(job, block, loaded0, loaded1, weights, tokens, marks), kSpreadBlocks);
        COMPUTE(multiply(job, block, weights, tokens, marks, coming0, coming1, own, kept, gradient,
                         class_query, products, token_of, sums));
        PROCESS(terms(job, block, products, term, sum));
        PROCESS(divide(job, block, sum, ratio));
        PROCESS(values(job, block, term, ratio, rows0, rows1, for_map, score));
        PROCESS(add_to_map(job, block, token_of, for_map, map, map_rows0, map_rows1));
        PROCESS(round_sums(job, block, sums, rounded0, rounded1, row_statistics));
        PROCESS(store_block<0>(mem3, job, block, rows0, map_rows0, rounded0));
        BESIDE(store_block<1>(mem4, job, block, rows1, map_rows1, rounded1));
    }
}

// Run a job whose shapes, places and fractions are set.
inline void attend(word_t* mem3, word_t* mem4, const AttentionJob& job, AttentionStatistics& statistics) {
#pragma HLS inline off
    KeyLists lists0, lists1;
    MatrixRows held0, held1;
    OwnRows own;
    KeptRows kept;
    KeySums gradient;
    ClassQuery class_query;
    AttentionMap map;
#pragma HLS array_reshape variable = lists0 type = complete dim = 2
#pragma HLS bind_storage variable = lists0 type = ram_s2p impl = bram
#pragma HLS array_reshape variable = lists1 type = complete dim = 2
#pragma HLS bind_storage variable = lists1 type = ram_s2p impl = bram
#pragma HLS array_partition variable = own type = complete dim = 2
#pragma HLS array_partition variable = kept type = complete dim = 2
#pragma HLS bind_storage variable = kept type = ram_1wnr impl = bram
#pragma HLS array_reshape variable = gradient type = complete dim = 2
#pragma HLS bind_storage variable = gradient type = ram_s2p impl = bram
#pragma HLS array_reshape variable = class_query.weight type = complete dim = 2
#pragma HLS array_partition variable = class_query.row type = complete dim = 0
#pragma HLS array_partition variable = map type = complete dim = 2
#pragma HLS bind_storage variable = map type = ram_s2p impl = bram
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        statistics.score[kind] = no_statistics();
        for (int part = 0; part < 3; ++part) {
#pragma HLS unroll
            statistics.rows[part][kind] = no_statistics();
        }
    }
    AttentionPlace place = first_place();
    const int lead_blocks = (job.tokens + kLeadRows - 1) / kLeadRows;
    const int pass_blocks = short_product(job.batch, job.pass_blocks) << (job.passes == 2 ? 1 : 0);
    const int blocks = lead_blocks + (job.backward ? kPairPasses * (pass_blocks + job.head_blocks) : pass_blocks);
    attention_blocks(mem3, mem4, job, job.runs ? blocks : 0, place, lists0, lists1, held0, held1, own, kept, gradient,
                     class_query, map, statistics.score, statistics.rows);
}

inline int blocks_of(int rows) { return (natural<9>(unsigned(rows)) + kQueryBlock - 1) / kQueryBlock; }

inline void set_blocks(AttentionJob& job, int blocks, int coming_rows) {
    job.head_blocks = blocks;
    job.coming_rows = coming_rows;
    job.pass_blocks = larger(short_product(job.heads, blocks), kLead);
}

// Ask `count` queries from token `first` on. A head has at least so many blocks that the next one's rows can come in.
inline void ask(AttentionJob& job, int first, int count) {
    const bool has_class = first == 0;
    job.first_query = has_class ? 0 : first - 1;
    job.end_query = short_of(job.first_query) + count;
    job.class_query = has_class ? count - 1 : int(kNoClassQuery);
    const int wanted = blocks_of(job.tokens);
    const int blocks = larger(blocks_of(count), (wanted + kLeadBlocks - 1) / kLeadBlocks);
    int share = 1;  // of the next head's blocks of rows, that a block brings
    for (int less = 1; less < kLeadBlocks; ++less) {
#pragma HLS unroll
        if (less * blocks < wanted) share = less + 1;
    }
    set_blocks(job, blocks, share * kQueryBlock);
}

// What both directions have in common.
inline AttentionJob attention_job(int batch, int patches, int heads, int head_dim, int key_count, int queries, int scale,
                                  bool sparse, const Matrix& qkv, const Matrix& keys,
                                  const Matrix& probability, const Matrix& out, const Slots& slots) {
    AttentionJob job;
    job.runs = true;
    job.backward = false;
    job.sparse = sparse;
    job.has_map = false;
    job.batch = batch;
    job.gap = 0;
    job.patches = patches;
    job.tokens = 1 + patches;
    job.heads = heads;
    job.head_words = head_dim / kLanes;
    job.part_words = short_product(heads, job.head_words);
    job.key_count = key_count;
    job.queries = queries;
    job.map_rows = 0;
    job.class_keys = job.tokens;
    job.patch_keys = sparse ? key_count + 1 : job.tokens;
    job.scale = scale;
    job.first_pass = kScores;
    job.passes = 2;
    job.first_query = 0;
    job.end_query = queries;
    job.class_query = queries - 1;
    set_blocks(job, blocks_of(job.tokens), kQueryBlock);
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

// What the attention unit works on: its job, the place in it, the geometry of queries and keys, and walks over them.
//
// The class query comes last: its part of dk and dv has a fraction of its own and is added when they are stored.
// Keys have positions: the p-th listed key, then the class key; without a list the position is the token.
#pragma once

#include "../instruction.hpp"

namespace peelvit {

constexpr int kPoolLanes = kKeyLanes / 2;
constexpr int kQueryBlock = 8;
constexpr int kKeySteps = (kMaxTokens + kPoolLanes - 1) / kPoolLanes;
constexpr int kBlockSteps = kQueryBlock * kKeySteps;
constexpr int kHeadWords = kMaxHeadDim / kLanes;
constexpr int kKeyWords = (kMaxPatches + kLanes - 1) / kLanes;
constexpr int kPatchQuery = 0;
constexpr int kClassQuery = 1;
constexpr int kStoreDepth = 10;

struct AttentionJob {
    bool backward, sparse, has_map;
    int batch, patches, tokens, heads, head_words, key_count, queries, map_rows;
    int patch_keys, class_keys;    // keys of a query
    int patch_steps, class_steps;  // passes over kPoolLanes keys
    int scale, gradient_mantissa, gradient_shift;
    Matrix qkv, keys, dy, out, map;
    int f_qkv, f_probability;
    int f_dy[2], f_dscore[2];            // by kind of query
    int f_out[2];                        // of y or dq
    int f_dkey[2], f_dvalue[2];          // by kind of key
    int dkey_fraction, dvalue_fraction;  // at which the two kinds of queries are added
    int dkey_shift[2], dvalue_shift[2];  // of each kind to that
};

inline int block_queries(const AttentionJob& job, int first) {
    return larger(0, smaller(kQueryBlock, job.queries - first));
}
inline int block_tokens(const AttentionJob& job, int first) { return smaller(kQueryBlock, job.tokens - first); }
inline int query_kind(const AttentionJob& job, int index) {
    return index == job.queries - 1 ? kClassQuery : kPatchQuery;
}
inline int query_token(const AttentionJob& job, int index) { return index == job.queries - 1 ? 0 : index + 1; }
inline int query_keys(const AttentionJob& job, int index) {
    return query_kind(job, index) == kClassQuery ? job.class_keys : job.patch_keys;
}
inline int query_steps(const AttentionJob& job, int index) {
    return query_kind(job, index) == kClassQuery ? job.class_steps : job.patch_steps;
}
inline bool is_listed(const AttentionJob& job, int index) {
    return job.sparse && query_kind(job, index) == kPatchQuery;
}

inline unsigned token_row(const AttentionJob& job, int image, int token) {
    return unsigned(token == 0 ? image : job.batch + image * job.patches + token - 1);
}

// The token at a position of a query's keys.
inline int key_token(const AttentionJob& job, const word_t (&keys)[kQueryBlock][kKeyWords], bool listed, int query,
                     int position) {
#pragma HLS inline
    if (!listed) return position;
    if (position >= job.key_count) return 0;
    const int index = int(get16(keys[query][position / kLanes], position % kLanes)) & 0xFFFF;
    return 1 + smaller(index, job.patches - 1);
}

// Walks over the key steps of a block's queries, so that one pipelined loop serves the block.
struct Walk {
    int query;
    int step;
    int steps;
    int keys;
    bool listed;
};

inline Walk walk_query(const AttentionJob& job, int first, int query) {
#pragma HLS inline
    Walk walk;
    walk.query = query;
    walk.step = 0;
    walk.steps = query_steps(job, first + query);
    walk.keys = query_keys(job, first + query);
    walk.listed = is_listed(job, first + query);
    return walk;
}

inline Walk walk_on(const AttentionJob& job, int first, const Walk& walk) {
#pragma HLS inline
    if (walk.step + 1 == walk.steps) return walk_query(job, first, walk.query + 1);
    Walk next = walk;
    ++next.step;
    return next;
}

inline int walk_length(const AttentionJob& job, int first) {
    const int queries = block_queries(job, first);
    const bool has_class = queries > 0 && first + queries == job.queries;
    return has_class ? (queries - 1) * job.patch_steps + job.class_steps : queries * job.patch_steps;
}

inline int walk_entry(const Walk& walk) { return walk.query * kKeySteps + walk.step; }

struct AttentionPlace {
    int image, head, first, buffer;
};

inline void next_block(const AttentionJob& job, AttentionPlace& place, int& image, int& head, int& first, int& buffer,
                       int& next_image, int& next_head) {
    const bool last_head = place.head == job.heads - 1;
    const int image_after = last_head ? place.image + 1 : place.image;
    const int head_after = last_head ? 0 : place.head + 1;
    image = place.image;
    head = place.head;
    first = place.first;
    buffer = place.buffer;
    next_image = image_after;
    next_head = head_after;
    place.first += kQueryBlock;
    if (place.first >= job.tokens) {
        place.first = 0;
        place.image = image_after;
        place.head = head_after;
        place.buffer = 1 - place.buffer;
    }
}

}  // namespace peelvit

// What the attention unit reads: rows of q, k, v and dy, and lists of keys, also sorted by the bank of their sums.
#pragma once

#include "job.hpp"

namespace peelvit {

// The block's own rows of q and dy, and rows of k and v of the next unit.
struct RowBlock {
    word_t query[kQueryBlock][kHeadWords];
    word_t dy[kQueryBlock][kHeadWords];
    word_t key[kQueryBlock][kHeadWords];
    word_t value[kQueryBlock][kHeadWords];
};

// Where the listed keys of a block go: entry s of bank l is key `row[s][l] * kPoolLanes + l` at `position[s][l]` of the
// list.
struct KeyBanks {
    i16 row[kBlockSteps][kPoolLanes];
    i16 position[kBlockSteps][kPoolLanes];
    int used[kQueryBlock][kPoolLanes];
    bool ascending[kQueryBlock];  // else keys may repeat, and the entries mean nothing
};

inline void load_rows(const word_t* mem0, const word_t* mem1, const AttentionJob& job, int image, int head, int first,
                      int next_image, int next_head, RowBlock& for_scores, RowBlock& for_sums) {
    const int own = block_queries(job, first);
    const int rows = own + (next_image < job.batch ? block_tokens(job, first) : 0);
load_rows:
    for (int r = 0; r < rows; ++r) {
#pragma HLS loop_tripcount max = 16
        const bool is_own = r < own;
        const int i = is_own ? r : r - own;
        const int token = is_own ? query_token(job, first + i) : first + i;
        const unsigned row = token_row(job, is_own ? image : next_image, token);
        const int column = is_own ? head : job.heads + next_head;
        const unsigned address0 = job.qkv.address + row * unsigned(job.qkv.pitch) + unsigned(column * job.head_words);
        const unsigned address1 = is_own
                                      ? job.dy.address + row * unsigned(job.dy.pitch) + unsigned(head * job.head_words)
                                      : address0 + unsigned(job.heads * job.head_words);
    load_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((r | w) == 0, 1, kReadLatency);
            const word_t word0 = read_word<0>(mem0, address0 + unsigned(w));
            word_t word1 = zero_word();
            if (!is_own || job.backward) word1 = read_word<1>(mem1, address1 + unsigned(w));
            if (is_own) {
                for_scores.query[i][w] = word0;
                for_scores.dy[i][w] = word1;
                for_sums.query[i][w] = word0;
                for_sums.dy[i][w] = word1;
            } else {
                for_scores.key[i][w] = word0;
                for_scores.value[i][w] = word1;
                for_sums.key[i][w] = word0;
                for_sums.value[i][w] = word1;
            }
        }
    }
}

inline void load_keys(const word_t* mem2, const AttentionJob& job, int image, int first,
                      word_t (&for_scores)[kQueryBlock][kKeyWords], word_t (&for_banks)[kQueryBlock][kKeyWords],
                      word_t (&for_sums)[kQueryBlock][kKeyWords], word_t (&for_map)[kQueryBlock][kKeyWords]) {
    const int lists = job.sparse ? larger(0, smaller(kQueryBlock, job.queries - 1 - first)) : 0;
    const int words = words16(job.key_count);
load_lists:
    for (int i = 0; i < lists; ++i) {
#pragma HLS loop_tripcount max = 8
    load_list_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
            PIPELINE((i | w) == 0, 1, kReadLatency);
            const unsigned row = unsigned(image * job.patches + first + i);
            const word_t word = read_word<2>(mem2, job.keys.address + row * unsigned(job.keys.pitch) + unsigned(w));
            for_scores[i][w] = word;
            for_banks[i][w] = word;
            for_sums[i][w] = word;
            for_map[i][w] = word;
        }
    }
}

// Rows of the next unit, into the other half of a buffer.
inline void keep_rows(const AttentionJob& job, int first, int buffer, const word_t (&rows)[kQueryBlock][kHeadWords],
                      word_t (&kept)[2 * kMaxTokens][kHeadWords]) {
#pragma HLS inline
    const int tokens = block_tokens(job, first);
    const int base = (1 - buffer) * kMaxTokens + first;
keep_rows:
    for (int i = 0; i < tokens; ++i) {
#pragma HLS loop_tripcount max = 8
        PIPELINE(i == 0, 1, 2);
        for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
            kept[base + i][w] = rows[i][w];
        }
    }
}

// k and v of the first unit, before the blocks of queries bring those of the next ones.
inline void load_first_unit(const word_t* mem0, const word_t* mem1, const AttentionJob& job,
                            word_t (&key_rows)[2 * kMaxTokens][kHeadWords],
                            word_t (&value_rows)[2 * kMaxTokens][kHeadWords],
                            word_t (&gathered)[2 * kMaxTokens][kHeadWords]) {
#pragma HLS inline off
first_unit_rows:
    for (int token = 0; token < job.tokens; ++token) {
#pragma HLS loop_tripcount max = 81
        const unsigned address = job.qkv.address + token_row(job, 0, token) * unsigned(job.qkv.pitch);
    first_unit_words:
        for (int w = 0; w < job.head_words; ++w) {
#pragma HLS loop_tripcount max = 4
            PIPELINE((token | w) == 0, 1, kReadLatency);
            const word_t key = read_word<0>(mem0, address + unsigned(job.heads * job.head_words + w));
            const word_t value = read_word<1>(mem1, address + unsigned(2 * job.heads * job.head_words + w));
            key_rows[token][w] = key;
            value_rows[token][w] = value;
            gathered[token][w] = job.backward ? key : value;
        }
    }
}

// Two listed keys a cycle: a bank has two ports.
inline void sort_keys(const AttentionJob& job, int first, const word_t (&keys)[kQueryBlock][kKeyWords],
                      KeyBanks& banks) {
#pragma HLS inline off
    const int lists = job.backward && job.sparse ? larger(0, smaller(kQueryBlock, job.queries - 1 - first)) : 0;
sort_lists:
    for (int i = 0; i < lists; ++i) {
#pragma HLS loop_tripcount max = 8
        int used[kPoolLanes];
#pragma HLS array_partition variable = used type = complete
        for (int bank = 0; bank < kPoolLanes; ++bank) {
#pragma HLS unroll
            used[bank] = 0;
        }
        bool ascending = true;
        int before = 0;
    sort_pairs:
        for (int pair = 0; pair < job.patch_keys; pair += 2) {
#pragma HLS loop_tripcount max = 41
            PIPELINE(pair == 0, 1, 4);
            for (int k = 0; k < 2; ++k) {
#pragma HLS unroll
                const int position = pair + k;
                const int token = position < job.patch_keys ? key_token(job, keys, true, i, position) : 0;
                if (position < job.key_count) {
                    ascending = ascending && token > before;
                    before = token;
                }
                for (int bank = 0; bank < kPoolLanes; ++bank) {
#pragma HLS unroll
                    const int entry = i * kKeySteps + used[bank];
                    if (position < job.patch_keys && token % kPoolLanes == bank && used[bank] < kKeySteps) {
                        banks.row[entry][bank] = i16(token / kPoolLanes);
                        banks.position[entry][bank] = i16(position);
                        ++used[bank];
                    }
                }
            }
        }
        for (int bank = 0; bank < kPoolLanes; ++bank) {
#pragma HLS unroll
            banks.used[i][bank] = used[bank];
        }
        banks.ascending[i] = ascending;
    }
}

}  // namespace peelvit

// The selection unit: exact top-k by counting. The rank of a value is the number of values before it (larger, or equal
// and of lower index); the `keep` values of lowest rank are kept, in ascending order of their indices.
#pragma once

#include "instruction.hpp"
#include "slots.hpp"

namespace peelvit {

constexpr int kSelectChunks = (kMaxPatches + kSelectLanes - 1) / kSelectLanes;
constexpr int kIndexWords = (kMaxPatches + kLanes - 1) / kLanes;

// Candidate i is value[i / kSelectLanes][i % kSelectLanes]; `forced` is before all others (-1: none).
struct Candidates {
    i32 value[kSelectChunks][kSelectLanes];
    int count;
    int forced;
};

// Whether value a at index i stands before value b at index j.
inline bool is_before(i32 a, int i, i32 b, int j, int forced) {
#pragma HLS inline
    if (i == forced || j == forced) return i == forced && j != forced;
    return a > b || (a == b && i < j);
}

// kSelectLanes comparisons a cycle; the list is packed eight indices a word.
inline void select_largest(const Candidates& candidates, int keep, word_t (&list)[kIndexWords]) {
#pragma HLS inline off
    const int chunks = (candidates.count + kSelectLanes - 1) / kSelectLanes;
    int kept = 0;
    word_t word = zero_word();
select_candidates:
    for (int i = 0; i < candidates.count; ++i) {
#pragma HLS loop_tripcount max = 80
        int rank = 0;
        const i32 own = candidates.value[i / kSelectLanes][i % kSelectLanes];
    select_chunks:
        for (int chunk = 0; chunk < chunks; ++chunk) {
#pragma HLS loop_tripcount max = 10
            PIPELINE((i | chunk) == 0, 1, 8);
            int before = 0;
            for (int lane = 0; lane < kSelectLanes; ++lane) {
#pragma HLS unroll
                const int j = chunk * kSelectLanes + lane;
                if (j < candidates.count && is_before(candidates.value[chunk][lane], j, own, i, candidates.forced))
                    ++before;
            }
            rank += before;
            if (chunk == chunks - 1 && rank < keep) {
                put16(word, kept % kLanes, i16(i));
                list[kept / kLanes] = word;
                ++kept;
                if (kept % kLanes == 0) word = zero_word();
            }
        }
    }
}

inline void store_list(word_t* mem, unsigned address, int count, const word_t (&list)[kIndexWords]) {
    const int words = words16(count);
store_list:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, 4);
        write_word<2>(mem, address + unsigned(w), list[w]);
    }
}

// A list of indices below `limit`; larger ones are clamped.
inline void load_list(const word_t* mem, unsigned address, int count, int limit, i16 (&list)[kMaxPatches]) {
    const int words = words16(count);
load_list:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + unsigned(w));
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int index = int(get16(word, lane)) & 0xFFFF;
            if (kLanes * w + lane < count) list[kLanes * w + lane] = i16(smaller(index, limit - 1));
        }
    }
}

// The first `rows` rows of x, as they are.
inline void copy_rows(const word_t* mem1, word_t* mem2, const Matrix& x, const Matrix& y, int rows, int words) {
copy_rows:
    for (int row = 0; row < rows; ++row) {
#pragma HLS loop_tripcount max = 8
    copy_row_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE((row | w) == 0, 1, kReadLatency);
            const word_t word = read_word<1>(mem1, x.address + unsigned(row) * unsigned(x.pitch) + unsigned(w));
            write_word<2>(mem2, y.address + unsigned(row) * unsigned(y.pitch) + unsigned(w), word);
        }
    }
}

}  // namespace peelvit

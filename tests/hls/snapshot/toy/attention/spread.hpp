// Rows by position become rows by token, for the sums over queries: a query's listed entries are spread over a register
// row, eight a cycle. The other passes take the words as they are.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kSpreadDepth = 6;

// Rows by token, by half of the lanes and place in it.
using SpreadRows = i16[2][kHalfBlock][kMaxTokens];

inline void spread_rows(const AttentionJob& job, int first, const QueryBlock& from, SpreadRows& weights) {
#pragma HLS inline
    const int pairs = half_rows(block_queries(job, first), 0);
    i16 row[2][kMaxTokens];
#pragma HLS array_partition variable = row type = complete dim = 0
spread_pairs:
    for (int m = 0; m < pairs; ++m) {
#pragma HLS loop_tripcount max = 4
        const int longest = larger(query_keys(job, first + half_row(0, m)), query_keys(job, first + half_row(1, m)));
        const int words = words16(longest);
        i16 before[2];
        int highest[2];
#pragma HLS array_partition variable = before type = complete
#pragma HLS array_partition variable = highest type = complete
    spread_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 11
            PIPELINE((m | w) == 0, 1, kSpreadDepth);
            for (int half = 0; half < 2; ++half) {
#pragma HLS unroll
                const int index = first + half_row(half, m);
                const int lane = half * kHalfLanes + m % kHalfLanes;
                const int place = m / kHalfLanes * kTokenWords + w;
                const bool listed = is_listed(job, index);
                const int keys = index < job.queries ? query_keys(job, index) : 0;
                const word_t entries = from.list[place][lane];
                if (w == 0) {
                    highest[half] = -1;
                    for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
                        row[half][token] = 0;
                    }
                }
                for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
                    const int position = kLanes * w + k;
                    const i16 entry = k == 0 ? before[half] : get16(entries, (k + kLanes - 1) % kLanes);
                    const int token = listed && position > 0 ? entry_token(job, entry) : position;
                    if (position < keys && token > highest[half]) {
                        row[half][token] = get16(from.matrix[place][lane], k);
                        highest[half] = token;
                    }
                }
                before[half] = get16(entries, kLanes - 1);
            }
            if (w + 1 == words) {
                for (int half = 0; half < 2; ++half) {
#pragma HLS unroll
                    for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
                        weights[half][m][token] = row[half][token];
                    }
                }
            }
        }
    }
}

inline void pass_words(const AttentionJob& job, int pass, int first, const QueryBlock& from,
                       word_t (&matrix)[kBlockWords16][kLaneCount], word_t (&list)[kBlockWords16][kLaneCount]) {
#pragma HLS inline
    const int used = (kGroups - 1) * kTokenWords + words16(job.class_keys);
    const int words = block_queries(job, first) > 0 && (job.sparse || pass != kScores) ? used : 0;
pass_words:
    for (int n = 0; n < words; ++n) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(n == 0, 1, 2);
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            matrix[n][lane] = from.matrix[n][lane];
            list[n][lane] = from.list[n][lane];
        }
    }
}

inline void spread(const AttentionJob& job, int pass, int first, const QueryBlock& from,
                   word_t (&own)[kGroups][kLaneCount][kHeadWords], word_t (&matrix)[kBlockWords16][kLaneCount],
                   word_t (&list)[kBlockWords16][kLaneCount], SpreadRows& weights) {
#pragma HLS inline off
own_rows:
    for (int group = 0; group < kGroups; ++group) {
        PIPELINE(group == 0, 1, 2);
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            for (int w = 0; w < kHeadWords; ++w) {
#pragma HLS unroll
                own[group][lane][w] = from.own[group][lane][w];
            }
        }
    }
    if (is_outer(pass))
        spread_rows(job, first, from, weights);
    else
        pass_words(job, pass, first, from, matrix, list);
}

}  // namespace peelvit

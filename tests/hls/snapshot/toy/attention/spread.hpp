// Rows by position become rows by token, for the sums over queries: a query's listed entries are spread over a register
// row, eight a cycle. The other passes take the words as they are.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kSpreadDepth = 6;

// Rows by token, by port and place in it.
using SpreadRows = i16[kPorts][kPortRows][kMaxTokens];

inline void spread_rows(const AttentionJob& job, int first, const QueryBlock& from, SpreadRows& weights) {
#pragma HLS inline
    const int rows = port_rows(block_queries(job, first), 0);
    i16 row[kPorts][kMaxTokens];
#pragma HLS array_partition variable = row type = complete dim = 0
spread_rows:
    for (int m = 0; m < rows; ++m) {
#pragma HLS loop_tripcount max = 8
        const int words = words16(longest_row(job, first, m));
        i16 before[kPorts];
        int highest[kPorts];
#pragma HLS array_partition variable = before type = complete
#pragma HLS array_partition variable = highest type = complete
    spread_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 11
            PIPELINE((m | w) == 0, 1, kSpreadDepth);
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                const int index = first + port_row(port, m);
                const int lane = smaller(port_place(port, m), kFrontLanes - 1);
                const int place = port_group(port, m) * kTokenWords + w;
                const bool listed = is_listed(job, index);
                const bool exists = is_port_row(port, m) && index < job.queries;
                const int keys = exists ? query_keys(job, index) : 0;
                const word_t entries = from.list[port][place][lane];
                if (w == 0) {
                    highest[port] = -1;
                    for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
                        row[port][token] = 0;
                    }
                }
                for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
                    const int position = kLanes * w + k;
                    const i16 entry = k == 0 ? before[port] : get16(entries, (k + kLanes - 1) % kLanes);
                    const int token = listed && position > 0 ? entry_token(job, entry) : position;
                    if (position < keys && token > highest[port]) {
                        row[port][token] = get16(from.matrix[port][place][lane], k);
                        highest[port] = token;
                    }
                }
                before[port] = get16(entries, kLanes - 1);
            }
            if (w + 1 == words) {
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    for (int token = 0; token < kMaxTokens; ++token) {
#pragma HLS unroll
                        weights[port][m][token] = row[port][token];
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
            matrix[n][lane] = from.matrix[lane_port(lane)][n][lane_place(lane)];
            list[n][lane] = from.list[lane_port(lane)][n][lane_place(lane)];
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
                own[group][lane][w] = from.own[lane_port(lane)][group][lane_place(lane)][w];
            }
        }
    }
    if (is_outer(pass))
        spread_rows(job, first, from, weights);
    else
        pass_words(job, pass, first, from, matrix, list);
}

}  // namespace peelvit

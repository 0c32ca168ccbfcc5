// The map: probabilities summed over the heads of an image, by query and token. Each lane has a bank of it.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kMapWords = 2 * kTokenWords;  // of a row over all tokens
constexpr int kMapDepth = 6;

// Words of rows of the map, a bank for each lane.
using HeadMapRows = word_t[kPorts][kGroups * kMapWords][kFrontLanes];

// Whether a group has a query whose row of the map is asked for.
inline bool is_mapped(const AttentionJob& job, int first, int group) {
    const int start = first + group * kLaneCount;
    const bool has_class = start < job.queries && job.queries <= start + kLaneCount;
    return job.has_map && start < job.queries && (has_class || start + 1 < job.map_rows);
}

inline void add_to_map(const AttentionJob& job, int pass, int head, int first,
                       const i16 (&token_of)[kBlockSteps][kLaneCount],
                       const i16 (&probability)[kBlockSteps][kLaneCount],
                       i32 (&map)[kQueryBlocks * kGroups * kMaxTokens][kLaneCount],
                       HeadMapRows& rows) {
#pragma HLS inline off
map_groups:
    for (int group = 0; group < kGroups; ++group) {
        const int base = (first / kLaneCount + group) * kMaxTokens;
        const bool mapped = pass == kScores && is_mapped(job, first, group);
        const int cleared = mapped && head == 0 && job.sparse ? job.tokens : 0;
        const int steps = mapped ? group_steps(job, first, group) : 0;
        const int stored = mapped && head == job.heads - 1 ? kWideLanes * words32(job.tokens) : 0;
    clear_map:
        for (int token = 0; token < cleared; ++token) {
#pragma HLS loop_tripcount max = 81
            PIPELINE(token == 0, 1, 2);
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                map[base + token][lane] = 0;
            }
        }
    add_to_map:
        for (int step = 0; step < steps; ++step) {
#pragma HLS loop_tripcount max = 81
            PIPELINE(step == 0, 1, kMapDepth);
// Keys that count differ from step to step, and others have a probability of zero.
#pragma HLS dependence variable = map type = inter dependent = false
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                const i16 p = probability[group * kMaxTokens + step][lane];
                const int token = token_of[group * kMaxTokens + step][lane];
                const bool opens = head == 0 && !job.sparse;
                if (opens || p != 0) {
                    const wide_t before = opens ? i32(0) : map[base + token][lane];
                    map[base + token][lane] = i32(before + wide_t(p));
                }
            }
        }
        word_t word[kLaneCount];
#pragma HLS array_partition variable = word type = complete
    map_rows:
        for (int token = 0; token < stored; ++token) {
#pragma HLS loop_tripcount max = 88
            PIPELINE(token == 0, 1, kMapDepth);
            const int place = token % kWideLanes;
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                if (place == 0) word[lane] = zero_word();
                if (token < job.tokens) put32(word[lane], place, map[base + token][lane]);
                rows[lane_port(lane)][group * kMapWords + token / kWideLanes][lane_place(lane)] = word[lane];
            }
        }
    }
}

}  // namespace peelvit

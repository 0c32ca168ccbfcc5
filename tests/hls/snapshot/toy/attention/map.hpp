// The map: probabilities summed over the heads of an image, by query and token. Each lane has a bank of it.
#pragma once

#include "place.hpp"

namespace peelvit {

constexpr int kMapDepth = 6;

// A sum of as many probabilities as there are heads.
using map_t = i20;
static_assert(kMaxHeads <= 16, "a sum of probabilities has 20 bits");

// By query and token, a bank for each lane.
using AttentionMap = map_t[kQueryBlocks * kGroups * kMaxTokens][kLaneCount];

// Sums of so many tokens leave together; a lane of each half a cycle, so that all have left when the next are there.
constexpr int kMapLanes = kHalf <= kWideLanes ? kWideLanes : kLanes;
constexpr int kMapLines = kLanes * kTokenWords / kMapLanes;  // of a row over all tokens

// Rows of the map, of a half of the lanes: `row * kMapLines + line`.
using HalfMapRows = map_t[kHalfRows * kMapLines][kMapLanes];

// Whether a group has a query whose row of the map is asked for.
inline bool is_mapped(const AttentionJob& job, int first, int group) {
    const int start = short_of(first) + group * kLaneCount;
    const bool is_asked = last_place(job, first) >= group * kLaneCount;
    return job.has_map && is_asked && (has_class_lane(job, first, group) || start + 1 < short_of(job.map_rows));
}

// Sums of one token after the other, collected to lines that leave while the next ones are filled.
struct MapSums {
    map_t line[kLaneCount][kMapLanes];
    map_t full[2][kHalf][kMapLanes];
    place_t left;
    place_t number;  // of the full lines
};

inline void leave(int group, MapSums& sums, HalfMapRows& rows0, HalfMapRows& rows1) {
#pragma HLS inline
    if (sums.left >= kHalf) return;
    const int lane = narrow<4>(sums.left);
    const int place = (group * kHalf + lane) * kMapLines + sums.number;
    for (int i = 0; i < kMapLanes; ++i) {
#pragma HLS unroll
        rows0[place][i] = sums.full[0][lane][i];
        rows1[place][i] = sums.full[1][lane][i];
    }
    sums.left = lane + 1;
}

inline void complete(int token, MapSums& sums) {
#pragma HLS inline
    if (token % kMapLanes != kMapLanes - 1) return;
    for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
        for (int i = 0; i < kMapLanes; ++i) {
#pragma HLS unroll
            sums.full[lane / kHalf][lane % kHalf][i] = sums.line[lane][i];
        }
    }
    sums.number = token / kMapLanes;
    sums.left = 0;
}

inline void add_to_map(const AttentionJob& job, const Block& block, const token_t (&token_of)[kBlockSteps][kLaneCount],
                       const i16 (&probability)[kBlockSteps][kLaneCount], AttentionMap& map, HalfMapRows& rows0,
                       HalfMapRows& rows1) {
#pragma HLS inline off
    const int tokens = narrow<10>(job.tokens);
    const int padded = kLanes * key_words(tokens) + kHalf;  // and the steps that the last lines take to leave
    MapSums sums;
#pragma HLS array_partition variable = sums.line type = complete dim = 0
#pragma HLS array_partition variable = sums.full type = complete dim = 0
map_groups:
    for (int group = 0; group < kGroups; ++group) {
        const int base = (natural<10>(unsigned(int(block.first))) / kLaneCount + group) * kMaxTokens;
        const bool mapped = block.pass == kScores && is_mapped(job, block.first, group);
        const bool stores = mapped && block.head == job.heads - 1;
        const bool opens = block.head == 0 && !job.sparse;
        const int cleared = mapped && block.head == 0 && job.sparse ? tokens : 0;
        const int steps = mapped ? group_steps(job, block.first, group) : 0;
        const int added = stores && !job.sparse ? padded : steps;  // dense, the sums are stored as they are made
        const int stored = stores && job.sparse ? padded : 0;
        sums.left = kHalf;
        sums.number = 0;
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
        for (int step = 0; step < added; ++step) {
#pragma HLS loop_tripcount max = 93
            PIPELINE(step == 0, 1, kMapDepth);
// Keys that count differ from step to step, and others have a probability of zero.
#pragma HLS dependence variable = map type = inter dependent = false
            if (stores) leave(group, sums, rows0, rows1);
            const bool exists = step < steps;
            const int entry = group * kGroupSteps + (exists ? step : 0);
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                const i16 p = probability[entry][lane];
                const int place = base + int(token_of[entry][lane]);
                map_t sum = 0;
                if (exists && (!job.sparse || p != 0)) {
                    const map_t before = opens ? map_t(0) : map[place][lane];
                    sum = before + p;
                    map[place][lane] = sum;
                }
                sums.line[lane][step % kMapLanes] = sum;
            }
            if (stores) complete(step, sums);
        }
    map_rows:
        for (int token = 0; token < stored; ++token) {
#pragma HLS loop_tripcount max = 93
            PIPELINE(token == 0, 1, kMapDepth);
            leave(group, sums, rows0, rows1);
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                sums.line[lane][token % kMapLanes] = token < tokens ? map[base + token][lane] : map_t(0);
            }
            complete(token, sums);
        }
    }
}

}  // namespace peelvit

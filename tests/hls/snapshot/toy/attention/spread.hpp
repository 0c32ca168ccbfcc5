// From the ports' halves to the lanes of the multipliers, entry by entry: weights by position, zero where an entry does
// not count, and the tokens of the keys. For sums over queries, which go tile by tile over all tokens, a listed query's
// weights are moved to the places of their tokens, and those places are marked: what is not marked is zero.
#pragma once

#include "load.hpp"

namespace peelvit {

constexpr int kSpreadDepth = 8;
constexpr int kSpreadBlocks = 3;  // in its channels
static_assert(kHalf <= kLanes, "while a word is used, the next one of each lane of a half comes");

// By lane: `group * kGroupSteps + position` or `+ token`.
using LaneWeights = i16[kLaneCount][kBlockSteps];
// By `group * kGroupSteps + position` and lane.
using LaneTokens = token_t[kBlockSteps][kLaneCount];
// By lane, `group * kTokenWords + word`: a bit for each token of a word.
using LaneMarks = u8[kLaneCount][kBlockWords16];

// Whether a listed entry counts: its token is above those of all entries before it.
inline bool rises(int step, int token, int highest) { return step == 0 || token > narrow<9>(highest); }

// A word of each lane's row, and of its list.
struct LaneWords {
    i16 weight[kLaneCount][kLanes];
    token_t token[kLaneCount][kLanes];
};

// Words that come, a lane of each half a cycle.
struct NextWords {
    place_t group, word;
    place_t come;  // lanes
};

template <int kPort>
inline void take_word(const LoadedRows& from, const NextWords& at, LaneWords& next) {
#pragma HLS inline
    const int lane = narrow<5>(at.come);
    const int place = (narrow<3>(at.group) * kHalf + lane) * kTokenWords + narrow<7>(at.word);
    for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
        next.weight[kPort * kHalf + lane][k] = get16(from.matrix[place], k);
        next.token[kPort * kHalf + lane][k] = from.list[place][k];
    }
}

// The words behind those at which the walk stands.
inline NextWords words_behind(const GroupWalk& at) {
#pragma HLS inline
    const bool ends = narrow<10>(at.step) + kLanes >= narrow<10>(at.steps);
    NextWords behind;
    behind.group = narrow<3>(at.group) + (ends ? 1 : 0);
    behind.word = ends ? 0 : natural<9>(unsigned(int(at.step))) / kLanes + 1;
    behind.come = place_t(behind.group < kGroups ? 0 : kHalf);
    return behind;
}

// What is known of a lane's entries so far.
struct LaneEntries {
    token_t listed;  // token of the next entry
    token_t highest;
    u8 marks;  // of the word that the highest token lies in
};

// A lane's entry at a step.
inline void spread_entry(const AttentionJob& job, const Block& block, int lane, const GroupWalk& at,
                         const LaneWords& now, LaneEntries& so_far, LaneWeights& weights, LaneTokens& tokens,
                         LaneMarks& marks) {
#pragma HLS inline
    const bool scatters = job.sparse && is_outer(block.pass);
    const int step = natural<9>(unsigned(int(at.step)));
    const int row = narrow<3>(at.group) * kGroupSteps;
    const int before = narrow<3>(at.group) * kLaneCount;
    const bool is_class = lane == class_place(job, block.first) - before;
    const bool is_asked = lane <= last_place(job, block.first) - before;
    const bool is_patch_key = step < narrow<10>(job.patch_keys);  // of all lanes, as the next
    const bool is_class_key = step < narrow<10>(job.class_keys);
    const bool exists = is_asked && (is_class ? is_class_key : is_patch_key);
    const bool is_listed = job.sparse && !is_class && step > 0;
    const int token = is_listed ? int(so_far.listed) : natural<8>(unsigned(step));
    const bool counts = exists && rises(step, token, int(so_far.highest));
    const i16 found = block.pass == kScores ? i16(1) : now.weight[lane][step % kLanes];
    if (counts || !scatters) weights[lane][row + (scatters ? token : step)] = counts ? found : i16(0);
    tokens[row + step][lane] = exists ? token_t(token) : token_t(0);
    if (counts) {
        const bool is_same = step > 0 && token / kLanes == int(so_far.highest) / kLanes;
        so_far.marks = u8(unsigned(is_same ? so_far.marks : u8(0)) | 1u << token % kLanes);
        so_far.highest = token_t(token);
        if (scatters) marks[lane][narrow<3>(at.group) * kTokenWords + token / kLanes] = so_far.marks;
    }
    so_far.listed = now.token[lane][step % kLanes];
}

inline void spread(const AttentionJob& job, const Block& block, const LoadedRows& rows0, const LoadedRows& rows1,
                   LaneWeights& weights, LaneTokens& tokens, LaneMarks& marks) {
#pragma HLS inline off
    const bool any = block_queries(job, block.first) > 0 && (job.sparse || block.pass != kScores);
    const bool scatters = job.sparse && is_outer(block.pass);
    const int used = (kGroups - 1) * kTokenWords + key_words(job.class_keys);
    const int words = any && scatters ? used : 0;
clear_marks:
    for (int n = 0; n < words; ++n) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(n == 0, 1, 2);
        for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
            marks[lane][n] = 0;
        }
    }
    GroupWalk at = first_group(job, block.first, true);
    int length = any ? int(kHalf) : 0;
spread_groups:
    for (int group = 0; group < kGroups; ++group) {
#pragma HLS pipeline off
        if (any) length += walked_steps(job, block.first, group, true);
    }
    NextWords behind;
    behind.group = 0;
    behind.word = 0;
    behind.come = 0;
    LaneWords next, now;
    LaneEntries so_far[kLaneCount];
#pragma HLS array_partition variable = next type = complete dim = 0
#pragma HLS array_partition variable = now type = complete dim = 0
#pragma HLS array_partition variable = so_far type = complete
spread_entries:
    for (int n = 0; n < length; ++n) {
#pragma HLS loop_tripcount max = 166
        PIPELINE(n == 0, 1, kSpreadDepth);
        if (n >= kHalf) {
            if (natural<9>(unsigned(int(at.step))) % kLanes == 0) {
                now = next;
                behind = words_behind(at);
            }
            for (int lane = 0; lane < kLaneCount; ++lane) {
#pragma HLS unroll
                spread_entry(job, block, lane, at, now, so_far[lane], weights, tokens, marks);
            }
            advance(job, block.first, true, at);
        }
        if (behind.come < kHalf) {
            take_word<0>(rows0, behind, next);
            take_word<1>(rows1, behind, next);
            behind.come = narrow<5>(behind.come) + 1;
        }
    }
}

}  // namespace peelvit

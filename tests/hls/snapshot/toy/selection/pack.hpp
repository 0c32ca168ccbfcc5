// What was chosen is stored as lists of indices, ascending and packed eight a word.
#pragma once

#include "choose.hpp"

namespace peelvit {

constexpr int kPackLanes = 4;                       // candidates a cycle: the gathering takes longer
constexpr int kLineLanes = kLanes + kPackLanes - 1;  // that may wait for a word to be full

// The lanes that are set, the lowest one first, three bits each.
static const int kSetLanes[1 << kPackLanes] = {
    // clang-format off
    0, 0, 1, 8, 2, 16, 17, 136, 3, 24, 25, 200, 26, 208, 209, 1672,
    // clang-format on
};

// Indices waiting to fill a word, zeros behind them.
struct WaitingIndices {
    u16 index[kLineLanes];
    u8 waiting;
};

// Which of the next candidates are kept, bit by lane: those that are chosen, lane `own`, and of those in question the
// first `wanted`.
inline int take_kept(Choice& choice, int own) {
#pragma HLS inline
    int kept = 0;
    for (int lane = 0; lane < kPackLanes; ++lane) {
#pragma HLS unroll
        const bool is_own = lane == own;
        const bool is_taken = choice.tied[0][lane] && choice.wanted != 0 && !is_own;
        if (choice.chosen[0][lane] || is_taken || is_own) kept |= 1 << lane;
        if (is_taken) choice.wanted = u16((int(choice.wanted) - 1) & kPatchMask);
    }
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int from = kLanes * b + lane + kPackLanes;
            const int bank = (from / kLanes) & (kBanks - 1);
            choice.chosen[b][lane] = from < kLanes * kBanks ? choice.chosen[bank][from % kLanes] : false;
            choice.tied[b][lane] = from < kLanes * kBanks ? choice.tied[bank][from % kLanes] : false;
        }
    }
    return kept;
}

// Append the candidates from `first` on that are set in `kept`.
inline void append(WaitingIndices& line, int kept, int first) {
#pragma HLS inline
    const int lanes = kSetLanes[kept & ((1 << kPackLanes) - 1)];
    const int count = (kept & 1) + (kept >> 1 & 1) + (kept >> 2 & 1) + (kept >> 3 & 1);
    u8 fresh[kLineLanes];  // lane + kPackLanes; 0: none
#pragma HLS array_partition variable=fresh type=complete
    for (int k = 0; k < kLineLanes; ++k) {
#pragma HLS unroll
        const int lane = k < kPackLanes ? lanes >> (3 * (k & 3)) & 3 : 0;
        fresh[k] = k < count ? u8(kPackLanes | lane) : u8(0);
    }
    for (int s = 0; s < 3; ++s) {
#pragma HLS unroll
        for (int k = kLineLanes - 1; k >= 0; --k) {
#pragma HLS unroll
            const int from = k - (1 << s);
            if ((int(line.waiting) >> s & 1) != 0) fresh[k] = from >= 0 ? fresh[larger(from, 0)] : u8(0);
        }
    }
    for (int k = 0; k < kLineLanes; ++k) {
#pragma HLS unroll
        if (int(fresh[k]) >= kPackLanes) line.index[k] = u16(first | (int(fresh[k]) & (kPackLanes - 1)));
    }
    line.waiting = u8((int(line.waiting) + count) & (2 * kLanes - 1));
}

// The first eight of the line.
inline word_t front_of(const WaitingIndices& line) {
    word_t word = zero_word();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        put16(word, lane, i16(line.index[lane]));
    }
    return word;
}

inline void drop_front(WaitingIndices& line) {
    for (int k = 0; k < kLineLanes; ++k) {
#pragma HLS unroll
        const int from = k + kLanes;
        line.index[k] = from < kLineLanes ? line.index[smaller(from, kLineLanes - 1)] : u16(0);
    }
    line.waiting = u8(larger(int(line.waiting) - kLanes, 0));
}

// Kept indices, packed eight a word: four candidates a cycle, and one more cycle for the last word of a row.
inline void store_lists(word_t* mem2, const Choice choices[kSelectPorts], const Selection& job, int group) {
    const int steps = ((job.candidates & kPatchMask) + kPackLanes - 1) / kPackLanes + 1;
    const int cycles = natural<2>(unsigned(rows_of_group(job, group))) * steps;
    unsigned address = row_address(job.lists, job.first_list + unsigned(kSelectPorts * group));
    Choice choice;  // its next candidates in front
    WaitingIndices line;
#pragma HLS array_partition variable=choice.chosen type=complete dim=0
#pragma HLS array_partition variable=choice.tied type=complete dim=0
#pragma HLS array_partition variable=line.index type=complete
    for (int k = 0; k < kLineLanes; ++k) {
#pragma HLS unroll
        line.index[k] = 0;
    }
    line.waiting = 0;
    patch_t own = patch_t(first_own(job, group));
    u8 row = 0;
    u8 step = 0;
    u8 stored = 0;  // words of the row
store_lists:
    for (int i = 0; i < cycles; ++i) {
#pragma HLS loop_tripcount max = 63
        PIPELINE(i == 0, 1, 8);
        if (step == 0) choice = choices[row];
        const int first = kPackLanes * int(step) & kPatchMask;
        append(line, take_kept(choice, int(own) - first), first);
        const bool is_last = int(step) == steps - 1;
        const word_t word = front_of(line);
        if (int(line.waiting) >= kLanes || (is_last && int(line.waiting) > 0)) {
            write_word<2>(mem2, address + unsigned(stored), word);
            stored = u8(stored + 1);
            drop_front(line);
        }
        step = is_last ? u8(0) : u8(step + 1);
        if (is_last) {
            row = u8(row + 1);
            own = patch_t(own + 1);
            stored = 0;
            address += unsigned(job.lists.pitch);
        }
    }
}

}  // namespace peelvit

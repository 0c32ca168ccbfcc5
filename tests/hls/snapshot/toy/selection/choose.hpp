// The k-th largest value is found bit by bit, from the highest on, by counting: all candidates are looked at at once.
// Those above it are kept, and as many of those equal to it as are still wanted. Three rows take turns, so that a count
// has three cycles.
#pragma once

#include "planes.hpp"

namespace peelvit {

constexpr int kPlaneDepth = 8;

// Of each candidate, by chunk, whether it is kept, and whether it is one of those of which the first `wanted` are kept
// as well.
struct Choice {
    ChunkBits chosen;
    ChunkBits tied;
    u16 wanted;
};

// Sums of three bits are two lookup tables each.
inline int set_bits(const bool (&bits)[kLanes]) {
    const int low = int(bits[0]) + int(bits[1]) + int(bits[2]);
    const int middle = int(bits[3]) + int(bits[4]) + int(bits[5]);
    const int high = int(bits[6]) + int(bits[7]);
    return low + middle + high;
}

// The candidates in question (`tied`) are told apart by their next bit: if at least as many have it as are wanted, those
// stay in question, else they are chosen and the others stay.
inline void look_at_bits(const ChunkBits& bits, Choice& choice) {
#pragma HLS inline
    ChunkBits ones;
#pragma HLS array_partition variable=ones type=complete dim=0
    int count = 0;
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            ones[b][lane] = choice.tied[b][lane] && bits[b][lane];
        }
        count += set_bits(ones[b]);
    }
    const bool is_enough = count >= int(choice.wanted);
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const bool one = ones[b][lane];
            choice.chosen[b][lane] = choice.chosen[b][lane] || (is_enough ? false : one);
            choice.tied[b][lane] = is_enough ? one : choice.tied[b][lane] && !bits[b][lane];
        }
    }
    if (!is_enough) choice.wanted = u16((int(choice.wanted) - count) & kPatchMask);
}

// What is known of a row before the first bit. Lanes behind the last candidate have value 0 and are the last among equals,
// so they are never kept.
inline void begin_choice(const Selection& job, int chunks, Choice& choice) {
#pragma HLS inline
    choice.wanted = u16(((job.keep & kPatchMask) - (job.includes_own ? 1 : 0)) & kPatchMask);
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            choice.chosen[b][lane] = false;
            choice.tied[b][lane] = b < chunks;
        }
    }
}

// What was a bank's belongs to the next one in the next plane.
inline void move_on(const Choice& choice, Choice& moved) {
#pragma HLS inline
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            moved.chosen[b][lane] = choice.chosen[(b - 1) & (kBanks - 1)][lane];
            moved.tied[b][lane] = choice.tied[(b - 1) & (kBanks - 1)][lane];
        }
    }
    moved.wanted = choice.wanted;
}

// A bit of one row a cycle, three rows in turn.
inline void select_largest(const BitPlanes& planes, const Selection& job, int group, Choice choices[kSelectPorts]) {
    const int rows = rows_of_group(job, group);
    const int chunks = chunks_of(job);
    Choice first;  // whose turn it is
    Choice second;
    Choice third;
    Choice moved;
    u8 chunk[kBanks];  // that each bank holds of the present plane
#pragma HLS array_partition variable=first.chosen type=complete dim=0
#pragma HLS array_partition variable=first.tied type=complete dim=0
#pragma HLS array_partition variable=second.chosen type=complete dim=0
#pragma HLS array_partition variable=second.tied type=complete dim=0
#pragma HLS array_partition variable=third.chosen type=complete dim=0
#pragma HLS array_partition variable=third.tied type=complete dim=0
#pragma HLS array_partition variable=moved.chosen type=complete dim=0
#pragma HLS array_partition variable=moved.tied type=complete dim=0
#pragma HLS array_partition variable=chunk type=complete
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        chunk[b] = u8(b);
    }
    u8 row = 0;
    u8 plane = 0;
select_bits:
    for (int i = 0; i < kSelectPorts * kPlanes; ++i) {
        PIPELINE(i == 0, 1, kPlaneDepth);
        if (plane == 0) begin_choice(job, chunks, first);
        ChunkBits bits;
#pragma HLS array_partition variable=bits type=complete dim=0
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                bits[b][lane] = bool(planes[b][chunk[b] & (kBanks - 1)][kLanes * (int(row) & 3) + lane]);
            }
        }
        look_at_bits(bits, first);
        move_on(first, moved);
        if (int(plane) == kPlanes - 1 && int(row) < rows) choices[row] = moved;
        first = second;
        second = third;
        third = moved;
        const bool is_last = int(row) == kSelectPorts - 1;
        row = is_last ? u8(0) : u8(row + 1);
        if (is_last) {
            plane = u8(plane + 1);
            const u8 behind = chunk[kBanks - 1];
            for (int b = kBanks - 1; b > 0; --b) {
#pragma HLS unroll
                chunk[b] = chunk[b - 1];
            }
            chunk[0] = behind;
        }
    }
}

}  // namespace peelvit

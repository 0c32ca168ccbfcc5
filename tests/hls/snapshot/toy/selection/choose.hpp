// The k-th largest value is found bit by bit, from the highest on, by counting: all candidates are looked at at once.
// Those above it are kept, and as many of those equal to it as are still wanted. Three rows take turns, so that a count
// has three cycles.
#pragma once

#include "planes.hpp"

namespace peelvit {

constexpr int kPlaneDepth = 8;

// A bit of each candidate, by chunk: those that are kept, and those of which the first `wanted` are kept as well.
struct Choice {
    u8 chosen[kBanks];
    u8 tied[kBanks];
    u16 wanted;
};

inline int bit_of(u8 byte, int lane) { return int(byte) >> lane & 1; }

// Sums of three bits are two lookup tables each.
inline int set_bits(u8 byte) {
    const int low = bit_of(byte, 0) + bit_of(byte, 1) + bit_of(byte, 2);
    const int middle = bit_of(byte, 3) + bit_of(byte, 4) + bit_of(byte, 5);
    const int high = bit_of(byte, 6) + bit_of(byte, 7);
    return low + middle + high;
}

// The candidates in question (`tied`) are told apart by their next bit: if at least as many have it as are wanted, those
// stay in question, else they are chosen and the others stay.
inline void look_at_bits(const u8 (&bits)[kBanks], Choice& choice) {
#pragma HLS inline
    u8 ones[kBanks];
#pragma HLS array_partition variable=ones type=complete
    int count = 0;
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        ones[b] = u8(choice.tied[b] & bits[b]);
        count += set_bits(ones[b]);
    }
    const bool is_enough = count >= int(choice.wanted);
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        const u8 zeros = u8(choice.tied[b] ^ ones[b]);
        choice.chosen[b] = u8(choice.chosen[b] | (is_enough ? u8(0) : ones[b]));
        choice.tied[b] = is_enough ? ones[b] : zeros;
    }
    if (!is_enough) choice.wanted = u16((int(choice.wanted) - count) & kPatchMask);
}

// What is known of row `own` before the first bit. Lanes behind the last candidate have value 0 and are the last among
// equals, so they are never kept.
inline void begin_choice(const Selection& job, int own, int chunks, Choice& choice) {
#pragma HLS inline
    choice.wanted = u16(((job.keep & kPatchMask) - (job.includes_own ? 1 : 0)) & kPatchMask);
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        const bool has_own = job.includes_own && own / kLanes == b;
        const u8 of_own = has_own ? u8(1 << own % kLanes) : u8(0);
        choice.chosen[b] = of_own;
        choice.tied[b] = b < chunks ? u8(of_own ^ 0xFF) : u8(0);
    }
}

// What was a bank's belongs to the next one in the next plane.
inline void move_on(const Choice& choice, Choice& moved) {
#pragma HLS inline
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        moved.chosen[b] = choice.chosen[(b - 1) & (kBanks - 1)];
        moved.tied[b] = choice.tied[(b - 1) & (kBanks - 1)];
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
#pragma HLS array_partition variable=first.chosen type=complete
#pragma HLS array_partition variable=first.tied type=complete
#pragma HLS array_partition variable=second.chosen type=complete
#pragma HLS array_partition variable=second.tied type=complete
#pragma HLS array_partition variable=third.chosen type=complete
#pragma HLS array_partition variable=third.tied type=complete
#pragma HLS array_partition variable=moved.chosen type=complete
#pragma HLS array_partition variable=moved.tied type=complete
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
        if (plane == 0) begin_choice(job, kSelectPorts * (group & kPatchMask) + (int(row) & 3), chunks, first);
        u8 bits[kBanks];
#pragma HLS array_partition variable=bits type=complete
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            bits[b] = planes[b][row & 3][chunk[b] & (kBanks - 1)];
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

// What was chosen as lists of indices, ascending and packed eight a word.
#pragma once

#include "choose.hpp"

namespace peelvit {

// The lanes of a chunk whose bit is set, the lowest one first, three bits each.
static const int kSetLanes[256] = {
    // clang-format off
    0, 0, 1, 8, 2, 16, 17, 136, 3, 24, 25, 200, 26, 208, 209, 1672,
    4, 32, 33, 264, 34, 272, 273, 2184, 35, 280, 281, 2248, 282, 2256, 2257, 18056,
    5, 40, 41, 328, 42, 336, 337, 2696, 43, 344, 345, 2760, 346, 2768, 2769, 22152,
    44, 352, 353, 2824, 354, 2832, 2833, 22664, 355, 2840, 2841, 22728, 2842, 22736, 22737, 181896,
    6, 48, 49, 392, 50, 400, 401, 3208, 51, 408, 409, 3272, 410, 3280, 3281, 26248,
    52, 416, 417, 3336, 418, 3344, 3345, 26760, 419, 3352, 3353, 26824, 3354, 26832, 26833, 214664,
    53, 424, 425, 3400, 426, 3408, 3409, 27272, 427, 3416, 3417, 27336, 3418, 27344, 27345, 218760,
    428, 3424, 3425, 27400, 3426, 27408, 27409, 219272, 3427, 27416, 27417, 219336, 27418, 219344, 219345, 1754760,
    7, 56, 57, 456, 58, 464, 465, 3720, 59, 472, 473, 3784, 474, 3792, 3793, 30344,
    60, 480, 481, 3848, 482, 3856, 3857, 30856, 483, 3864, 3865, 30920, 3866, 30928, 30929, 247432,
    61, 488, 489, 3912, 490, 3920, 3921, 31368, 491, 3928, 3929, 31432, 3930, 31440, 31441, 251528,
    492, 3936, 3937, 31496, 3938, 31504, 31505, 252040, 3939, 31512, 31513, 252104, 31514, 252112, 252113, 2016904,
    62, 496, 497, 3976, 498, 3984, 3985, 31880, 499, 3992, 3993, 31944, 3994, 31952, 31953, 255624,
    500, 4000, 4001, 32008, 4002, 32016, 32017, 256136, 4003, 32024, 32025, 256200, 32026, 256208, 256209, 2049672,
    501, 4008, 4009, 32072, 4010, 32080, 32081, 256648, 4011, 32088, 32089, 256712, 32090, 256720, 256721, 2053768,
    4012, 32096, 32097, 256776, 32098, 256784, 256785, 2054280, 32099, 256792, 256793, 2054344, 256794, 2054352, 2054353, 16434824,
    // clang-format on
};

// The lowest `wanted` bits that are set in a byte.
inline int lowest_bits(u8 byte, int wanted) {
    int kept = 0;
    int below = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        const int bit = int(byte) >> lane & 1;
        if (below < wanted) kept |= bit << lane;
        below += bit;
    }
    return kept;
}

// Indices waiting to fill a word, zeros behind them.
struct WaitingIndices {
    patch_t index[2 * kLanes];
    u8 waiting;
};

// Append the lanes of chunk `chunk` that are set in `kept`.
inline void append(WaitingIndices& line, int kept, int chunk) {
    const int lanes = kSetLanes[kept & 0xFF];
    const int count = set_bits(u8(kept));
    patch_t fresh[2 * kLanes];
#pragma HLS array_partition variable=fresh type=complete
    for (int k = 0; k < 2 * kLanes; ++k) {
#pragma HLS unroll
        const int lane = k < kLanes ? lanes >> (3 * (k & 7)) & 7 : 0;
        fresh[k] = k < count ? patch_t((kLanes * chunk & kPatchMask) | lane) : patch_t(0);
    }
    for (int s = 0; s < 3; ++s) {
#pragma HLS unroll
        for (int k = 2 * kLanes - 1; k >= 0; --k) {
#pragma HLS unroll
            const int from = k - (1 << s);
            if ((int(line.waiting) >> s & 1) != 0) fresh[k] = from >= 0 ? fresh[larger(from, 0)] : patch_t(0);
        }
    }
    for (int k = 0; k < 2 * kLanes; ++k) {
#pragma HLS unroll
        line.index[k] = patch_t(line.index[k] | fresh[k]);
    }
    line.waiting = u8((int(line.waiting) + count) & (2 * kLanes - 1));
}

// The first eight of the line.
inline word_t take_word(WaitingIndices& line) {
    word_t word = zero_word();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        put16(word, lane, i16(line.index[lane]));
        line.index[lane] = line.index[kLanes + lane];
        line.index[kLanes + lane] = 0;
    }
    line.waiting = u8(larger(int(line.waiting) - kLanes, 0));
    return word;
}

// Kept indices, packed eight a word: eight candidates a cycle, and one more cycle for the last word of a row.
inline void pack_lists(const Choice choices[kSelectPorts], const Selection& job, int group,
                       word_t lists[kSelectPorts * kIndexWords]) {
    const int steps = chunks_of(job) + 1;
    const int cycles = short_product(rows_of_group(job, group), steps);
    Choice choice;  // its next chunk in front
    WaitingIndices line;
#pragma HLS array_partition variable=choice.chosen type=complete
#pragma HLS array_partition variable=choice.tied type=complete
#pragma HLS array_partition variable=line.index type=complete
    for (int k = 0; k < 2 * kLanes; ++k) {
#pragma HLS unroll
        line.index[k] = 0;
    }
    line.waiting = 0;
    u8 row = 0;
    u8 step = 0;
    u16 place = 0;
pack_lists:
    for (int i = 0; i < cycles; ++i) {
#pragma HLS loop_tripcount max = 33
        PIPELINE(i == 0, 1, 8);
        if (step == 0) choice = choices[row];
        const int ties = set_bits(choice.tied[0]);
        const int wanted = int(choice.wanted) & kPatchMask;
        append(line, int(choice.chosen[0]) | lowest_bits(choice.tied[0], smaller(wanted, kLanes)), int(step));
        choice.wanted = u16(larger(wanted - ties, 0));
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            choice.chosen[b] = b + 1 < kBanks ? choice.chosen[smaller(b + 1, kBanks - 1)] : u8(0);
            choice.tied[b] = b + 1 < kBanks ? choice.tied[smaller(b + 1, kBanks - 1)] : u8(0);
        }
        const bool is_last = int(step) == steps - 1;
        if (int(line.waiting) >= kLanes || (is_last && int(line.waiting) > 0)) {
            lists[place] = take_word(line);
            place = u16(place + 1);
        }
        step = is_last ? u8(0) : u8(step + 1);
        if (is_last) row = u8(row + 1);
    }
}

inline void store_lists(word_t* mem2, const Selection& job, int group, const word_t lists[kSelectPorts * kIndexWords]) {
    const int words = words16(job.keep & kPatchMask);
    u16 place = 0;
store_lists:
    for (int row = 0; row < rows_of_group(job, group); ++row) {
#pragma HLS loop_tripcount max = 3
        const unsigned list = job.first_list + unsigned(kSelectPorts * group + row);
        const unsigned address = row_address(job.lists, list);
    store_list:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
            PIPELINE(w == 0, 1, 4);
            write_word<2>(mem2, address + unsigned(w), lists[place + w]);
        }
        place = u16(place + words);
    }
}

}  // namespace peelvit

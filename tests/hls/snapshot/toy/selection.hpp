// The selection unit: exact top-k of rows of the attention map, the lowest index winning ties, kept indices ascending.
//
// The k-th largest value is found bit by bit, from the highest on, by counting: all candidates are looked at at once.
// Those above it are kept, and as many of those equal to it as are still wanted. Three rows take turns, so that a count
// has three cycles. A row lies in bit planes, eight candidates (a chunk) to a byte; byte p of chunk c is in bank c + p,
// so that all planes of a chunk are written at once, and a plane of all chunks is read at once.
#pragma once

#include "instruction.hpp"
#include "slots.hpp"

namespace peelvit {

constexpr int kSelectPorts = 3;  // rows are read side by side, one through each port
constexpr int kRowLanes = 2;     // candidates of each row a cycle
constexpr int kSelectChunks = (kMaxPatches + kLanes - 1) / kLanes;
constexpr int kSelectRows = 80;
constexpr int kSelectGroups = (kSelectRows + kSelectPorts - 1) / kSelectPorts;
constexpr int kPlanes = 32;
constexpr int kBankBits = 5;
constexpr int kBanks = 1 << kBankBits;  // at least as many as planes and as chunks
constexpr int kPatchMask = 127;
constexpr int kPlaneDepth = 8;
constexpr int kMapRowWords = kMaxPatches / kWideLanes + 1;
constexpr int kIndexWords = (kMaxPatches + kLanes - 1) / kLanes;

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

// What is chosen in each row: `keep` of `candidates` columns; with `includes_own`, column q of row q is always kept.
struct Selection {
    Matrix lists;
    unsigned first_list;
    int rows, map_words, candidates, keep;
    bool includes_own;
};

// Word addresses of the map rows, by port; row q is read through port q % kSelectPorts.
struct MapRows {
    unsigned address[kSelectGroups];
};

// A row of the map, a copy for each lane of the gathering.
using RowCopies = word_t[kRowLanes][kMapRowWords];

// Bit planes of three rows, by bank; those of a row follow each other by chunk.
using BitPlanes = u8[kBanks][kSelectPorts * kBanks];

// A bit of each candidate, by chunk: those that are kept, and those of which the first `wanted` are kept as well.
struct Choice {
    u8 chosen[kBanks];
    u8 tied[kBanks];
    int wanted;
};

inline int rows_of_group(const Selection& job, int group) {
    return smaller(kSelectPorts, (job.rows & kPatchMask) - kSelectPorts * (group & kPatchMask));
}
inline int chunks_of(const Selection& job) { return ((job.candidates & kPatchMask) + kLanes - 1) / kLanes; }

template <int kPort>
inline void load_map_row(const word_t* mem, const Selection& job, int group, const MapRows& rows, RowCopies& copies) {
    const int words = kPort < rows_of_group(job, group) ? job.map_words : 0;
load_map_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 21
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<kPort>(mem, rows.address[group] + unsigned(w));
        for (int lane = 0; lane < kRowLanes; ++lane) {
#pragma HLS unroll
            copies[lane][w] = word;
        }
    }
}

// A chunk's bytes in their banks: byte `plane` (the highest bits first) in bank `chunk` + `plane`.
inline void store_chunk(const u32 (&values)[kLanes], int row, int chunk, BitPlanes& planes) {
    u8 bytes[kBanks];
#pragma HLS array_partition variable=bytes type=complete
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        unsigned byte = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            if (b < kPlanes) byte |= (unsigned(values[lane]) >> (kPlanes - 1 - b) & 1u) << lane;
        }
        bytes[b] = u8(byte);
    }
    for (int s = 0; s < kBankBits; ++s) {
#pragma HLS unroll
        u8 turned[kBanks];
#pragma HLS array_partition variable=turned type=complete
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            turned[b] = (chunk >> s & 1) != 0 ? bytes[(b - (1 << s)) & (kBanks - 1)] : bytes[b];
        }
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            bytes[b] = turned[b];
        }
    }
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        planes[b][kBanks * row + chunk] = bytes[b];
    }
}

// The candidates of each row in the order of `columns`, two a cycle; the rows follow each other by a cycle, so that their
// chunks are complete one after the other. Sign bits are inverted, so that values compare as unsigned.
inline void gather_columns(const RowCopies& first, const RowCopies& second, const RowCopies& third,
                           const Selection& job, const i16 columns[kMaxPatches], BitPlanes& planes) {
    const int steps = kLanes / kRowLanes;
    const int pairs = steps * chunks_of(job);
    const int candidates = job.candidates & kPatchMask;
    int column[kSelectPorts][kRowLanes];  // of each row's pair; 0: there is none
    u32 values[kSelectPorts][kLanes];     // shifted in
#pragma HLS array_partition variable=column type=complete dim=0
#pragma HLS array_partition variable=values type=complete dim=0
    for (int row = 0; row < kSelectPorts; ++row) {
#pragma HLS unroll
        for (int lane = 0; lane < kRowLanes; ++lane) {
#pragma HLS unroll
            column[row][lane] = 0;
        }
    }
gather_columns:
    for (int i = 0; i < pairs + kSelectPorts - 1; ++i) {
#pragma HLS loop_tripcount max = 42
        PIPELINE(i == 0, 1, 8);
        const int pair = i & kPatchMask;
        for (int lane = 0; lane < kRowLanes; ++lane) {
#pragma HLS unroll
            const int candidate = kRowLanes * pair + lane;
            column[2][lane] = column[1][lane];
            column[1][lane] = column[0][lane];
            column[0][lane] = candidate < candidates ? (1 + int(columns[candidate])) & kPatchMask : 0;
            const word_t words[kSelectPorts] = {first[lane][column[0][lane] / kWideLanes],
                                                second[lane][column[1][lane] / kWideLanes],
                                                third[lane][column[2][lane] / kWideLanes]};
            for (int row = 0; row < kSelectPorts; ++row) {
#pragma HLS unroll
                const u32 value = u32(get32(words[row], column[row][lane] % kWideLanes)) ^ u32(0x80000000u);
                for (int k = 0; k < kLanes / kRowLanes - 1; ++k) {
#pragma HLS unroll
                    values[row][kRowLanes * k + lane] = values[row][kRowLanes * (k + 1) + lane];
                }
                values[row][kLanes - kRowLanes + lane] = column[row][lane] == 0 ? u32(0) : value;
            }
        }
        const int row = (pair + 1) % steps;  // whose chunk is complete: row r has taken pair i - r
        const int taken = pair - row;
        u32 complete[kLanes];
#pragma HLS array_partition variable=complete type=complete
        for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
            complete[k] = row == 0 ? values[0][k] : row == 1 ? values[1][k] : values[2][k];
        }
        if (row < kSelectPorts && taken >= 0 && taken < pairs) {
            store_chunk(complete, row & 3, (taken & kPatchMask) / steps & (kBanks - 1), planes);
        }
    }
}

inline int set_bits(u8 byte) {
    const int pairs = (int(byte) & 0x55) + (int(byte) >> 1 & 0x55);
    const int halves = (pairs & 0x33) + (pairs >> 2 & 0x33);
    return (halves & 0xF) + (halves >> 4);
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
    const bool is_enough = count >= choice.wanted;
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        const u8 zeros = u8(choice.tied[b] ^ ones[b]);
        choice.chosen[b] = u8(choice.chosen[b] | (is_enough ? u8(0) : ones[b]));
        choice.tied[b] = is_enough ? ones[b] : zeros;
    }
    if (!is_enough) choice.wanted = (choice.wanted - count) & kPatchMask;
}

// What is known of row `own` before the first bit. Lanes behind the last candidate have value 0 and are the last among
// equals, so they are never kept.
inline void begin_choice(const Selection& job, int own, int chunks, Choice& choice) {
#pragma HLS inline
    choice.wanted = ((job.keep & kPatchMask) - (job.includes_own ? 1 : 0)) & kPatchMask;
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
#pragma HLS array_partition variable=first.chosen type=complete
#pragma HLS array_partition variable=first.tied type=complete
#pragma HLS array_partition variable=second.chosen type=complete
#pragma HLS array_partition variable=second.tied type=complete
#pragma HLS array_partition variable=third.chosen type=complete
#pragma HLS array_partition variable=third.tied type=complete
#pragma HLS array_partition variable=moved.chosen type=complete
#pragma HLS array_partition variable=moved.tied type=complete
    int row = 0;
    int plane = 0;
select_bits:
    for (int i = 0; i < kSelectPorts * kPlanes; ++i) {
        PIPELINE(i == 0, 1, kPlaneDepth);
        if (plane == 0) begin_choice(job, kSelectPorts * (group & kPatchMask) + (row & 3), chunks, first);
        u8 bits[kBanks];
#pragma HLS array_partition variable=bits type=complete
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            bits[b] = planes[b][kBanks * (row & 3) + ((b - plane) & (kBanks - 1))];
        }
        look_at_bits(bits, first);
        move_on(first, moved);
        if (plane == kPlanes - 1 && row < rows) choices[row] = moved;
        first = second;
        second = third;
        third = moved;
        ++row;
        if (row == kSelectPorts) {
            row = 0;
            ++plane;
        }
    }
}

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
    i16 index[2 * kLanes];
    int waiting;
};

// Append the lanes of chunk `chunk` that are set in `kept`.
inline void append(WaitingIndices& line, int kept, int chunk) {
    const int lanes = kSetLanes[kept & 0xFF];
    const int count = set_bits(u8(kept));
    i16 fresh[2 * kLanes];
#pragma HLS array_partition variable=fresh type=complete
    for (int k = 0; k < 2 * kLanes; ++k) {
#pragma HLS unroll
        const int lane = k < kLanes ? lanes >> (3 * (k & 7)) & 7 : 0;
        fresh[k] = k < count ? i16((kLanes * chunk & kPatchMask) | lane) : i16(0);
    }
    for (int s = 0; s < 3; ++s) {
#pragma HLS unroll
        for (int k = 2 * kLanes - 1; k >= 0; --k) {
#pragma HLS unroll
            const int from = k - (1 << s);
            if ((line.waiting >> s & 1) != 0) fresh[k] = from >= 0 ? fresh[larger(from, 0)] : i16(0);
        }
    }
    for (int k = 0; k < 2 * kLanes; ++k) {
#pragma HLS unroll
        line.index[k] = i16(line.index[k] | fresh[k]);
    }
    line.waiting = (line.waiting + count) & (2 * kLanes - 1);
}

// The first eight of the line.
inline word_t take_word(WaitingIndices& line) {
    word_t word = zero_word();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        put16(word, lane, line.index[lane]);
        line.index[lane] = line.index[kLanes + lane];
        line.index[kLanes + lane] = 0;
    }
    line.waiting = larger(line.waiting - kLanes, 0);
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
    int row = 0;
    int step = 0;
    int place = 0;
pack_lists:
    for (int i = 0; i < cycles; ++i) {
#pragma HLS loop_tripcount max = 33
        PIPELINE(i == 0, 1, 8);
        if (step == 0) choice = choices[row];
        const int ties = set_bits(choice.tied[0]);
        append(line, int(choice.chosen[0]) | lowest_bits(choice.tied[0], choice.wanted), step & kPatchMask);
        choice.wanted = larger(choice.wanted - ties, 0);
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            choice.chosen[b] = b + 1 < kBanks ? choice.chosen[smaller(b + 1, kBanks - 1)] : u8(0);
            choice.tied[b] = b + 1 < kBanks ? choice.tied[smaller(b + 1, kBanks - 1)] : u8(0);
        }
        if (line.waiting >= kLanes || (step == steps - 1 && line.waiting > 0)) {
            lists[place] = take_word(line);
            ++place;
        }
        ++step;
        if (step == steps) {
            step = 0;
            ++row;
        }
    }
}

inline void store_lists(word_t* mem2, const Selection& job, int group, const word_t lists[kSelectPorts * kIndexWords]) {
    const int words = words16(job.keep);
    int place = 0;
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
        place += words;
    }
}

inline void select_in_rows(const word_t* mem0, const word_t* mem1, word_t* mem2, const Selection& job, int groups,
                           const i16 columns[kMaxPatches], const MapRows rows[kSelectPorts]) {
#pragma HLS inline off
select_groups:
    for (int group = 0; group < groups; ++group) {
#pragma HLS loop_tripcount max = 27
        DATAFLOW(group == 0);
        RowCopies first;
        RowCopies second;
        RowCopies third;
        BitPlanes planes;
        Choice choices[kSelectPorts];
        word_t lists[kSelectPorts * kIndexWords];
#pragma HLS array_partition variable=first type=complete dim=1
#pragma HLS array_partition variable=second type=complete dim=1
#pragma HLS array_partition variable=third type=complete dim=1
#pragma HLS array_partition variable=planes type=complete dim=1
#pragma HLS aggregate variable=choices
#pragma HLS stream variable=choices type=fifo depth=2
#pragma HLS stream variable=lists type=fifo depth=8
        PROCESS(load_map_row<0>(mem0, job, group, rows[0], first));
        BESIDE(load_map_row<1>(mem1, job, group, rows[1], second));
        BESIDE(load_map_row<2>(mem2, job, group, rows[2], third));
        PROCESS(gather_columns(first, second, third, job, columns, planes));
        PROCESS(select_largest(planes, job, group, choices));
        PROCESS(pack_lists(choices, job, group, lists));
        PROCESS(store_lists(mem2, job, group, lists));
    }
}

// Place rows one after the other.
struct RowPlace {
    int port, index;
};

inline RowPlace first_map_place() {
    RowPlace place;
    place.port = 0;
    place.index = 0;
    return place;
}

inline void place_row(MapRows rows[kSelectPorts], RowPlace& place, unsigned address) {
    for (int port = 0; port < kSelectPorts; ++port) {
#pragma HLS unroll
        if (port == place.port) rows[port].address[place.index] = address;
    }
    ++place.port;
    if (place.port == kSelectPorts) {
        place.port = 0;
        ++place.index;
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

}  // namespace peelvit

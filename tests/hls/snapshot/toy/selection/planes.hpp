// Rows of the map as bit planes: how the candidates of three rows are gathered and turned.
//
// A row lies in bit planes, eight candidates (a chunk) to a word; plane p of chunk c is in bank c + p, so that all planes
// of a chunk are written at once, and a plane of all chunks is read at once. The rows lie side by side in the banks.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kPlanes = 32;
constexpr int kBankBits = 5;
constexpr int kBanks = 1 << kBankBits;  // at least as many as planes and as chunks
constexpr int kMapRowWords = kMaxPatches / kWideLanes + 1;

// A row of the map.
using MapRow = word_t[kMapRowWords];

// A bit of each candidate of a chunk, by bank.
using ChunkBits = bool[kBanks][kLanes];

// A bit that is kept in a memory: before it is written it may be any byte of the machine's.
#ifdef PEELVIT_NATIVE
using bit_t = u8;
#else
using bit_t = bool;
#endif

// Bit planes of three rows, by bank and chunk: lane l of row r is bit kLanes * r + l.
using BitPlanes = bit_t[kBanks][kBanks][kSelectPorts * kLanes];

template <int kPort>
inline void load_map_row(const word_t* mem, const Selection& job, int group, const MapRows& rows, MapRow& row) {
    const int words = kPort < rows_of_group(job, group) ? job.map_words : 0;
load_map_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 21
        PIPELINE(w == 0, 1, kReadLatency);
        row[w] = read_word<kPort>(mem, rows.address[group] + unsigned(w));
    }
}

// One more candidate of a chunk: plane p (the highest bits first) of its value into bank `chunk` + p.
inline void shift_in(u32 value, int chunk, ChunkBits& bits) {
#pragma HLS inline
    bool turned[kBanks];
    bool next[kBanks];
#pragma HLS array_partition variable=turned type=complete
#pragma HLS array_partition variable=next type=complete
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        const int place = larger(kPlanes - 1 - b, 0);
        turned[b] = b < kPlanes ? bool(unsigned(value) >> place & 1u) : false;
    }
    for (int s = 0; s < kBankBits; ++s) {
#pragma HLS unroll
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            next[b] = (chunk >> s & 1) != 0 ? turned[(b - (1 << s)) & (kBanks - 1)] : turned[b];
        }
        for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
            turned[b] = next[b];
        }
    }
    for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            bits[b][lane] = lane + 1 < kLanes ? bits[b][(lane + 1) & (kLanes - 1)] : turned[b];
        }
    }
}

// The candidates of each row in the order of `columns`, one of each a cycle: two would not be faster by as much as their
// copies of the rows are larger. Sign bits are inverted, so that values compare as unsigned; a row's own candidate is kept
// without being compared, so that it gets the lowest value.
inline void gather_columns(const MapRow& first, const MapRow& second, const MapRow& third, const Selection& job,
                           int group, const patch_t columns[kIndices], BitPlanes& planes) {
    const int candidates = job.candidates & kPatchMask;
    const int own = first_own(job, group);
    ChunkBits bits[kSelectPorts] = {};
#pragma HLS array_partition variable=bits type=complete dim=0
gather_columns:
    for (int i = 0; i < kLanes * chunks_of(job); ++i) {
#pragma HLS loop_tripcount max = 80
        PIPELINE(i == 0, 1, 8);
        const int candidate = i & kPatchMask;
        const int chunk = candidate / kLanes & (kBanks - 1);
        const bool is_one = candidate < candidates;
        const int of_row = candidate - own;  // whose own one it is
        const int column = 1 + natural<kPatchBits>(unsigned(int(columns[candidate])));
        const word_t words[kSelectPorts] = {first[column / kWideLanes], second[column / kWideLanes],
                                            third[column / kWideLanes]};
        for (int row = 0; row < kSelectPorts; ++row) {
#pragma HLS unroll
            const u32 value = u32(get32(words[row], column % kWideLanes)) ^ u32(0x80000000u);
            shift_in(is_one && of_row != row ? value : u32(0), chunk, bits[row]);
            if (candidate % kLanes == kLanes - 1) {
                for (int b = 0; b < kBanks; ++b) {
#pragma HLS unroll
                    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                        planes[b][chunk][kLanes * row + lane] = bits[row][b][lane];
                    }
                }
            }
        }
    }
}

}  // namespace peelvit

// Rows of the map as bit planes: how the candidates of three rows are gathered and turned.
//
// A row lies in bit planes, eight candidates (a chunk) to a byte; byte p of chunk c is in bank c + p, so that all planes of
// a chunk are written at once, and a plane of all chunks is read at once.
#pragma once

#include "job.hpp"

namespace peelvit {

constexpr int kRowLanes = 2;  // candidates of each row a cycle
constexpr int kPlanes = 32;
constexpr int kBankBits = 5;
constexpr int kBanks = 1 << kBankBits;  // at least as many as planes and as chunks
constexpr int kMapRowWords = kMaxPatches / kWideLanes + 1;

// A row of the map, a copy for each lane of the gathering.
using RowCopies = word_t[kRowLanes][kMapRowWords];

// Bit planes of three rows, by bank, row and chunk.
using BitPlanes = u8[kBanks][kSelectPorts][kBanks];

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
        planes[b][row][chunk] = bytes[b];
    }
}

// The candidates of each row in the order of `columns`, two a cycle; the rows follow each other by a cycle, so that their
// chunks are complete one after the other. Sign bits are inverted, so that values compare as unsigned.
inline void gather_columns(const RowCopies& first, const RowCopies& second, const RowCopies& third,
                           const Selection& job, const patch_t columns[kMaxPatches], BitPlanes& planes) {
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

}  // namespace peelvit

// What comes over the memory ports into the GEMM engine: buffers, words of all ports at once, and where they lie.
//
// Reads that fall outside of an operand are moved inside, so every burst has its full length; nobody uses what they bring.
#pragma once

#include "../fifos.hpp"
#include "../update/weight.hpp"
#include "step.hpp"

namespace peelvit {

constexpr int kColumnBits = 13;  // of a column of an output

// Rows of the first operand: the words of a pass that are new, by bank and place in a pair.
using RowBuffer = word_t[kPorts][kPair][kStepGroups * kChunkPairs];
// Columns of the second operand, in words of eight: by pair of contraction steps, place there, port and word of the port. By
// place and word they are FIFOs over the pairs of a step.
#ifdef PEELVIT_CHECKS_FIFOS
using ColumnBuffer = Fifos<word_t, kColumnPairs, kPair, kPorts, kPortWords>;
#else
using ColumnBuffer = word_t[kColumnPairs][kPair][kPorts][kPortWords];
#endif
using KeptColumns = word_t[kKeptPairs][kPair][kPorts][kPortWords];
// Words of bias (or a class row) and residuals, and of saved values, by port. Weight gradients are in both, one word of
// two in each.
constexpr int kExtraWords = (kLineRows + 1) * kPortWords;
using ExtraBuffer = word_t[kPorts][kExtraWords];
using SavedBuffer = word_t[kPorts][kLineRows * kPortWords];
// Words of an update: weights or low halves of master weights, of eight elements; and momenta, two words of eight elements,
// as many at once as an update takes.
constexpr int kStateLanes = kUpdateLanes / kWideLanes;
constexpr int kWeightWords = 21;  // of weights, of a pass
#ifdef PEELVIT_CHECKS_FIFOS
using WeightBuffer = Fifos<word_t, kWeightWords, kPorts>;
#else
using WeightBuffer = word_t[kWeightWords][kPorts];
#endif
#ifdef PEELVIT_CHECKS_FIFOS
using StateBuffer = Fifos<word_t, 2 / kStateLanes * kWeightWords, kPorts, kStateLanes>;
#else
using StateBuffer = word_t[2 / kStateLanes * kWeightWords][kPorts][kStateLanes];
#endif
// Words of a panel's bias gradients, or of the first operand's class row at its rows.
using BiasBuffer = word_t[kPanelRows / kWideLanes];

// A word of each port at once.
using PortWords = word_t[kPorts];

inline void read_ports(const word_t* mem0, const word_t* mem1, const word_t* mem2, const unsigned (&address)[kPorts], int w, PortWords& word) {
#pragma HLS inline
    word[0] = read_word<0>(mem0, address[0] + unsigned(w));
    word[1] = read_word<1>(mem1, address[1] + unsigned(w));
    word[2] = read_word<2>(mem2, address[2] + unsigned(w));
}

// Those of them that exist; nobody uses the others.
inline void read_some(const word_t* mem0, const word_t* mem1, const word_t* mem2, const unsigned (&address)[kPorts],
                      const bool (&exists)[kPorts], int w, PortWords& word) {
#pragma HLS inline
    word_t first, second, third;
    if (exists[0]) first = read_word<0>(mem0, address[0] + unsigned(w));
    if (exists[1]) second = read_word<1>(mem1, address[1] + unsigned(w));
    if (exists[2]) third = read_word<2>(mem2, address[2] + unsigned(w));
    word[0] = first;
    word[1] = second;
    word[2] = third;
}

// How far words of eight columns are from the first one; they take `scale` words each: 1, 2, or of states 3.
inline unsigned words_beyond(int words, int scale) {
    return unsigned(scale == 1 ? words : (scale == 2 ? words << 1 : narrow<kColumnBits>(words + (words << 1))));
}

// How far the step's columns are in a row.
inline unsigned column_word(const GemmStep& step, int scale) {
    return words_beyond(natural<kColumnBits>(unsigned(step.column)) / kLanes, scale);
}

// How far behind the step's first word of a row a port's words are: those of its part, or of its row of those from this
// one on.
inline unsigned beyond_first(const GemmJob& job, const GemmStep& step, int port, int pitch, int scale) {
#pragma HLS inline
    return moves_rows(job) ? unsigned(port * pitch) : words_beyond(start_of(step, port), scale);
}

// Addresses of a row's words of the step's columns, in parts.
inline void row_part(unsigned row, const GemmStep& step, unsigned (&address)[kPorts]) {
#pragma HLS inline
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        address[port] = row + unsigned(natural<kColumnBits>(unsigned(step.column)) / kLanes + start_of(step, port));
    }
}

}  // namespace peelvit

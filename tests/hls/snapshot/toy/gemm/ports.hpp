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
// Words of master weights or momenta, two of eight elements: as many at once as an update takes.
constexpr int kStateLanes = kUpdateLanes / kWideLanes;
#ifdef PEELVIT_CHECKS_FIFOS
using StateBuffer = Fifos<word_t, 2 / kStateLanes * kUpdateRows * kPortWords, kPorts, kStateLanes>;
#else
using StateBuffer = word_t[2 / kStateLanes * kUpdateRows * kPortWords][kPorts][kStateLanes];
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

// Addresses of a row's words of the step's columns; eight columns take `scale` words: 1, 2, or with states 4.
inline void row_part(unsigned row, const GemmStep& step, int scale, unsigned (&address)[kPorts]) {
#pragma HLS inline
    for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
        const int word = natural<kColumnBits>(unsigned(step.column)) / kLanes + start_of(step, port);
        address[port] = row + unsigned(word << (natural<3>(unsigned(scale)) >> 1));
    }
}

}  // namespace peelvit

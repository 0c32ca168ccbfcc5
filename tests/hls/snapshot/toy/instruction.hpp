// Instructions as the accelerator holds them. Rendered from hls/spec/instruction.py.
#pragma once

#include "config.hpp"
#include "cycles.hpp"
#include "types.hpp"

namespace peelvit {

constexpr unsigned kMagic = 0x564c4550u;
constexpr unsigned kVersion = 5u;
constexpr int kFields = 32;
constexpr int kInstructionWords = 8;
constexpr int kMaxOperands = 8;
constexpr int kMaxDimensions = 11;
constexpr int kSlotBits = 9;
constexpr int kMaxImmediates = 3;

constexpr int kHeaderMagic = 0;
constexpr int kHeaderVersion = 1;
constexpr int kHeaderInstructions = 2;
constexpr int kHeaderHashLow = 3;
constexpr int kHeaderHashHigh = 4;
constexpr int kHeaderSumLow = 5;
constexpr int kHeaderSumHigh = 6;
constexpr int kHeaderSlotTable = 7;
constexpr int kHeaderSlots = 8;

constexpr int kOpEnd = 0;
constexpr int kOpGemmNt = 1;
constexpr int kOpGemmNn = 2;
constexpr int kOpGemmTn = 3;
constexpr int kOpColumnSum = 4;
constexpr int kOpEmbedClass = 5;
constexpr int kOpLayernorm = 6;
constexpr int kOpLayernormBackward = 7;
constexpr int kOpSoftmax = 8;
constexpr int kOpSoftmaxBackward = 9;
constexpr int kOpGelu = 10;
constexpr int kOpGeluBackward = 11;
constexpr int kOpAttention = 12;
constexpr int kOpAttentionBackward = 13;
constexpr int kOpSelectTokens = 14;
constexpr int kOpSelectKeys = 15;
constexpr int kOpGatherTokens = 16;
constexpr int kOpScatterTokens = 17;
constexpr int kOpClassVariance = 18;
constexpr int kOpCrossEntropy = 19;
constexpr int kOpSgdUpdate = 20;
constexpr int kOpExponentUpdate = 21;
constexpr int kOpAdamwUpdate = 22;
constexpr int kOpLoadWeights = 23;

constexpr int kStatusOk = 0;
constexpr int kStatusProgramOutsideWindow = 1;
constexpr int kStatusBadMagic = 2;
constexpr int kStatusBadVersion = 3;
constexpr int kStatusConfigurationMismatch = 4;
constexpr int kStatusBadChecksum = 5;
constexpr int kStatusBadSlotTable = 6;
constexpr int kStatusUnknownOpcode = 7;
constexpr int kStatusBadField = 8;
constexpr int kStatusBadShape = 9;
constexpr int kStatusOutsideWindow = 10;
constexpr int kStatusBadSlot = 11;
constexpr int kStatusMissingEnd = 12;
constexpr int kStatusBusSlaveError = 13;
constexpr int kStatusBusDecodeError = 14;

// Where an operand lies: word address, words between rows, first slot.
struct Matrix {
    unsigned address;
    int pitch;
    int slot;
};

// The product of two numbers below 2^15, and the word address of a row: one multiplier each.
inline int short_product(int a, int b) { return int(multiply(i16(a), i16(b))); }
inline unsigned row_address(const Matrix& matrix, unsigned row) {
    return matrix.address + unsigned(multiply(u20(row), u17(matrix.pitch)));
}

struct Instruction {
    int opcode;
    unsigned flags;
    unsigned beside;
    unsigned address[kMaxOperands];
    unsigned layout[kMaxOperands];
    unsigned dimension[kMaxDimensions];
    unsigned immediate[kMaxImmediates];
};

inline bool is_attention(const Instruction& in) {
    return in.opcode == kOpAttention || in.opcode == kOpAttentionBackward;
}

inline Matrix operand(const Instruction& in, int index) {
    Matrix matrix;
    matrix.address = in.address[index];
    matrix.pitch = int(in.layout[index] & 0xFFFFu);
    matrix.slot = natural<kSlotBits>(in.layout[index] >> 16);
    return matrix;
}

// The 32-bit fields of `kInstructionWords` words.
inline void read_fields(const word_t* mem, unsigned address, unsigned fields[kFields]) {
read_fields:
    for (int w = 0; w < kInstructionWords; ++w) {
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + w);
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            fields[kWideLanes * w + lane] = unsigned(u32(get32(word, lane)));
        }
    }
}

// Instructions of the program that are on chip: the next ones come in one burst.
constexpr int kMostFetched = 8;
using FetchedWords = word_t[kMostFetched * kInstructionWords];

struct Fetched {
    unsigned address;  // of the next instruction to fetch
    u6 place;          // of the next one to run, among those on chip
    u6 left;           // of them
    unsigned behind;   // that are not fetched yet
};

inline Fetched nothing_fetched(unsigned program, int instructions) {
    Fetched fetched;
    fetched.behind = unsigned(instructions);
    fetched.address = program + kInstructionWords;  // behind the header
    fetched.place = 0;
    fetched.left = 0;
    return fetched;
}

// Have the next instruction on chip.
inline void fetch(const word_t* mem, FetchedWords& words, Fetched& fetched) {
    if (fetched.left != 0) return;
    const int count = fetched.behind / kMostFetched != 0 ? int(kMostFetched) : int(fetched.behind % kMostFetched);
    fetched.place = 0;
    fetched.left = u6(unsigned(natural<4>(unsigned(count))));
    fetched.behind -= unsigned(count);
fetch:
    for (int w = 0; w < natural<4>(unsigned(count)) * kInstructionWords; ++w) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(w == 0, 1, kReadLatency);
        words[w] = read_word<0>(mem, fetched.address + unsigned(w));
    }
    fetched.address += kMostFetched * kInstructionWords;
}

inline void advance(Fetched& fetched) {
    fetched.place = u6(fetched.place + 1);
    fetched.left = u6(fetched.left - 1);
}

// The fields of the next instruction.
inline void unpack(const FetchedWords& words, const Fetched& fetched, unsigned fields[kFields]) {
unpack:
    for (int w = 0; w < kInstructionWords; ++w) {
        PIPELINE(w == 0, 1, 2);
        const word_t word = words[kInstructionWords * natural<4>(fetched.place) + w];
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            fields[kWideLanes * w + lane] = unsigned(u32(get32(word, lane)));
        }
    }
}

inline Instruction decode(const unsigned fields[kFields]) {
#pragma HLS inline
    Instruction in;
    in.opcode = int(fields[0] & 0xFFu);
    in.flags = fields[0] >> 8;
    in.beside = fields[1];
decode_operands:
    for (int i = 0; i < kMaxOperands; ++i) {
#pragma HLS unroll
        in.address[i] = fields[2 + i];
        in.layout[i] = fields[10 + i];
    }
decode_dimensions:
    for (int i = 0; i < kMaxDimensions; ++i) {
#pragma HLS unroll
        in.dimension[i] = fields[18 + i];
    }
decode_immediates:
    for (int i = 0; i < kMaxImmediates; ++i) {
#pragma HLS unroll
        in.immediate[i] = fields[29 + i];
    }
    return in;
}

}  // namespace peelvit

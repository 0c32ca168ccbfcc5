// Which instructions are legal: flags, shapes, operands inside the window, slots; the checks of hls/spec/legality.py.
//
// What an op may have lies in tables by opcode (hls/spec/checks.py), and one unit looks at its dimensions and operands
// one after the other: a circuit for each op would be larger than all vector units.
#pragma once

#include "instruction.hpp"

namespace peelvit {

constexpr int kOpcodes = 23;
constexpr int kDimensionStride = 16;
constexpr int kSizes = 16;  // the dimensions, then constants
constexpr int kFactorBits = 5;
constexpr int kSegmentsDimension = 4;
constexpr int kShapeDepth = 16;    // cycles of a product of three factors and an address
constexpr int kShapeInterval = 4;  // of an operand: its six products share multipliers

static const int kOpFlags[23] = {
    // clang-format off
    0, 63, 7, 63, 1, 0, 1, 3, 0, 0, 0, 0, 15, 1, 0, 0,
    0, 0, 0, 1, 1, 0, 1,
    // clang-format on
};

static const int kOpRules[23] = {
    // clang-format off
    0, 255, 1793, 6145, 24577, 0, 32768, 65537, 0, 1, 0, 1, 134086656, 3538944, 134217728, 805306368,
    268435456, 268435456, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kOpDimensions[23] = {
    // clang-format off
    0, 9, 5, 4, 4, 2, 2, 3, 2, 3, 2, 3, 9, 6, 4, 4,
    4, 4, 3, 2, 2, 4, 2,
    // clang-format on
};

static const int kOpImmediates[23] = {
    // clang-format off
    0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 0, 1, 2, 0, 0,
    0, 0, 0, 2, 1, 0, 1,
    // clang-format on
};

static const int kDimensionLow[368] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kDimensionHigh[368] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 8, 4096, 512, 4096, 4096, 4096, 4096, 512, 0, 0, 0, 0, 0, 0, 0,
    4096, 8, 4096, 512, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    512, 8, 4096, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 4, 32, 80, 81, 81, 4096, 4096, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 4, 32, 80, 81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 81, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 80, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 80, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 80, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    512, 512, 31, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kOperandShape[184] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 899803968, 899803970, 899771226, 899771204, 899771200, 899771200, 899967815, 0,
    899803968, 899771203, 899771200, 899771200, 899771200, 0, 0, 0, 899771200, 899803968, 899803970, 899771226, 899803970, 899803970, 900098906, 0,
    899771200, 899771203, 0, 0, 0, 0, 0, 0, 899738458, 899738458, 899738432, 0, 0, 0, 0, 0,
    899738432, 899738458, 899738458, 900033354, 899738432, 899738432, 899705690, 0, 899771200, 899771200, 899705690, 899771226, 899771200, 899771200, 899771226, 899771226,
    899738432, 899738432, 0, 0, 0, 0, 0, 0, 899771200, 899771200, 899771200, 0, 0, 0, 0, 0,
    899738432, 899738432, 0, 0, 0, 0, 0, 0, 899771200, 899771200, 899771200, 0, 0, 0, 0, 0,
    103148064, 899835936, 900240448, 875653280, 900262080, 0, 0, 0, 103148064, 899835936, 900240448, 875653280, 900240448, 103148064, 0, 0,
    900261952, 899803968, 0, 0, 0, 0, 0, 0, 900262432, 899771200, 899803200, 0, 0, 0, 0, 0,
    899803680, 899771200, 899803712, 0, 0, 0, 0, 0, 899803712, 899771200, 899803680, 0, 0, 0, 0, 0,
    900261952, 900098880, 0, 0, 0, 0, 0, 0, 899738432, 899705690, 899738432, 900098880, 0, 0, 0, 0,
    899738432, 899738432, 899738432, 900098906, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    899738432, 899738432, 899738432, 900098906, 0, 0, 0, 0,
    // clang-format on
};

static const int kOperandUse[184] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 2786240, 2720704, 1737665, 1737666, 1737664, 1737668, 2785488, 0,
    2789312, 2786240, 2786753, 2786242, 2786752, 0, 0, 0, 2786752, 2786240, 2790336, 2790338, 2793668, 2786244, 2789572, 0,
    2786752, 2790336, 0, 0, 0, 0, 0, 0, 2786240, 2786240, 2786240, 0, 0, 0, 0, 0,
    2786240, 2786240, 2786240, 2786112, 2786240, 2785473, 2789569, 0, 2786752, 2786240, 2790336, 2786240, 2786753, 2786752, 2790336, 2790336,
    2786240, 2786240, 0, 0, 0, 0, 0, 0, 2786752, 2786240, 2786752, 0, 0, 0, 0, 0,
    2786240, 2786240, 0, 0, 0, 0, 0, 0, 2786752, 2786240, 2786752, 0, 0, 0, 0, 0,
    2212800, 2785473, 2786240, 2737096, 2789570, 0, 0, 0, 2786240, 2785473, 2786240, 2786752, 2786752, 2788800, 0, 0,
    2789568, 2785472, 0, 0, 0, 0, 0, 0, 2789568, 2785472, 2785472, 0, 0, 0, 0, 0,
    2785472, 2785472, 2785472, 0, 0, 0, 0, 0, 2785472, 2785472, 2785472, 0, 0, 0, 0, 0,
    2790336, 2789568, 0, 0, 0, 0, 0, 0, 2786240, 2789568, 2786753, 2789568, 0, 0, 0, 0,
    2790336, 2793664, 2786240, 2789568, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2790336, 2793664, 2786240, 2789568, 0, 0, 0, 0,
    // clang-format on
};

// The dimensions, and the constants that shapes are made of.
struct Sizes {
    u17 of[kSizes];
};

// What was found so far.
struct Legality {
    bool is_clean;    // nothing is set that the op does not have
    bool is_shape;    // dimensions within limits and rules
    bool is_inside;   // the window
    bool has_slots;
};

// A product of three factors by their codes; the sizes are within limits, so it stays below 2^20.
inline u20 product_of(const Sizes& sizes, int codes) {
    u20 product = 1;
    for (int i = 0; i < 3; ++i) {
#pragma HLS unroll
        const int code = codes >> (kFactorBits * i);
        const u17 factor = u17(unsigned(sizes.of[code & (kSizes - 1)]) + unsigned(code >> 4 & 1));
        product = u20(unsigned(multiply(product, factor)));
    }
    return product;
}

inline void check_dimensions(const Instruction& in, Sizes& sizes, Legality& legality) {
check_dimensions:
    for (int i = 0; i < kMaxDimensions; ++i) {
        PIPELINE(i == 0, 1, 4);
        const unsigned size = in.dimension[i];
        const int place = kDimensionStride * in.opcode + i;
        if (i >= kOpDimensions[in.opcode]) {
            legality.is_clean = legality.is_clean && size == 0;
        } else if (size < unsigned(kDimensionLow[place]) || size > unsigned(kDimensionHigh[place])) {
            legality.is_shape = false;
        }
        sizes.of[i] = u17(size);
    }
    sizes.of[10] = 0;
    sizes.of[11] = 3;
    sizes.of[12] = 8;
    for (int i = 0; i < kMaxImmediates; ++i) {
#pragma HLS unroll
        if (i >= kOpImmediates[in.opcode] && in.immediate[i] != 0) legality.is_clean = false;
    }
}

// Rules that bind the op, over the positions of its dimensions and flags; and slots that it names by number.
inline void check_rules(const Instruction& in, int slot_count, Legality& legality) {
    const int rules = kOpRules[in.opcode];
    u17 d[kMaxDimensions];  // those within limits
    bool f[6];
#pragma HLS array_partition variable=d type=complete
#pragma HLS array_partition variable=f type=complete
    for (int i = 0; i < kMaxDimensions; ++i) {
#pragma HLS unroll
        d[i] = u17(in.dimension[i]);
    }
    for (int i = 0; i < 6; ++i) {
#pragma HLS unroll
        f[i] = (in.flags >> i & 1u) != 0;
    }
    if ((rules >> 0 & 1) != 0 && !(d[1] <= d[0])) legality.is_shape = false;
    if ((rules >> 1 & 1) != 0 && !(d[4] <= d[0])) legality.is_shape = false;
    if ((rules >> 2 & 1) != 0 && !(d[2] == d[5] || d[2] == 3 * d[5])) legality.is_shape = false;
    if ((rules >> 3 & 1) != 0 && !(d[2] == d[5] || d[5] % 8 == 0)) legality.is_shape = false;
    if ((rules >> 4 & 1) != 0 && !(d[6] == 0 || d[2] == 3 * d[5])) legality.is_shape = false;
    if ((rules >> 5 & 1) != 0 && !(d[6] % 16 == 0)) legality.is_shape = false;
    if ((rules >> 6 & 1) != 0 && !(f[4] == (d[7] > 0))) legality.is_shape = false;
    if ((rules >> 7 & 1) != 0 && !(f[4] == (d[8] > 0))) legality.is_shape = false;
    if ((rules >> 8 & 1) != 0 && !(d[4] == 1 || d[3] % 24 == 0)) legality.is_shape = false;
    if ((rules >> 9 & 1) != 0 && !(d[4] != 2)) legality.is_shape = false;
    if ((rules >> 10 & 1) != 0 && !(f[1] == 0 || d[4] == 1)) legality.is_shape = false;
    if ((rules >> 11 & 1) != 0 && !(f[3] <= f[2])) legality.is_shape = false;
    if ((rules >> 12 & 1) != 0 && !(f[4] <= f[2])) legality.is_shape = false;
    if ((rules >> 13 & 1) != 0 && !(d[3] <= d[0])) legality.is_shape = false;
    if ((rules >> 14 & 1) != 0 && !(d[3] == 1 || d[1] == 0)) legality.is_shape = false;
    if ((rules >> 15 & 1) != 0 && !(d[1] < 1024 || d[1] < 2048 && d[1] % 4 == 0)) legality.is_shape = false;
    if ((rules >> 16 & 1) != 0 && !(d[2] < 1024 || d[2] < 2048 && d[2] % 4 == 0)) legality.is_shape = false;
    if ((rules >> 17 & 1) != 0 && !(d[3] % 8 == 0)) legality.is_shape = false;
    if ((rules >> 18 & 1) != 0 && !(d[5] == 1 || d[5] == 1 + d[1])) legality.is_shape = false;
    if ((rules >> 19 & 1) != 0 && !(d[6] <= d[5])) legality.is_shape = false;
    if ((rules >> 20 & 1) != 0 && !(d[4] <= d[1])) legality.is_shape = false;
    if ((rules >> 21 & 1) != 0 && !(f[0] == (d[4] > 0))) legality.is_shape = false;
    if ((rules >> 22 & 1) != 0 && !(f[1] == (d[6] > 0))) legality.is_shape = false;
    if ((rules >> 23 & 1) != 0 && !(f[2] == 1 || f[3] == 1)) legality.is_shape = false;
    if ((rules >> 24 & 1) != 0 && !(f[2] == 1 || d[6] == 0)) legality.is_shape = false;
    if ((rules >> 25 & 1) != 0 && !(d[7] == 0 || d[5] > 1)) legality.is_shape = false;
    if ((rules >> 26 & 1) != 0 && !(d[8] % 16 == 0)) legality.is_shape = false;
    if ((rules >> 27 & 1) != 0 && !(d[3] <= d[1])) legality.is_shape = false;
    if ((rules >> 28 & 1) != 0 && !(d[2] <= d[1])) legality.is_shape = false;
    if ((rules >> 29 & 1) != 0 && !(d[3] <= d[2])) legality.is_shape = false;
    if (in.opcode == kOpExponentUpdate && d[0] + d[1] > slot_count) legality.has_slots = false;
}

inline void check_operands(const Instruction& in, const Sizes& sizes, unsigned window_words, int slot_count,
                           Legality& legality) {
check_operands:
    for (int i = 0; i < kMaxOperands; ++i) {
        PIPELINE(i == 0, kShapeInterval, kShapeDepth);
        const int shape = kOperandShape[kMaxOperands * in.opcode + i];
        const int use = kOperandUse[kMaxOperands * in.opcode + i];
        const unsigned flag = unsigned(use) & 63u;
        const bool is_present = (use & 64) != 0 && (flag == 0 || (in.flags & flag) != 0);
        const bool is_in_memory = is_present && (use & 128) != 0;
        const bool has_slot = is_present && (use & 256) != 0;
        const unsigned address = in.address[i];
        const unsigned pitch = in.layout[i] & 0xFFFFu;
        const unsigned slot = in.layout[i] >> 16;
        if ((!is_in_memory && (address != 0 || pitch != 0)) || (!has_slot && slot != 0)) legality.is_clean = false;

        const u20 rows = u20(product_of(sizes, shape) + sizes.of[use >> 14 & (kSizes - 1)]);
        const u20 columns = u20(product_of(sizes, shape >> (3 * kFactorBits)) +
                                sizes.of[use >> 18 & (kSizes - 1)]);
        const unsigned narrow_words = (unsigned(columns) + kLanes - 1) / kLanes;
        const unsigned words = narrow_words << natural<2>(unsigned(use >> 12 & 3));
        const uwide_t end = uwide_t(address) + uwide_t(multiply(u20(rows - 1), u17(pitch))) + words;
        const bool overlaps = rows > 1 && pitch < words;
        if (is_in_memory && rows > 0 && (overlaps || end > window_words)) legality.is_inside = false;

        const int span = use >> 9 & 7;
        const int slots = span == 7 ? 2 * int(sizes.of[kSegmentsDimension]) : span;
        if (has_slot && int(slot) + slots > slot_count) legality.has_slots = false;
    }
}

inline int check_instruction(const Instruction& in, unsigned window_words, int slot_count) {
#pragma HLS inline off
    if (in.opcode >= kOpcodes || kOpDimensions[in.opcode] < 0) return kStatusUnknownOpcode;
    Legality legality;
    const unsigned most_beside = is_attention(in) ? 255u : 0u;
    legality.is_clean = in.beside <= most_beside && (in.flags & ~unsigned(kOpFlags[in.opcode])) == 0;
    legality.is_shape = true;
    legality.is_inside = true;
    legality.has_slots = true;
    Sizes sizes;
    check_dimensions(in, sizes, legality);
    check_rules(in, slot_count, legality);
    check_operands(in, sizes, window_words, slot_count, legality);
    if (!legality.is_clean) return kStatusBadField;
    if (!legality.is_shape) return kStatusBadShape;
    if (!legality.is_inside) return kStatusOutsideWindow;
    return legality.has_slots ? kStatusOk : kStatusBadSlot;
}

}  // namespace peelvit

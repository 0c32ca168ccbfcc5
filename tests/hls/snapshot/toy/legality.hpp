// Which instructions are legal: flags, shapes, operands inside the window, slots; the checks of hls/spec/legality.py.
//
// What an op may have lies in tables by opcode (hls/spec/checks.py), and one unit looks at its dimensions and operands
// one after the other: a circuit for each op would be larger than all vector units.
#pragma once

#include "instruction.hpp"

namespace peelvit {

constexpr int kOpcodes = 24;
constexpr int kDimensionStride = 16;
constexpr int kSizes = 16;  // the dimensions, then constants
constexpr int kFactorBits = 5;
constexpr int kSegmentsDimension = 4;
constexpr int kShapeDepth = 16;    // cycles of a product of three factors and an address
constexpr int kShapeInterval = 4;  // of an operand: its six products share multipliers

static const int kOpFlags[24] = {
    // clang-format off
    0, 63, 31, 63, 1, 0, 1, 3, 0, 0, 0, 0, 15, 1, 0, 0,
    0, 0, 0, 1, 1, 0, 1, 0,
    // clang-format on
};

static const int kOpRules[24] = {
    // clang-format off
    0, 127, 1921, 6145, 24577, 0, 32768, 65537, 0, 1, 0, 1, 268304384, 6684672, 268435456, 1610612736,
    536870912, 536870912, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kOpDimensions[24] = {
    // clang-format off
    0, 9, 7, 4, 4, 2, 2, 3, 2, 3, 2, 3, 11, 6, 4, 4,
    4, 4, 3, 2, 2, 4, 2, 2,
    // clang-format on
};

static const int kOpImmediates[24] = {
    // clang-format off
    0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 0, 1, 2, 0, 0,
    0, 0, 0, 2, 1, 0, 1, 0,
    // clang-format on
};

static const int kDimensionLow[384] = {
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
    1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
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
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kDimensionHigh[384] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 8, 4096, 512, 4096, 4096, 4096, 4096, 512, 0, 0, 0, 0, 0, 0, 0,
    4096, 8, 4096, 512, 3, 4096, 512, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    512, 8, 4096, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 4096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    4096, 4096, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    8, 80, 4, 32, 80, 81, 80, 81, 81, 4096, 4096, 0, 0, 0, 0, 0,
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
    4096, 512, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kOperandShape[192] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 934408032, 934408034, 934375291, 934375268, 934375264, 934375264, 934571879, 0,
    934408032, 934375267, 934375264, 934375264, 934375264, 934473574, 0, 0, 934375264, 934408032, 934408034, 934375291, 934408034, 934408034, 934735739, 0,
    934375264, 934375267, 0, 0, 0, 0, 0, 0, 934342523, 934342523, 934342496, 0, 0, 0, 0, 0,
    934342496, 934342523, 934342523, 934670187, 934342496, 934342496, 934309755, 0, 934375264, 934375264, 934309755, 934375291, 934375264, 934375264, 934375291, 934375291,
    934342496, 934342496, 0, 0, 0, 0, 0, 0, 934375264, 934375264, 934375264, 0, 0, 0, 0, 0,
    934342496, 934342496, 0, 0, 0, 0, 0, 0, 934375264, 934375264, 934375264, 0, 0, 0, 0, 0,
    103181856, 934439968, 934843456, 909208736, 934866176, 0, 0, 0, 103181856, 934439968, 934843456, 909208736, 934843456, 103181856, 0, 0,
    934865984, 934408032, 0, 0, 0, 0, 0, 0, 934866464, 934375264, 934407232, 0, 0, 0, 0, 0,
    934407712, 934375264, 934407744, 0, 0, 0, 0, 0, 934407744, 934375264, 934407712, 0, 0, 0, 0, 0,
    934865984, 934735712, 0, 0, 0, 0, 0, 0, 934342496, 934309755, 934342496, 934735712, 0, 0, 0, 0,
    934342496, 934342496, 934342496, 934735739, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    934342496, 934342496, 934342496, 934735739, 0, 0, 0, 0, 934342496, 0, 0, 0, 0, 0, 0, 0,
    // clang-format on
};

static const int kOperandUse[192] = {
    // clang-format off
    0, 0, 0, 0, 0, 0, 0, 0, 3068864, 2986944, 1758145, 1758146, 1758144, 1758148, 3068112, 0,
    3071936, 3068864, 3069377, 3068866, 3069376, 3068104, 0, 0, 3069376, 3068864, 3072960, 3072962, 3076292, 3068868, 3072196, 0,
    3069376, 3072960, 0, 0, 0, 0, 0, 0, 3068864, 3068864, 3068864, 0, 0, 0, 0, 0,
    3068864, 3068864, 3068864, 3068736, 3068864, 3068097, 3072193, 0, 3069376, 3068864, 3072960, 3068864, 3069377, 3069376, 3072960, 3072960,
    3068864, 3068864, 0, 0, 0, 0, 0, 0, 3069376, 3068864, 3069376, 0, 0, 0, 0, 0,
    3068864, 3068864, 0, 0, 0, 0, 0, 0, 3069376, 3068864, 3069376, 0, 0, 0, 0, 0,
    2773952, 3068097, 3068864, 3036104, 3072194, 0, 0, 0, 3068864, 3068097, 3068864, 3069376, 3069376, 3071424, 0, 0,
    3072192, 3068096, 0, 0, 0, 0, 0, 0, 3072192, 3068096, 3068096, 0, 0, 0, 0, 0,
    3068096, 3068096, 3068096, 0, 0, 0, 0, 0, 3068096, 3068096, 3068096, 0, 0, 0, 0, 0,
    3072960, 3072192, 0, 0, 0, 0, 0, 0, 3068864, 3072192, 3069377, 3072192, 0, 0, 0, 0,
    3072960, 3076288, 3068864, 3072192, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    3072960, 3076288, 3068864, 3072192, 0, 0, 0, 0, 3068096, 0, 0, 0, 0, 0, 0, 0,
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
    sizes.of[11] = 0;
    sizes.of[12] = 3;
    sizes.of[13] = 8;
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
    if ((rules >> 6 & 1) != 0 && !(f[4] == (d[7] > 0) && f[4] == (d[8] > 0))) legality.is_shape = false;
    if ((rules >> 7 & 1) != 0 && !(d[4] == 1 || d[3] % 24 == 0)) legality.is_shape = false;
    if ((rules >> 8 & 1) != 0 && !(d[4] != 2)) legality.is_shape = false;
    if ((rules >> 9 & 1) != 0 && !(f[1] == 0 || d[4] == 1)) legality.is_shape = false;
    if ((rules >> 10 & 1) != 0 && !(f[3] == (d[5] > 0) && f[3] == (d[6] > 0))) legality.is_shape = false;
    if ((rules >> 11 & 1) != 0 && !(f[3] <= f[2])) legality.is_shape = false;
    if ((rules >> 12 & 1) != 0 && !(f[4] <= f[2])) legality.is_shape = false;
    if ((rules >> 13 & 1) != 0 && !(d[3] <= d[0])) legality.is_shape = false;
    if ((rules >> 14 & 1) != 0 && !(d[3] == 1 || d[1] == 0)) legality.is_shape = false;
    if ((rules >> 15 & 1) != 0 && !(d[1] < 1024 || d[1] < 2048 && d[1] % 4 == 0)) legality.is_shape = false;
    if ((rules >> 16 & 1) != 0 && !(d[2] < 1024 || d[2] < 2048 && d[2] % 4 == 0)) legality.is_shape = false;
    if ((rules >> 17 & 1) != 0 && !(d[3] % 8 == 0)) legality.is_shape = false;
    if ((rules >> 18 & 1) != 0 && !(d[5] == 1 || d[5] == 1 + d[1])) legality.is_shape = false;
    if ((rules >> 19 & 1) != 0 && !(d[6] + d[7] <= d[5])) legality.is_shape = false;
    if ((rules >> 20 & 1) != 0 && !(d[8] <= d[5])) legality.is_shape = false;
    if ((rules >> 21 & 1) != 0 && !(d[4] <= d[1])) legality.is_shape = false;
    if ((rules >> 22 & 1) != 0 && !(f[0] == (d[4] > 0))) legality.is_shape = false;
    if ((rules >> 23 & 1) != 0 && !(f[1] == (d[8] > 0))) legality.is_shape = false;
    if ((rules >> 24 & 1) != 0 && !(f[2] == 1 || f[3] == 1)) legality.is_shape = false;
    if ((rules >> 25 & 1) != 0 && !(f[2] == 1 || d[8] == 0)) legality.is_shape = false;
    if ((rules >> 26 & 1) != 0 && !(d[9] == 0 || d[5] > 1)) legality.is_shape = false;
    if ((rules >> 27 & 1) != 0 && !(d[10] % 16 == 0)) legality.is_shape = false;
    if ((rules >> 28 & 1) != 0 && !(d[3] <= d[1])) legality.is_shape = false;
    if ((rules >> 29 & 1) != 0 && !(d[2] <= d[1])) legality.is_shape = false;
    if ((rules >> 30 & 1) != 0 && !(d[3] <= d[2])) legality.is_shape = false;
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
        const int width = use >> 12;  // of eight elements: one to three words
        const unsigned words = ((width & 1) != 0 ? narrow_words : 0u) + ((width & 2) != 0 ? narrow_words << 1 : 0u);
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

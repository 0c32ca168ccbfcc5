// Which instructions are legal: flags, shapes, operands inside the window, slots. Rendered from the op table; the same
// checks in the same order as hls/spec/legality.py.
#pragma once

#include "instruction.hpp"

namespace peelvit {

// Whether rows x words lie inside the window. Shapes are within the limits already, so 64 bits do not overflow.
inline bool inside(const Matrix& matrix, unsigned long long rows, unsigned long long words, unsigned window_words) {
#pragma HLS inline
    if (rows == 0 || words == 0) return true;
    const unsigned long long pitch = static_cast<unsigned long long>(matrix.pitch);
    if (rows > 1 && pitch < words) return false;
    return matrix.address + (rows - 1) * pitch + words <= window_words;
}

inline bool slot_exists(const Matrix& matrix, int span, int slot_count) { return matrix.slot + span <= slot_count; }

inline int check_end(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[0] | in.layout[0]) != 0) return kStatusBadField;
    if ((in.address[1] | in.layout[1]) != 0) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[0] != 0) return kStatusBadField;
    if (in.dimension[1] != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    return kStatusOk;
}

inline int check_gemm_nt(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~7u) return kStatusBadField;
    const bool BIAS = (in.flags & 1u) != 0;
    const bool RESIDUAL = (in.flags & 2u) != 0;
    const bool GELU = (in.flags & 4u) != 0;
    if (!BIAS && (in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if (!RESIDUAL && (in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if (!GELU && (in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    const unsigned long long k = in.dimension[3];
    const unsigned long long period = in.dimension[4];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxSplit)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxRows)) return kStatusBadShape;
    if (k < 1u || k > unsigned(kMaxContraction)) return kStatusBadShape;
    if (period < 1u || period > unsigned(kMaxRows)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!(period <= rows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(k), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), n, words16(k), window_words)) return kStatusOutsideWindow;
    if (BIAS && !inside(operand(in, 2), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (RESIDUAL && !inside(operand(in, 3), period, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (GELU && !inside(operand(in, 5), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (BIAS && !slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (RESIDUAL && !slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 4), 1, slot_count)) return kStatusBadSlot;
    if (GELU && !slot_exists(operand(in, 5), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_gemm_nn(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~3u) return kStatusBadField;
    const bool RESIDUAL = (in.flags & 1u) != 0;
    const bool GELU_BACKWARD = (in.flags & 2u) != 0;
    if (!RESIDUAL && (in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if (!GELU_BACKWARD && (in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    const unsigned long long k = in.dimension[3];
    const unsigned long long segments = in.dimension[4];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxSplit)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxRows)) return kStatusBadShape;
    if (k < 1u || k > unsigned(kMaxContraction)) return kStatusBadShape;
    if (segments < 1u || segments > unsigned(kMaxSegments)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!(segments == 1 || k % 24 == 0)) return kStatusBadShape;
    if (!(segments != 2)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(k), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), k, words16(n), window_words)) return kStatusOutsideWindow;
    if (RESIDUAL && !inside(operand(in, 2), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (GELU_BACKWARD && !inside(operand(in, 3), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), (segments == 1 ? 2 : 6), slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (RESIDUAL && !slot_exists(operand(in, 2), 2, slot_count)) return kStatusBadSlot;
    if (GELU_BACKWARD && !slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 4), 2, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_gemm_tn(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~3u) return kStatusBadField;
    const bool ACCUMULATE = (in.flags & 1u) != 0;
    const bool BIAS = (in.flags & 2u) != 0;
    if (!BIAS && (in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    const unsigned long long k = in.dimension[3];
    if (rows < 1u || rows > unsigned(kMaxContraction)) return kStatusBadShape;
    if (split > unsigned(kMaxSplit)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxRows)) return kStatusBadShape;
    if (k < 1u || k > unsigned(kMaxRows)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(k), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), n, words32(k), window_words)) return kStatusOutsideWindow;
    if (BIAS && !inside(operand(in, 3), 1, words32(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (BIAS && !slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_column_sum(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool ACCUMULATE = (in.flags & 1u) != 0;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    const unsigned long long period = in.dimension[3];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (period < 1u || period > unsigned(kMaxRows)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!(period <= rows)) return kStatusBadShape;
    if (!(period == 1 || split == 0)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), period, words32(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_embed_class(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!inside(operand(in, 0), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_layernorm(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool SAVE = (in.flags & 1u) != 0;
    if ((in.address[3] | (in.layout[3] & 0xFFFFu)) != 0) return kStatusBadField;
    if (!SAVE && (in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if (in.layout[5] >> 16 != 0) return kStatusBadField;
    if (!SAVE && (in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if (in.layout[6] >> 16 != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (SAVE && !inside(operand(in, 5), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (SAVE && !inside(operand(in, 6), 1, words32(rows), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 4), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_layernorm_backward(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~3u) return kStatusBadField;
    const bool RESIDUAL = (in.flags & 1u) != 0;
    const bool ACCUMULATE = (in.flags & 2u) != 0;
    if (!RESIDUAL && (in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), 1, words32(rows), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), 1, words16(n), window_words)) return kStatusOutsideWindow;
    if (RESIDUAL && !inside(operand(in, 4), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 5), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 6), 1, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 7), 1, words32(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    if (RESIDUAL && !slot_exists(operand(in, 4), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 5), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 6), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 7), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_softmax(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_softmax_backward(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 2, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_gelu(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_gelu_backward(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long split = in.dimension[1];
    const unsigned long long n = in.dimension[2];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (split > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!(split <= rows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 1), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 2, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_attention(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~3u) return kStatusBadField;
    const bool SPARSE = (in.flags & 1u) != 0;
    const bool MAP = (in.flags & 2u) != 0;
    if (!SPARSE && (in.address[1] | in.layout[1]) != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (!MAP && (in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if (in.layout[4] >> 16 != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long heads = in.dimension[2];
    const unsigned long long head_dim = in.dimension[3];
    const unsigned long long key_count = in.dimension[4];
    const unsigned long long queries = in.dimension[5];
    const unsigned long long map_rows = in.dimension[6];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (heads < 1u || heads > unsigned(kMaxHeads)) return kStatusBadShape;
    if (head_dim < 1u || head_dim > unsigned(kMaxHeadDim)) return kStatusBadShape;
    if (key_count > unsigned(kMaxPatches)) return kStatusBadShape;
    if (queries < 1u || queries > unsigned(kMaxTokens)) return kStatusBadShape;
    if (map_rows > unsigned(kMaxTokens)) return kStatusBadShape;
    if (!(head_dim % 8 == 0)) return kStatusBadShape;
    if (!(queries == 1 || queries == 1 + patches)) return kStatusBadShape;
    if (!(map_rows <= queries)) return kStatusBadShape;
    if (!(key_count <= patches)) return kStatusBadShape;
    if (!(SPARSE == (key_count > 0))) return kStatusBadShape;
    if (!(MAP == (map_rows > 0))) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * (1 + patches), words16(3 * heads * head_dim), window_words)) return kStatusOutsideWindow;
    if (SPARSE && !inside(operand(in, 1), batch * patches, words16(key_count), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch * heads * queries, words16(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), batch * queries, words16(heads * head_dim), window_words)) return kStatusOutsideWindow;
    if (MAP && !inside(operand(in, 4), batch * map_rows, words32(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_attention_backward(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool SPARSE = (in.flags & 1u) != 0;
    if (!SPARSE && (in.address[1] | in.layout[1]) != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long heads = in.dimension[2];
    const unsigned long long head_dim = in.dimension[3];
    const unsigned long long key_count = in.dimension[4];
    const unsigned long long queries = in.dimension[5];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (heads < 1u || heads > unsigned(kMaxHeads)) return kStatusBadShape;
    if (head_dim < 1u || head_dim > unsigned(kMaxHeadDim)) return kStatusBadShape;
    if (key_count > unsigned(kMaxPatches)) return kStatusBadShape;
    if (queries < 1u || queries > unsigned(kMaxTokens)) return kStatusBadShape;
    if (!(head_dim % 8 == 0)) return kStatusBadShape;
    if (!(queries == 1 || queries == 1 + patches)) return kStatusBadShape;
    if (!(key_count <= patches)) return kStatusBadShape;
    if (!(SPARSE == (key_count > 0))) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * (1 + patches), words16(3 * heads * head_dim), window_words)) return kStatusOutsideWindow;
    if (SPARSE && !inside(operand(in, 1), batch * patches, words16(key_count), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch * heads * queries, words16(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), batch * queries, words16(heads * head_dim), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), batch * heads * queries, words16(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 5), batch * (1 + patches), words16(3 * heads * head_dim), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 4), 2, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 5), 6, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_select_tokens(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long map_rows = in.dimension[2];
    const unsigned long long keep = in.dimension[3];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (map_rows < 1u || map_rows > unsigned(kMaxTokens)) return kStatusBadShape;
    if (keep < 1u || keep > unsigned(kMaxPatches)) return kStatusBadShape;
    if (!(keep <= patches)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * map_rows, words32(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), batch, words16(keep), window_words)) return kStatusOutsideWindow;
    return kStatusOk;
}

inline int check_select_keys(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (in.layout[2] >> 16 != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long keep = in.dimension[2];
    const unsigned long long key_count = in.dimension[3];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (keep < 1u || keep > unsigned(kMaxPatches)) return kStatusBadShape;
    if (key_count < 1u || key_count > unsigned(kMaxPatches)) return kStatusBadShape;
    if (!(keep <= patches)) return kStatusBadShape;
    if (!(key_count <= keep)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * (1 + patches), words32(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), batch, words16(keep), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch * keep, words16(key_count), window_words)) return kStatusOutsideWindow;
    return kStatusOk;
}

inline int check_gather_tokens(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (in.layout[2] >> 16 != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long keep = in.dimension[2];
    const unsigned long long n = in.dimension[3];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (keep < 1u || keep > unsigned(kMaxPatches)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!(keep <= patches)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * (1 + patches), words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), batch, words16(keep), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch * (1 + keep), words16(n), window_words)) return kStatusOutsideWindow;
    return kStatusOk;
}

inline int check_scatter_tokens(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (in.layout[2] >> 16 != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long keep = in.dimension[2];
    const unsigned long long n = in.dimension[3];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (keep < 1u || keep > unsigned(kMaxPatches)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!(keep <= patches)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * (1 + keep), words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), batch, words16(keep), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), batch * (1 + patches), words16(n), window_words)) return kStatusOutsideWindow;
    return kStatusOk;
}

inline int check_class_variance(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long patches = in.dimension[1];
    const unsigned long long map_rows = in.dimension[2];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (patches < 1u || patches > unsigned(kMaxPatches)) return kStatusBadShape;
    if (map_rows < 1u || map_rows > unsigned(kMaxTokens)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch * map_rows, words32(1 + patches), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), batch, words32(8), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_cross_entropy(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool GRADIENT = (in.flags & 1u) != 0;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (!GRADIENT && (in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if (in.layout[3] >> 16 != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long batch = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (batch < 1u || batch > unsigned(kMaxSplit)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxColumns)) return kStatusBadShape;
    if (!inside(operand(in, 0), batch, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), 1, words32(batch), window_words)) return kStatusOutsideWindow;
    if (GRADIENT && !inside(operand(in, 2), batch, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), batch, words32(8), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 0), 1, slot_count)) return kStatusBadSlot;
    if (GRADIENT && !slot_exists(operand(in, 2), 2, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_sgd_update(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool DECAY = (in.flags & 1u) != 0;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (in.layout[4] >> 16 != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxRows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), 1, words32(8), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_exponent_update(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~0u) return kStatusBadField;
    if ((in.address[0] | in.layout[0]) != 0) return kStatusBadField;
    if ((in.address[1] | in.layout[1]) != 0) return kStatusBadField;
    if ((in.address[2] | in.layout[2]) != 0) return kStatusBadField;
    if ((in.address[3] | in.layout[3]) != 0) return kStatusBadField;
    if ((in.address[4] | in.layout[4]) != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[0] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long first = in.dimension[0];
    const unsigned long long count = in.dimension[1];
    const unsigned long long bits = in.dimension[2];
    const unsigned long long margin = in.dimension[3];
    if (first > unsigned(kMaxSlots)) return kStatusBadShape;
    if (count < 1u || count > unsigned(kMaxSlots)) return kStatusBadShape;
    if (bits < 15u || bits > unsigned(kMaxExponentBits)) return kStatusBadShape;
    if (margin > unsigned(kMaxMargin)) return kStatusBadShape;
    if (first + count > unsigned(slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_adamw_update(const Instruction& in, unsigned window_words, int slot_count) {
    if (in.flags & ~1u) return kStatusBadField;
    const bool DECAY = (in.flags & 1u) != 0;
    if (in.layout[0] >> 16 != 0) return kStatusBadField;
    if (in.layout[1] >> 16 != 0) return kStatusBadField;
    if (in.layout[4] >> 16 != 0) return kStatusBadField;
    if ((in.address[5] | in.layout[5]) != 0) return kStatusBadField;
    if ((in.address[6] | in.layout[6]) != 0) return kStatusBadField;
    if ((in.address[7] | in.layout[7]) != 0) return kStatusBadField;
    if (in.dimension[2] != 0) return kStatusBadField;
    if (in.dimension[3] != 0) return kStatusBadField;
    if (in.dimension[4] != 0) return kStatusBadField;
    if (in.dimension[5] != 0) return kStatusBadField;
    if (in.dimension[6] != 0) return kStatusBadField;
    if (in.dimension[7] != 0) return kStatusBadField;
    if (in.dimension[8] != 0) return kStatusBadField;
    if (in.dimension[9] != 0) return kStatusBadField;
    if (in.immediate[1] != 0) return kStatusBadField;
    if (in.immediate[2] != 0) return kStatusBadField;
    if (in.immediate[3] != 0) return kStatusBadField;
    const unsigned long long rows = in.dimension[0];
    const unsigned long long n = in.dimension[1];
    if (rows < 1u || rows > unsigned(kMaxRows)) return kStatusBadShape;
    if (n < 1u || n > unsigned(kMaxRows)) return kStatusBadShape;
    if (!inside(operand(in, 0), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 1), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 2), rows, words32(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 3), rows, words16(n), window_words)) return kStatusOutsideWindow;
    if (!inside(operand(in, 4), 1, words32(8), window_words)) return kStatusOutsideWindow;
    if (!slot_exists(operand(in, 2), 1, slot_count)) return kStatusBadSlot;
    if (!slot_exists(operand(in, 3), 1, slot_count)) return kStatusBadSlot;
    return kStatusOk;
}

inline int check_instruction(const Instruction& in, unsigned window_words, int slot_count) {
    switch (in.opcode) {
        case kOpEnd:
            return in.reserved != 0 ? kStatusBadField : check_end(in, window_words, slot_count);
        case kOpGemmNt:
            return in.reserved != 0 ? kStatusBadField : check_gemm_nt(in, window_words, slot_count);
        case kOpGemmNn:
            return in.reserved != 0 ? kStatusBadField : check_gemm_nn(in, window_words, slot_count);
        case kOpGemmTn:
            return in.reserved != 0 ? kStatusBadField : check_gemm_tn(in, window_words, slot_count);
        case kOpColumnSum:
            return in.reserved != 0 ? kStatusBadField : check_column_sum(in, window_words, slot_count);
        case kOpEmbedClass:
            return in.reserved != 0 ? kStatusBadField : check_embed_class(in, window_words, slot_count);
        case kOpLayernorm:
            return in.reserved != 0 ? kStatusBadField : check_layernorm(in, window_words, slot_count);
        case kOpLayernormBackward:
            return in.reserved != 0 ? kStatusBadField : check_layernorm_backward(in, window_words, slot_count);
        case kOpSoftmax:
            return in.reserved != 0 ? kStatusBadField : check_softmax(in, window_words, slot_count);
        case kOpSoftmaxBackward:
            return in.reserved != 0 ? kStatusBadField : check_softmax_backward(in, window_words, slot_count);
        case kOpGelu:
            return in.reserved != 0 ? kStatusBadField : check_gelu(in, window_words, slot_count);
        case kOpGeluBackward:
            return in.reserved != 0 ? kStatusBadField : check_gelu_backward(in, window_words, slot_count);
        case kOpAttention:
            return in.reserved != 0 ? kStatusBadField : check_attention(in, window_words, slot_count);
        case kOpAttentionBackward:
            return in.reserved != 0 ? kStatusBadField : check_attention_backward(in, window_words, slot_count);
        case kOpSelectTokens:
            return in.reserved != 0 ? kStatusBadField : check_select_tokens(in, window_words, slot_count);
        case kOpSelectKeys:
            return in.reserved != 0 ? kStatusBadField : check_select_keys(in, window_words, slot_count);
        case kOpGatherTokens:
            return in.reserved != 0 ? kStatusBadField : check_gather_tokens(in, window_words, slot_count);
        case kOpScatterTokens:
            return in.reserved != 0 ? kStatusBadField : check_scatter_tokens(in, window_words, slot_count);
        case kOpClassVariance:
            return in.reserved != 0 ? kStatusBadField : check_class_variance(in, window_words, slot_count);
        case kOpCrossEntropy:
            return in.reserved != 0 ? kStatusBadField : check_cross_entropy(in, window_words, slot_count);
        case kOpSgdUpdate:
            return in.reserved != 0 ? kStatusBadField : check_sgd_update(in, window_words, slot_count);
        case kOpExponentUpdate:
            return in.reserved != 0 ? kStatusBadField : check_exponent_update(in, window_words, slot_count);
        case kOpAdamwUpdate:
            return in.reserved != 0 ? kStatusBadField : check_adamw_update(in, window_words, slot_count);
        default:
            return kStatusUnknownOpcode;
    }
}

}  // namespace peelvit

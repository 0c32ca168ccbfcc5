// Non-linear functions in integers: tables, interpolation and one Newton step. docs/numerics.md is the definition.
#pragma once

#include "fixed.hpp"
#include "tables.hpp"

namespace peelvit {

constexpr int kMaxExponentialScale = 1 << 23;
constexpr int kGeluSegments = 512;
constexpr int kReciprocalBits = 28;  // of a reciprocal: at most 2^28
constexpr int kDivideDepth = 60;     // cycles of the divider

// Between two neighbouring entries of a table, `position` of 2^step on the way.
inline int interpolate(int low, int high, int position, int step) {
    return low + (((high - low) * position + (1 << (step - 1))) >> step);
}

// min(round(distance * 2^(16 - fraction)), 2^24 - 1) for a distance >= 0: Q16.
inline int distance_q16(wide_t distance, int fraction) {
    const int shift = fraction - 16;
    const wide_t bound = wide_t(1) << (shift > 0 ? 40 : 24);  // a left shift of more than this would wrap
    const wide_t bounded = distance < bound ? distance : bound;
    const wide_t rounded = round_shift(bounded, shift);
    const wide_t limit = (wide_t(1) << 24) - 1;
    return int(rounded < limit ? rounded : limit);
}

// 2^-(distance * 2^-fraction * scale * 2^-20) for a distance >= 0: U1.20.
inline wide_t exponential(wide_t distance, int fraction, int scale) {
#pragma HLS inline off  // each call has its own copy of the table: two ports a lane
    const int factor = larger(0, smaller(scale, kMaxExponentialScale));
    const wide_t product = wide_t(distance_q16(distance, fraction)) * wide_t(factor) + (1 << 19);
    const int exponent = int(wide_t(product >> 20));  // U11.16
    const int shift = exponent >> 16;
    const int index = (exponent >> 8) & 255;
    const int position = exponent & 255;
    const int value = kExp2Table[index] - (((kExp2Table[index] - kExp2Table[index + 1]) * position + 128) >> 8);
    const int half = (1 << smaller(shift, 22)) >> 1;
    return wide_t((value + half) >> smaller(shift, 22));
}

// floor(2^48 / sum) for the sum of a row's exponentials, in [2^20, 2^32): a bit of the quotient a step.
inline wide_t reciprocal(wide_t sum) {
    const u34 divisor = u34(sum);
    u34 remainder = 1 << (kProbabilityBits - 1 - kReciprocalBits);  // the quotient's leading zeros are skipped
    u32 quotient = 0;
quotient_bits:
    for (int i = 0; i <= kReciprocalBits; ++i) {
#pragma HLS unroll
        const u34 doubled = remainder << 1;
        const bool fits = doubled >= divisor;
        remainder = fits ? u34(doubled - divisor) : doubled;
        quotient = u32(quotient << 1) | u32(fits);
    }
    return quotient;
}

// 1 / sqrt(value) = mantissa * 2^-16 * 2^-exponent.
struct Rsqrt {
    int mantissa;
    int exponent;
};

// One Newton step from a table, for 0 < value < 2^62.
inline Rsqrt rsqrt(wide_t value) {
    const int half = (bit_length(value) - 1) >> 1;
    const int down = larger(2 * half - 24, 0);
    const int up = larger(24 - 2 * half, 0);
    const wide_t shifted = value >> down;
    const int normal = int(wide_t(shifted << up));  // [2^24, 2^26): U2.24
    const int start = kRsqrtTable[(normal >> 17) - 128];
    const wide_t product = wide_t(normal) * wide_t(start) + (1 << 21);
    const wide_t square = wide_t(int(wide_t(product >> 22))) * wide_t(start) + (1 << 13);
    const int correction = 3 * (1 << 20) - int(wide_t(square >> 14));
    const wide_t mantissa = wide_t(start) * wide_t(correction) + (1 << 20);
    Rsqrt result;
    result.mantissa = larger(1, smaller(1 << 16, int(wide_t(mantissa >> 21))));
    result.exponent = half;
    return result;
}

// min(|x|, 8) in U.16, and its segment of the GELU tables.
inline int gelu_argument(i16 x, int fraction) {
    const wide_t value = x;
    const wide_t magnitude = value < 0 ? wide_t(-value) : value;
    const wide_t argument = round_shift(magnitude, fraction - 16);
    const wide_t limit = wide_t(kGeluSegments) << 10;
    return int(argument < limit ? argument : limit);
}

inline int gelu_segment(int argument) { return smaller(argument >> 10, kGeluSegments - 1); }

// GELU(x), Q20, not yet rounded to the output's fraction.
inline wide_t gelu_value(i16 x, int fraction) {
#pragma HLS inline off
    const int argument = gelu_argument(x, fraction);
    const int i = gelu_segment(argument);
    const int tail = interpolate(kGeluTable[i], kGeluTable[i + 1], argument - (i << 10), 10);
    const wide_t value = x;
    const wide_t positive = value > 0 ? value : wide_t(0);
    return align(positive, fraction, kGeluBits) - tail;
}

// GELU'(x), Q16.
inline int gelu_slope(i16 x, int fraction) {
#pragma HLS inline off
    const int argument = gelu_argument(x, fraction);
    const int i = gelu_segment(argument);
    const int slope = interpolate(kGeluSlopeTable[i], kGeluSlopeTable[i + 1], argument - (i << 10), 10);
    return x < 0 ? slope : (1 << kGeluSlopeBits) - slope;
}

}  // namespace peelvit

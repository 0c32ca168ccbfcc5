// Non-linear functions in integers: tables, interpolation and one Newton step. docs/numerics.md is the definition.
#pragma once

#include "fixed.hpp"
#include "tables.hpp"

namespace peelvit {

constexpr int kMaxExponentialScale = 1 << 23;
constexpr int kGeluSegments = 512;
constexpr int kReciprocalBits = 28;  // of a reciprocal: at most 2^28
constexpr int kDivideDepth = 20;     // cycles of a reciprocal

// min(round(distance * 2^(16 - fraction)), 2^24 - 1) for a distance >= 0: Q16.
inline int distance_q16(wide_t distance, int fraction) {
    const int shift = fraction - 16;
    const wide_t bound = wide_t(1) << (shift > 0 ? 40 : 24);  // a left shift of more than this would wrap
    const wide_t bounded = distance < bound ? distance : bound;
    const wide_t rounded = round_shift(bounded, shift);
    const wide_t limit = (wide_t(1) << 24) - 1;
    return int(rounded < limit ? rounded : limit);
}

// How a distance of 38 bits comes to Q16, for lanes that share the fraction: beyond a limit it is the largest number,
// below it is 2^24 times itself moved right.
struct Distance {
    u40 limit;
    u6 right;
};

inline Distance distance_unit(int fraction) {
    const int bits = narrow<10>(fraction) - 16 + 24;
    Distance unit;
    unit.limit = u40(1) << narrow<7>(smaller(larger(bits, 0), 38));
    unit.right = u6(smaller(larger(bits, 1), 63) - 1);
    return unit;
}

inline int distance_q16(u38 distance, const Distance& unit) {
    const int most = (1 << 24) - 1;
    const int near = narrow<26>(int((wide_t(distance) << 24) >> unit.right));
    const int rounded = (near + 1) >> 1;
    return distance < unit.limit && rounded <= most ? rounded : most;
}

// 2^-(distance * scale * 2^-20) for a distance in Q16 of 24 bits: U1.20.
inline wide_t exponential_of(int distance, int scale) {
#pragma HLS inline off  // each call has its own copy of the table: two ports a lane
    const int factor = larger(0, smaller(scale, kMaxExponentialScale));
    const wide_t product = wide_t(narrow<25>(distance)) * wide_t(narrow<25>(factor)) + (1 << 19);
    const int exponent = narrow<29>(int(wide_t(product >> 20)));  // U11.16
    const int shift = narrow<6>(smaller(exponent >> 16, 22));
    const int index = (exponent >> 8) & 255;
    const int position = exponent & 255;
    const int fall = narrow<13>(kExp2Table[index] - kExp2Table[index + 1]);
    const int value = narrow<22>(kExp2Table[index] - ((fall * position + 128) >> 8));
    const int near = (value << 1) >> shift;  // and a bit more, for the half
    return wide_t((near + 1) >> 1);
}

// 2^-(distance * 2^-fraction * scale * 2^-20) for a distance >= 0: U1.20.
inline wide_t exponential(wide_t distance, int fraction, int scale) {
    return exponential_of(distance_q16(distance, fraction), scale);
}

// A division of 2^48 by a row's sum on its way: a bit of the quotient a step.
struct Division {
    u34 remainder;
    u32 quotient;
};

inline void divide_step(u34 divisor, Division& division) {
#pragma HLS inline
    const u34 doubled = division.remainder << 1;
    const bool fits = doubled >= divisor;
    division.remainder = fits ? u34(doubled - divisor) : doubled;
    division.quotient = u32(division.quotient << 1) | u32(fits);
}

// floor(2^48 / sum) for the sum of a row's exponentials, in [2^20, 2^32].
inline wide_t reciprocal(wide_t sum) {
    const u34 divisor = u34(sum);
    Division division;
    division.remainder = 1 << (kProbabilityBits - 1 - kReciprocalBits);  // the quotient's leading zeros are skipped
    division.quotient = 0;
quotient_bits:
    for (int i = 0; i <= kReciprocalBits; ++i) {
#pragma HLS unroll
        divide_step(divisor, division);
    }
    return division.quotient;
}

// The same in kDivideTurns parts of kDivideBits bits each.
constexpr int kDivideBits = 4;
constexpr int kDivideTurns = (kReciprocalBits + kDivideBits) / kDivideBits;

inline void open(Division& division) {
    division.remainder = 1 << (kProbabilityBits - kDivideTurns * kDivideBits);
    division.quotient = 0;
}

inline void divide_bits(u34 divisor, Division& division) {
#pragma HLS inline
    for (int i = 0; i < kDivideBits; ++i) {
#pragma HLS unroll
        divide_step(divisor, division);
    }
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
    const int normal = narrow<27>(int(wide_t(shifted << up)));  // [2^24, 2^26): U2.24
    const int start = narrow<18>(kRsqrtTable[(normal >> 17) - 128]);
    const wide_t product = wide_t(normal) * wide_t(start) + (1 << 21);
    const wide_t square = wide_t(narrow<23>(int(wide_t(product >> 22)))) * wide_t(start) + (1 << 13);
    const int correction = narrow<23>(3 * (1 << 20) - int(wide_t(square >> 14)));
    const wide_t mantissa = wide_t(start) * wide_t(correction) + (1 << 20);
    Rsqrt result;
    result.mantissa = larger(1, smaller(1 << 16, int(wide_t(mantissa >> 21))));
    result.exponent = half;
    return result;
}

// A shift to either side, rounded half up, by a number that lanes share: a product with a power of two takes one
// multiplier, a shifter five levels of multiplexers. The result stands in the product, or 16 places beside it.
struct PowerShift {
    i18 factor;
    int half;
    bool is_right;
    bool is_far_left;
};

// A left shift is one of at most 32; behind 16 places to the right nothing is left of a value of 16 bits.
inline PowerShift power_shift_of(int shift) {
    PowerShift by;
    by.is_right = shift > 0;
    by.is_far_left = shift < -16;
    const int exponent = natural<5>(unsigned((by.is_right ? 16 : (by.is_far_left ? -16 : 0)) - shift));
    const bool leaves_nothing = shift > 16;
    by.factor = i18(leaves_nothing ? 0 : natural<17>(1u << exponent));
    by.half = by.is_right && !leaves_nothing ? 1 << 15 : 0;
    return by;
}

inline wide_t shift_by_power(int value, const PowerShift& by) {
    const wide_t product = multiply(i27(value), by.factor) + wide_t(by.half);
    if (by.is_right) return product >> 16;
    return by.is_far_left ? wide_t(product << 16) : product;
}

// min(|x|, 8) in U.16, less than 8. A left shift of more than nine places, or one to the right by up to 16.
inline int gelu_argument(i16 x, int fraction) {
    const int value = x;
    const int magnitude = natural<16>(unsigned(value < 0 ? -value : value));
    const int shift = larger(fraction - 16, -19);  // raised by 19 bits, all but 0 is beyond 8
    const bool is_far_left = shift < -9;
    const int exponent = natural<5>(unsigned(is_far_left ? -shift : 16 - smaller(shift, 16)));
    const u26 factor = u26(unsigned(shift > 16 ? 0 : natural<26>(1u << exponent)));
    const wide_t product = multiply(i17(magnitude), factor) + wide_t(is_far_left ? 0 : 1 << 15);
    const wide_t argument = is_far_left ? product : wide_t(product >> 16);
    const wide_t limit = (wide_t(kGeluSegments) << 10) - 1;
    return natural<19>(unsigned(int(wide_t(argument >> 19) == 0 ? argument : limit)));
}

// What a line gives: GELU(|x|) - |x| in Q20, or the slope at x in Q16. The table holds them one behind the other; where
// it holds the negative of what is rounded up, halves are rounded down.
enum GeluCurve { kGeluFall, kGeluSlopeBelow, kGeluSlopeAbove };

inline GeluCurve gelu_curve(bool is_slope, i16 x) { return is_slope ? (x < 0 ? kGeluSlopeBelow : kGeluSlopeAbove) : kGeluFall; }

// On the line between two neighbouring points.
inline int gelu_line(GeluCurve curve, int argument) {
    const int i = int(curve) * kGeluSegments | argument >> 10;
    const int rise = narrow<15>(kGeluRiseTable[i]);
    const int position = natural<10>(unsigned(argument & 1023));
    const int half = curve == kGeluSlopeBelow ? 1 << 9 : (1 << 9) - 1;
    return narrow<19>(kGeluStartTable[i] + ((rise * position + half) >> 10));
}

// GELU(x), Q20, not yet rounded to the output's fraction.
inline wide_t gelu_value(i16 x, int fraction) {
#pragma HLS inline off
    const int positive = natural<15>(unsigned(x > 0 ? int(x) : 0));
    const wide_t raised = shift_by_power(positive, power_shift_of(larger(fraction - kGeluBits, -kMaxAlign)));
    return raised + gelu_line(kGeluFall, gelu_argument(x, fraction));
}

// GELU'(x), Q16.
inline int gelu_slope(i16 x, int fraction) {
#pragma HLS inline off
    return gelu_line(gelu_curve(true, x), gelu_argument(x, fraction));
}

}  // namespace peelvit

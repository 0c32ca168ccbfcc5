// AdamW: the state is the code of the second moment above the sign and the code of the first. Nine multipliers of 27 x 18.
#pragma once

#include "../functions.hpp"
#include "../moments.hpp"
#include "element.hpp"

namespace peelvit {

constexpr int kDecayDrop = 8;
constexpr int kStepDrop = 8;

// Factors and shifts of one tensor's update.
struct AdamwFactors {
    i18 rate, decay;
    i18 exp_avg_share, exp_avg_sq_share;
    int floor;        // smallest code of a second moment to divide by
    int f_gradient;   // of the averaged gradient
    int decay_shift;  // of the decay to the master weight's fraction
    int step_shift;   // of the step, for moments of exponent 0
};

inline AdamwFactors no_adamw() {
    AdamwFactors factors;
    factors.rate = 0;
    factors.decay = 0;
    factors.exp_avg_share = 0;
    factors.exp_avg_sq_share = 0;
    factors.floor = 0;
    factors.f_gradient = 0;
    factors.decay_shift = 0;
    factors.step_shift = 0;
    return factors;
}

// A gradient as a value of 16 bits, exact but for its rounding.
inline Scaled normalised(i32 gradient, int fraction) {
    const wide_t wide = gradient;
    const wide_t magnitude = wide < 0 ? wide_t(-wide) : wide;
    const int drop = bit_length(magnitude) - 16;
    const i18 value = i18(round_shift(magnitude, drop));
    Scaled scaled;
    scaled.value = gradient < 0 ? i18(-value) : value;
    scaled.exponent = drop - fraction;
    return scaled;
}

// Sign and code of the new first moment.
inline int new_exp_avg(int exp_avg, const Scaled& gradient, i18 share) {
    const int sign_bit = 1 << kExpAvgBits;
    Scaled old = decode_moment(exp_avg & (sign_bit - 1));
    if ((exp_avg & sign_bit) != 0) old.value = i18(-old.value);
    Scaled fresh = gradient;
    fresh.exponent = gradient.exponent + kExpAvgFraction;
    const Blended blended = blend(old, fresh, share);
    const bool is_negative = blended.value < 0;
    const acc_t magnitude = is_negative ? acc_t(-blended.value) : blended.value;
    return encode_moment(magnitude, blended.exponent, kExpAvgBits) | (is_negative ? sign_bit : 0);
}

// Code of the new second moment.
inline int new_exp_avg_sq(int exp_avg_sq, const Scaled& gradient, i18 share) {
    const wide_t square = multiply(gradient.value, gradient.value);
    Scaled fresh;
    fresh.value = i18(round_shift(square, 16));
    fresh.exponent = 2 * gradient.exponent + 16 + kExpAvgSqFraction;
    const Blended blended = blend(decode_moment(exp_avg_sq), fresh, share);
    return encode_moment(blended.value, blended.exponent, kExpAvgSqBits);
}

// rate * first moment / sqrt(second moment), at the master weight's fraction.
inline wide_t adamw_step(const AdamwFactors& factors, int exp_avg, int exp_avg_sq) {
    const int sign_bit = 1 << kExpAvgBits;
    const Scaled first = decode_moment(exp_avg & (sign_bit - 1));
    const Scaled second = decode_moment(larger(exp_avg_sq, factors.floor));
    const int radicand = larger(1, int(second.value) << (second.exponent & 1));
    const Rsqrt root = rsqrt(wide_t(radicand));
    const i18 numerator = (exp_avg & sign_bit) != 0 ? i18(-first.value) : first.value;
    const i27 ratio = i27(round_shift(multiply(numerator, i18(root.mantissa)), kStepDrop));
    const int shift = factors.step_shift + root.exponent + (second.exponent >> 1) - first.exponent;
    return fit32(multiply(ratio, factors.rate), shift);
}

inline Change adamw_change(const AdamwFactors& factors, i32 master, i32 state, i32 gradient) {
    const int codes = int(state);
    const Scaled scaled = normalised(gradient, factors.f_gradient);
    const int exp_avg = new_exp_avg(codes & 0xFFFF, scaled, factors.exp_avg_share);
    const int exp_avg_sq = new_exp_avg_sq((codes >> 16) & 0xFFFF, scaled, factors.exp_avg_sq_share);
    const i27 weight = i27(round_shift(wide_t(master), kDecayDrop));
    const wide_t decay = fit32(multiply(weight, factors.decay), factors.decay_shift);
    const int exp_avg_end = (1 << kExpAvgBits) - 1;
    const int exp_avg_sq_end = (1 << kExpAvgSqBits) - 1;
    Change change;
    change.step = decay + adamw_step(factors, exp_avg, exp_avg_sq);
    change.state = i32(u32(exp_avg_sq) << 16 | u32(exp_avg));
    change.is_at_end = (exp_avg & exp_avg_end) == exp_avg_end || exp_avg_sq == exp_avg_sq_end;
    return change;
}

}  // namespace peelvit

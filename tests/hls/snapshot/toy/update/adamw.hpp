// AdamW: the state is the code of the second moment above the sign and the code of the first. Ten multipliers of 27 x 18.
#pragma once

#include "../functions.hpp"
#include "../moments.hpp"
#include "fit.hpp"
#include "weight.hpp"

namespace peelvit {

constexpr int kDecayDrop = 8;
constexpr int kStepDrop = 8;

// Factors and shifts of one tensor's update.
struct AdamwFactors {
    i18 rate;
    Factor decay;  // to the master weight's fraction
    i18 exp_avg_share, exp_avg_sq_share;
    int floor;       // smallest code of a second moment to divide by
    int f_gradient;  // of the averaged gradient
    int step_shift;  // of the step, for moments of exponent 0
};

// A gradient as a value of 16 bits, exact but for its rounding.
inline Scaled normalised(i32 gradient, int fraction) {
    const bool is_negative = gradient < 0;
    const wide_t magnitude = u32(is_negative ? i33(-i33(gradient)) : i33(gradient));
    const int drop = bit_length(magnitude) - 16;
    const i18 value = i18(round_from<16>(magnitude, drop));
    Scaled scaled;
    scaled.value = is_negative ? i18(-value) : value;
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
    fresh.value = i18(round_right(square, 16));
    fresh.exponent = 2 * gradient.exponent + 16 + kExpAvgSqFraction;
    const Blended blended = blend(decode_moment(exp_avg_sq), fresh, share);
    return encode_moment(blended.value, blended.exponent, kExpAvgSqBits);
}

// rate * first moment / sqrt(second moment), at the master weight's fraction.
inline Rounded adamw_step(const AdamwFactors& factors, int exp_avg, int exp_avg_sq) {
    const int sign_bit = 1 << kExpAvgBits;
    const Scaled first = decode_moment(exp_avg & (sign_bit - 1));
    const Scaled second = decode_moment(larger(exp_avg_sq, factors.floor));
    const int radicand = larger(1, int(second.value) << (second.exponent & 1));
    const Rsqrt root = rsqrt(wide_t(radicand));
    const i18 numerator = (exp_avg & sign_bit) != 0 ? i18(-first.value) : first.value;
    const i27 ratio = i27(round_right(multiply(numerator, i18(root.mantissa)), kStepDrop));
    const int shift = factors.step_shift + root.exponent + (second.exponent >> 1) - first.exponent;
    return fit32(multiply(ratio, factors.rate), fit_of(narrow<10>(shift)));
}

inline Change adamw_change(const AdamwFactors& factors, i32 master, i32 state, i32 gradient) {
    const int codes = int(state);
    const Scaled scaled = normalised(gradient, factors.f_gradient);
    const int exp_avg = new_exp_avg(codes & 0xFFFF, scaled, factors.exp_avg_share);
    const int exp_avg_sq = new_exp_avg_sq((codes >> 16) & 0xFFFF, scaled, factors.exp_avg_sq_share);
    const i27 weight = i27(round_right(wide_t(master), kDecayDrop));
    const int exp_avg_end = (1 << kExpAvgBits) - 1;
    const int exp_avg_sq_end = (1 << kExpAvgSqBits) - 1;
    Change change;
    const Rounded decay = times(factors.decay, i32(weight));
    const Rounded step = adamw_step(factors, exp_avg, exp_avg_sq);
    change.step = i33(decay.floor) + step.floor + (decay.is_up ? 1 : 0);
    change.is_step_up = step.is_up;
    change.state = i32(u32(exp_avg_sq) << 16 | u32(exp_avg));
    change.is_at_end = (exp_avg & exp_avg_end) == exp_avg_end || exp_avg_sq == exp_avg_sq_end;
    return change;
}

}  // namespace peelvit

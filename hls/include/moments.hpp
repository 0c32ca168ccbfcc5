// Codes of AdamW's moments: decode_moment, encode_moment and blend of hls/spec/formats.py in C++, 27 x 18 bits at most.
#pragma once

#include "fixed.hpp"

namespace peelvit {

constexpr int kSignificandBits = 11;
constexpr int kHiddenBit = 1 << (kSignificandBits - 1);
constexpr int kExpAvgBits = 15;
constexpr int kExpAvgFraction = 37;
constexpr int kExpAvgSqBits = 16;
constexpr int kExpAvgSqFraction = 64;
constexpr int kMomentGuard = 8;
constexpr int kShareBits = 16;

// value * 2^exponent, of 16 bits and a sign, 2^16 included.
struct Scaled {
    i18 value;
    int exponent;
};

// What becomes of two of them.
struct Blended {
    acc_t value;
    int exponent;
};

inline Scaled decode_moment(int code) {
    const int field = code >> (kSignificandBits - 1);
    const int low = code & (kHiddenBit - 1);
    Scaled moment;
    moment.value = i18(field > 0 ? low + kHiddenBit : low);
    moment.exponent = larger(field - 1, 0);
    return moment;
}

// The code of `bits` bits that is nearest to magnitude * 2^exponent.
inline int encode_moment(acc_t magnitude, int exponent, int bits) {
    const int drop = larger(bit_length(wide_t(magnitude)) - kSignificandBits, -exponent);
    const int significand = narrow<13>(int(round_from<kSignificandBits>(wide_t(magnitude), drop)));
    const int code = (exponent + drop) * kHiddenBit + significand;
    return magnitude == 0 ? 0 : smaller(code, (1 << bits) - 1);
}

// Rounded by a right shift of any length; magnitudes of 2^24 at most are nothing from 26 on.
inline i27 align_down(i27 value, int shift) {
    const int places = smaller(shift, 26);
    const i27 half = i27((1 << places) >> 1);
    const i27 sum = value + half;
    return sum >> places;
}

// old + share * 2^-16 * (fresh - old), for a decoded moment and a fresh value of 16 bits. The one with the smaller
// exponent is brought to the other's.
inline Blended blend(const Scaled& old, const Scaled& fresh, i18 share) {
    const int lift = 16 - kSignificandBits;
    const int old_exponent = old.exponent - lift;
    const int fresh_exponent = fresh.value == 0 ? old_exponent : fresh.exponent;
    const int above = fresh_exponent - old_exponent;
    const bool is_fresh_above = above > 0;
    const int top = is_fresh_above ? fresh_exponent : old_exponent;
    const i27 old_value = i27(old.value) << (lift + kMomentGuard);
    const i27 fresh_value = i27(fresh.value) << kMomentGuard;
    const i27 low = align_down(is_fresh_above ? old_value : fresh_value, is_fresh_above ? above : -above);
    const i27 a = is_fresh_above ? low : old_value;
    const i27 b = is_fresh_above ? fresh_value : low;
    const i27 difference = b - a;
    Blended blended;
    blended.value = (acc_t(a) << kShareBits) + acc_t(multiply(difference, share));
    blended.exponent = top - kMomentGuard - kShareBits;
    return blended;
}

}  // namespace peelvit

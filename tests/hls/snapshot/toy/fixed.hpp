// Rounding, saturation and statistics: hls/spec/formats.py in C++. docs/numerics.md is the definition.
#pragma once

#include "types.hpp"

namespace peelvit {

constexpr int kMaxAlign = 31;
constexpr int kMaxSegmentSpread = 16;
constexpr int kMomentumGuard = 4;
constexpr int kMasterShift = 16;
constexpr int kProbabilityBits = 48;
constexpr int kEmpty = -128;  // peak of a slot that saw nothing but zeros

inline wide_t magnitude_limit(int bits) { return (wide_t(1) << (bits - 1)) - 1; }

inline wide_t clamp(wide_t value, wide_t low, wide_t high) { return value < low ? low : (value > high ? high : value); }

inline wide_t saturate(wide_t value, int bits) {
    const wide_t bound = magnitude_limit(bits);
    return clamp(value, wide_t(-bound), bound);
}

// value * 2^-shift for a shift of 1 ... 62, rounded half up. The half is added behind the shift, where few bits are
// left.
inline wide_t round_right(wide_t value, int shift) {
    const wide_t twice = value >> (shift - 1);
    return (twice + 1) >> 1;
}

// The same for any shift; a negative one is a left shift of at most kMaxAlign, above 62 nothing is left.
inline wide_t round_shift(wide_t value, int shift) {
    if (shift > 62) return 0;
    return shift > 0 ? round_right(value, shift) : wide_t(value << smaller(-shift, kMaxAlign));
}

// Rounded by `shift`, not yet saturated to kBits. What is out of range anyway is cut off first, so that all that
// follows fits `near_t`: kBits + 2 bits, and as many again for a left shift.
template <int kBits, typename near_t>
inline wide_t requantise_to(wide_t value, int shift) {
    const bool is_right = shift > 0;
    const wide_t shifted = is_right ? wide_t(value >> (smaller(shift, 63) - 1)) : value;
    const wide_t end = wide_t(1) << kBits;
    const near_t near = near_t(clamp(shifted, wide_t(-end), wide_t(end - 1)));
    if (shift > 62) return 0;
    return is_right ? near_t((near + 1) >> 1) : near_t(near << smaller(-shift, kBits - 1));
}

inline wide_t requantise_unsaturated(wide_t value, int shift, int bits) {
    return bits == 16 ? requantise_to<16, i32>(value, shift) : requantise_to<32, wide_t>(value, shift);
}

inline wide_t requantise(wide_t value, int shift, int bits) {
    return saturate(requantise_unsaturated(value, shift, bits), bits);
}

// Bring a value from one fraction to another.
inline wide_t align(wide_t value, int from, int to) { return round_shift(value, from - to); }

inline int bit_length(wide_t value) {
    uwide_t rest = uwide_t(value ^ (value >> 63));
    int length = 0;
halves:
    for (int i = 5; i >= 0; --i) {
#pragma HLS unroll
        const int step = 1 << i;
        const uwide_t high = rest >> step;
        if (high != 0) {
            rest = high;
            length += step;
        }
    }
    return length + int(rest);
}

inline int reference_fraction(int a, int b) { return smaller(larger(a, b), smaller(a, b) + kMaxSegmentSpread); }
inline int reference_fraction(int a, int b, int c) {
    return smaller(larger(larger(a, b), c), smaller(smaller(a, b), c) + kMaxSegmentSpread);
}

// What a store learns about the tensor it writes: an OR of magnitudes (independent of order) and a count.
struct Statistics {
    uwide_t bits;
    unsigned saturations;
};

inline Statistics no_statistics() {
    Statistics statistics;
    statistics.bits = 0;
    statistics.saturations = 0;
    return statistics;
}

// A stored mantissa of `bits` bits from an accumulator, with its part in the statistics.
inline wide_t store(wide_t value, int shift, int bits, Statistics& statistics) {
    statistics.bits |= uwide_t(value ^ (value >> 63));
    const wide_t rounded = requantise_unsaturated(value, shift, bits);
    const wide_t kept = saturate(rounded, bits);
    if (kept != rounded) ++statistics.saturations;
    return kept;
}

}  // namespace peelvit

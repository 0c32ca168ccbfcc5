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

// The magnitude of a value, less one where it is negative.
inline uwide_t magnitude_of(wide_t value) { return uwide_t(value ^ (value >> 63)); }

// The magnitude of its double, likewise.
inline uwide_t doubled(wide_t value) { return uwide_t(wide_t(value << 1) ^ wide_t(value >> 63)); }

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

// Right shift of a value that was lifted before, for a shift of at least -kLift.
template <int kLift>
inline u6 places_from(int shift) {
    return u6(unsigned(smaller(larger(shift + kLift, 0), 63)));
}

// value * 2^-shift, rounded half up, for a shift of at least -kLift: one shifter serves both directions. The value has
// at most 63 - kLift bits with its sign.
template <int kLift>
inline wide_t round_from(wide_t value, int shift) {
    const wide_t twice = wide_t(value << (kLift + 1)) >> places_from<kLift>(shift);
    return (twice + 1) >> 1;
}

// How far a store shifts, in as few bits as it takes: lanes of a loop share it.
struct Shift {
    u6 right;  // one less where the half is still to be added
    u6 left;
    bool rounds;
    bool leaves_nothing;
};

inline Shift shift_of(int shift, int bits) {
    Shift by;
    by.rounds = shift > 0;
    by.leaves_nothing = shift > 62;
    by.right = u6(unsigned(by.rounds && !by.leaves_nothing ? narrow<7>(shift - 1) : 0));
    by.left = u6(unsigned(by.rounds ? 0 : narrow<6>(smaller(-shift, bits - 1))));
    return by;
}

// Rounded, not yet saturated to 16 bits. What is out of range anyway is cut off first, so that all that follows is
// narrow.
inline i32 shift_to_16(wide_t value, const Shift& by) {
    const i17 near = bounded17(wide_t(value >> by.right));
    if (by.leaves_nothing) return 0;
    return by.rounds ? i32((near + 1) >> 1) : i32(i32(near) << by.left);
}
inline wide_t shift_to_32(wide_t value, const Shift& by) {
    const i33 near = bounded33(wide_t(value >> by.right));
    if (by.leaves_nothing) return 0;
    return by.rounds ? wide_t((near + 1) >> 1) : wide_t(wide_t(near) << by.left);
}

inline i16 saturate16(i32 value) { return value > 32767 ? i16(32767) : (value < -32767 ? i16(-32767) : i16(value)); }

// Bring a value from one fraction to another.
inline wide_t align(wide_t value, int from, int to) { return round_shift(value, from - to); }

// A step of the search for the highest bit, in twice kBits bits: the half where it is stays, half as wide.
template <int kBits>
inline void halve(uwide_t& rest, int& length) {
    const uwide_t low = (uwide_t(1) << kBits) - 1;
    const uwide_t high = rest >> kBits;
    const bool is_high = high != 0;
    rest = is_high ? high : uwide_t(rest & low);
    length |= is_high ? kBits : 0;
}

inline int bit_length_of(uwide_t magnitude) {
    uwide_t rest = magnitude;
    int length = 0;
    halve<32>(rest, length);
    halve<16>(rest, length);
    halve<8>(rest, length);
    halve<4>(rest, length);
    halve<2>(rest, length);
    halve<1>(rest, length);
    return length + int(rest);
}

inline int bit_length(wide_t value) { return bit_length_of(magnitude_of(value)); }

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
    const Shift by = shift_of(shift, bits);
    statistics.bits |= magnitude_of(value);
    if (bits == 16) {
        const i32 rounded = shift_to_16(value, by);
        const i16 kept = saturate16(rounded);
        if (kept != rounded) ++statistics.saturations;
        return kept;
    }
    const wide_t rounded = shift_to_32(value, by);
    const wide_t kept = saturate(rounded, bits);
    if (kept != rounded) ++statistics.saturations;
    return kept;
}

// The same for accumulators of 48 bits that are stored as 16 bits: what all lanes of a row share, looked up once.
struct Fit16 {
    u6 places;    // of a right shift behind a left shift of 16
    u49 outside;  // what `doubled48` may not reach
};

inline Fit16 fit16_of(int shift) {
    const int from = narrow<7>(smaller(larger(shift, -15), 48) + 15);
    Fit16 by;
    by.places = u6(unsigned(from));
    by.outside = u49(uwide_t(uwide_t(65535) << narrow<7>(smaller(from, 48))) >> 15);
    return by;
}

// Twice the magnitude of a value, less one where it is negative. The value times 2^-s, rounded half up, is outside of
// 16 bits just when this is at least 65535 * 2^s, rounded down; s may be negative.
inline u49 doubled48(acc_t value) { return u49(wide_t(wide_t(value) << 1) ^ wide_t(value < 0 ? -1 : 0)); }

// What the lanes of a word add to the statistics.
struct Seen {
    acc_t bits;
    int saturations;
};

inline Seen nothing_seen() {
    Seen seen;
    seen.bits = 0;
    seen.saturations = 0;
    return seen;
}

inline void add(Statistics& statistics, const Seen& seen) {
    statistics.bits |= uwide_t(seen.bits);
    statistics.saturations += unsigned(seen.saturations);
}

// One shifter for both directions; what does not fit is told beforehand, so that only 17 bits are shifted out.
inline i16 fit16(acc_t value, const Fit16& by, Seen& seen) {
    const u49 magnitude = doubled48(value);
    const bool saturates = magnitude >= by.outside;
    const i17 near = i17(wide_t(wide_t(value) << 16) >> by.places);
    seen.bits |= acc_t(magnitude >> 1);
    seen.saturations += saturates ? 1 : 0;
    return saturates ? (value < 0 ? i16(-32767) : i16(32767)) : i16((near + 1) >> 1);
}

// The same for accumulators of 64 bits.
struct FitWide {
    bool is_far;  // 32 places to the right before all else
    u6 places;    // of a right shift behind a left shift of 16
    bool holds_all;
    uwide_t outside;  // what the doubled magnitude may not reach
};

inline FitWide fit_wide_of(int shift) {
    const int from = narrow<8>(shift > 62 ? 64 : larger(shift, -15));  // 64 leaves nothing
    FitWide by;
    by.is_far = from > 32;
    by.places = u6(unsigned(narrow<8>(from + (by.is_far ? -17 : 15))));
    by.holds_all = from > 48;
    by.outside = from > 0 ? uwide_t(uwide_t(65535) << smaller(from, 48)) : uwide_t(65535 >> narrow<5>(-from));
    return by;
}

// One shifter for both directions, as for accumulators of 48 bits.
inline i16 fit16(wide_t value, const FitWide& by, Statistics& seen) {
    const uwide_t magnitude = doubled(value);
    const bool saturates = !by.holds_all && magnitude >= by.outside;
    const wide_t close = by.is_far ? wide_t(value >> 32) : value;
    const i17 near = i17(wide_t(close << 16) >> by.places);
    seen.bits |= magnitude >> 1;
    seen.saturations += saturates ? 1 : 0;
    return saturates ? (value < 0 ? i16(-32767) : i16(32767)) : i16((near + 1) >> 1);
}

// The same for sums of 64 bits that are stored as 32 bits.
struct Fit32 {
    bool is_left;  // 32 places to the left before all else
    u6 places;     // of a right shift
    bool holds_all;
    uwide_t outside;  // what the doubled magnitude may not reach
};

inline Fit32 fit32_of(int shift) {
    const int from = narrow<8>(smaller(larger(shift, -31), 63));
    Fit32 by;
    by.is_left = from <= 0;
    by.places = u6(unsigned(from > 62 ? 63 : narrow<8>(from + (by.is_left ? 31 : -1))));
    by.holds_all = from > 32;
    const uwide_t largest = 0xFFFFFFFFu;
    by.outside = from > 0 ? uwide_t(largest << smaller(from, 32)) : uwide_t(largest >> narrow<6>(-from));
    return by;
}

// One shifter for both directions.
inline i32 fit32(wide_t value, const Fit32& by, Statistics& seen) {
    const uwide_t magnitude = doubled(value);
    const bool saturates = !by.holds_all && magnitude >= by.outside;
    const wide_t high = by.is_left ? wide_t(value << 32) : value;
    const i33 twice = i33(high >> by.places);
    seen.bits |= magnitude >> 1;
    seen.saturations += saturates ? 1 : 0;
    return saturates ? (value < 0 ? i32(-0x7FFFFFFF) : i32(0x7FFFFFFF)) : i32((twice + 1) >> 1);
}

inline Statistics merged(const Statistics& a, const Statistics& b) {
    Statistics both;
    both.bits = a.bits | b.bits;
    both.saturations = a.saturations + b.saturations;
    return both;
}

}  // namespace peelvit

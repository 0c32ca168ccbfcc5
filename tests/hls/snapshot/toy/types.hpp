// Number types of the kernels, named once: arbitrary-precision types for synthesis and the `fidelity` C simulation,
// native integers for the `fast` one (PEELVIT_NATIVE, built with -fwrapv so that 64-bit sums wrap alike).
//
// Loop counters, addresses and shift amounts are plain int in both: they are never data.
#pragma once

#ifdef PEELVIT_NATIVE
#include <cstdint>
#else
#include <ap_int.h>
#endif

namespace peelvit {

#ifdef PEELVIT_NATIVE
using i4 = std::int32_t;
using i9 = std::int16_t;
using i16 = std::int16_t;
using i17 = std::int32_t;
using i18 = std::int32_t;  // with i27 the operands of one multiplier
using i20 = std::int32_t;
using i27 = std::int32_t;
using i32 = std::int32_t;
using i33 = std::int64_t;
using i34 = std::int64_t;
using i36 = std::int64_t;
using i44 = std::int64_t;
using i48 = std::int64_t;
using i38 = std::int64_t;
using i40 = std::int64_t;
using i56 = std::int64_t;
using u6 = std::uint8_t;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u17 = std::uint32_t;  // a 16-bit mantissa up to and with one
using u20 = std::uint32_t;
using u26 = std::uint32_t;
using u30 = std::uint32_t;
using u32 = std::uint32_t;
using u34 = std::uint64_t;
using u38 = std::uint64_t;
using u40 = std::uint64_t;
using u49 = std::uint64_t;
using factor_t = std::int32_t;  // a 16-bit factor held as the machine multiplies fastest
using acc_t = std::int64_t;     // 48 bits are enough (legal shapes), 64 are what the machine has
using wide_t = std::int64_t;    // epilogues
using uwide_t = std::uint64_t;

struct alignas(16) word_t {
    std::int16_t lane[8];
};

inline wide_t bounded(wide_t value, wide_t end) { return value < -end ? -end : (value >= end ? end - 1 : value); }
inline i17 bounded17(wide_t value) { return i17(bounded(value, wide_t(1) << 16)); }
inline i33 bounded33(wide_t value) { return bounded(value, wide_t(1) << 32); }

inline acc_t low48(wide_t value) { return acc_t(std::uint64_t(value) << 16) >> 16; }

inline word_t zero_word() { return word_t{{0, 0, 0, 0, 0, 0, 0, 0}}; }
inline i16 get16(const word_t& word, int lane) { return word.lane[lane]; }
inline void put16(word_t& word, int lane, i16 value) { word.lane[lane] = value; }
inline i32 get32(const word_t& word, int lane) {
    return i32(u32(std::uint16_t(word.lane[2 * lane])) | u32(std::uint16_t(word.lane[2 * lane + 1])) << 16);
}
inline void put32(word_t& word, int lane, i32 value) {
    word.lane[2 * lane] = i16(u32(value) & 0xFFFF);
    word.lane[2 * lane + 1] = i16(u32(value) >> 16);
}
#else
using i4 = ap_int<4>;
using i9 = ap_int<9>;
using i16 = ap_int<16>;
using i17 = ap_int<17>;
using i18 = ap_int<18>;
using i20 = ap_int<20>;
using i27 = ap_int<27>;
using i32 = ap_int<32>;
using i33 = ap_int<33>;
using i34 = ap_int<34>;
using i36 = ap_int<36>;
using i44 = ap_int<44>;
using i48 = ap_int<48>;
using i38 = ap_int<38>;
using i40 = ap_int<40>;
using i56 = ap_int<56>;
using u6 = ap_uint<6>;
using u8 = ap_uint<8>;
using u16 = ap_uint<16>;
using u17 = ap_uint<17>;
using u20 = ap_uint<20>;
using u26 = ap_uint<26>;
using u30 = ap_uint<30>;
using u32 = ap_uint<32>;
using u34 = ap_uint<34>;
using u38 = ap_uint<38>;
using u40 = ap_uint<40>;
using u49 = ap_uint<49>;
using factor_t = ap_int<16>;
using acc_t = ap_int<48>;
using wide_t = ap_int<64>;
using uwide_t = ap_uint<64>;
using word_t = ap_uint<128>;

// The nearest number that the type holds.
inline i17 bounded17(wide_t value) {
    const i17 low = i17(value);
    return low == value ? low : (value < 0 ? i17(-65536) : i17(65535));
}
inline i33 bounded33(wide_t value) {
    const i33 low = i33(value);
    const i33 highest = i33((wide_t(1) << 32) - 1);
    return low == value ? low : (value < 0 ? i33(~highest) : highest);
}

inline acc_t low48(wide_t value) { return acc_t(value); }

inline word_t zero_word() { return word_t(0); }
inline i16 get16(const word_t& word, int lane) { return i16(ap_uint<16>(word.range(16 * lane + 15, 16 * lane))); }
inline void put16(word_t& word, int lane, i16 value) { word.range(16 * lane + 15, 16 * lane) = ap_uint<16>(value); }
inline i32 get32(const word_t& word, int lane) { return i32(ap_uint<32>(word.range(32 * lane + 31, 32 * lane))); }
inline void put32(word_t& word, int lane, i32 value) { word.range(32 * lane + 31, 32 * lane) = ap_uint<32>(value); }
#endif

#ifdef PEELVIT_NATIVE
inline acc_t product(factor_t a, factor_t b) { return acc_t(a) * b; }
#else
inline ap_int<32> product(factor_t a, factor_t b) { return a * b; }  // one DSP48E2 with the addition that follows
inline ap_int<33> product(i17 a, factor_t b) { return a * b; }       // and with the one that makes its first factor
inline ap_int<34> product(i17 a, i17 b) { return a * b; }            // the second factor's in LUTs
#endif

// The exact product of two numbers, in a multiplier of their widths and no wider.
template <typename A, typename B>
inline wide_t multiply(A a, B b) {
#ifdef PEELVIT_NATIVE
    return wide_t(a) * wide_t(b);
#else
    return wide_t(a * b);
#endif
}

// A value known to fit kBits bits, sign included: hardware keeps no more of it. Bounds follow from clamps and formats,
// which synthesis does not see through. PEELVIT_EXACT_WIDTHS lets clang see them as well (sim/rtl/leaf).
template <int kBits>
inline int narrow(int value) {
#ifdef PEELVIT_EXACT_WIDTHS
    return int((_BitInt(kBits))value);
#elif defined(PEELVIT_NATIVE)
    return value;
#else
    return int(ap_int<kBits>(value));
#endif
}

// The same for one that is not negative: bits without a sign.
template <int kBits>
inline int natural(unsigned value) {
#ifdef PEELVIT_EXACT_WIDTHS
    return int((unsigned _BitInt(kBits))value);
#elif defined(PEELVIT_NATIVE)
    return int(value);
#else
    return int(ap_uint<kBits>(value));
#endif
}

// Two products in one multiplier (Winograd, "A new algorithm for inner product", 1968):
//
//     a0 b0 + a1 b1  =  crossed(a0, a1, b0, b1) - own(a0, a1) - own(b0, b1)
//
// What is taken away has one operand each: an array of R x C cells sums it in R + C multipliers. The identity holds in
// integers of any width that wrap, so a sum needs no more bits than without it. A processor has multipliers enough.
#if defined(PEELVIT_NATIVE) && !defined(PEELVIT_EXACT_WIDTHS)
// In 32 bits, which a processor multiplies fastest: the sum lies in [-kLeast, 2^31].
inline acc_t crossed(factor_t a0, factor_t a1, factor_t b0, factor_t b1) {
    constexpr u32 kLeast = 2u * 32768u * 32767u;
    return acc_t(u32(u32(a0 * b0) + u32(a1 * b1) + kLeast)) - acc_t(kLeast);
}
inline acc_t own(factor_t, factor_t) { return 0; }
#elif defined(PEELVIT_NATIVE)
inline acc_t crossed(factor_t a0, factor_t a1, factor_t b0, factor_t b1) {
    return product(narrow<17>(a0 + b1), narrow<17>(a1 + b0));
}
inline acc_t own(factor_t x0, factor_t x1) { return product(x0, x1); }
#else
inline ap_int<34> crossed(factor_t a0, factor_t a1, factor_t b0, factor_t b1) {
    return product(i17(a0 + b1), i17(a1 + b0));
}
inline ap_int<32> own(factor_t x0, factor_t x1) { return product(x0, x1); }
#endif

constexpr int kLanes = 8;      // int16 elements of a word
constexpr int kWideLanes = 4;  // int32 elements of a word

inline int smaller(int a, int b) { return a < b ? a : b; }
inline int larger(int a, int b) { return a > b ? a : b; }
inline int words16(int columns) { return int(unsigned(columns + kLanes - 1) / kLanes); }  // words of an int16 row
inline int words32(int columns) { return 2 * words16(columns); }                          // words of an int32 row

}  // namespace peelvit

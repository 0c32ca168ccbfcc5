// How an update rounds to 32 bits and limits to them, with one shifter for both directions.
//
// A value is told to be outside by its double, bits inverted where it is negative: it rounds to 2^31 and more from
// (2^32 - 1) * 2^shift on, halves included. So nothing is compared behind the shift, and 34 bits of it are enough.
#pragma once

#include "../fixed.hpp"

namespace peelvit {

// A shift of values, looked up once a tensor where all elements share it.
struct Fit {
    bool is_left;  // no bits go: 32 of the value are raised by as many first
    u6 places;     // of the shift to the right that leaves the double
    uwide_t outside;
};

// (2^32 - 1) * 2^shift for a shift of -31 ... 31, above it what no double of less than 62 bits reaches.
inline uwide_t end_of_fit(int shift) {
    const uwide_t most = ((uwide_t(1) << 32) - 1) << 31;
    return most >> u6(unsigned(31 - smaller(shift, 31)));
}

// A number rounded half up, as one to which a bit is to be added: the sum it goes into takes the bit as its carry.
struct Rounded {
    i32 floor;
    bool is_up;
};

inline i32 value_of(const Rounded& number) { return i32(number.floor + (number.is_up ? 1 : 0)); }

// The number whose double is `twice` in its low 34 bits, or the end on its side.
inline Rounded fitted(bool is_outside, bool is_negative, wide_t twice) {
    const i32 end = i32(is_negative ? -0x7FFFFFFF : 0x7FFFFFFF);
    Rounded number;
    number.floor = is_outside ? end : i32(twice >> 1);
    number.is_up = !is_outside && (twice & 1) != 0;
    return number;
}

// Of values of less than 61 bits by any shift.
inline Fit fit_of(int shift) {
    const int by = smaller(larger(shift, -31), 63);
    Fit fit;
    fit.is_left = by <= 0;
    fit.places = u6(unsigned(by <= 0 ? by + 31 : by - 1));
    fit.outside = end_of_fit(by);
    return fit;
}

inline Rounded fit32(wide_t value, const Fit& fit) {
    const wide_t raised = fit.is_left ? wide_t(wide_t(i32(value)) << 32) : value;
    return fitted(doubled(value) >= fit.outside, value < 0, raised >> fit.places);
}

// The same for values of 32 bits: all of them are raised.
struct Fit32Bits {
    u6 places;
    u34 outside;  // no double reaches 2^33
};

inline Fit32Bits fit_of_32(int shift) {
    const int by = smaller(larger(narrow<11>(shift), -31), 32);
    Fit32Bits fit;
    fit.places = u6(unsigned(by + 31));
    fit.outside = by > 0 ? u34(uwide_t(1) << 33) : u34(end_of_fit(by));
    return fit;
}

inline Rounded fit32(i32 value, const Fit32Bits& fit) {
    const u34 magnitude = u34(doubled(wide_t(value)));
    return fitted(magnitude >= fit.outside, value < 0, wide_t(wide_t(value) << 32) >> fit.places);
}

// A positive factor of 17 bits with a shift of its products to the right (a negative one: to the left). The multiplier
// shifts by the bits that are missing to whole bytes, so that the shifter behind it has eight places and no more.
struct Factor {
    i27 value;
    bool is_left;
    int bytes;  // less than eight
    uwide_t outside;
};

inline Factor no_factor() {
    Factor factor;
    factor.value = 0;
    factor.is_left = false;
    factor.bytes = 0;
    factor.outside = 0;
    return factor;
}

inline Factor factor_of(int mantissa, int shift) {
#pragma HLS inline off
    const int by = smaller(larger(narrow<11>(shift), -31), 57);
    const int places = natural<6>(unsigned(by > 0 ? by + 6 : -by));  // to the right for the double, or to the left
    const int bytes = places >> 3;
    const int rest = places & 7;
    const int raise = by > 0 ? 7 - rest : rest + 1;
    Factor factor;
    factor.value = i27(natural<17>(unsigned(mantissa))) << raise;
    factor.is_left = by <= 0;
    factor.bytes = by > 0 ? bytes : 3 - bytes;
    factor.outside = end_of_fit(by + raise);
    return factor;
}

// factor * value, in 32 bits.
inline Rounded times(const Factor& factor, i32 value) {
    const wide_t product = multiply(value, factor.value);
    const wide_t raised = factor.is_left ? wide_t(product << 24) : product;
    const bool is_outside = doubled(product) >= factor.outside;
    return fitted(is_outside, product < 0, raised >> u6(unsigned(8 * natural<3>(unsigned(factor.bytes)))));
}

// A sum that fits 36 bits, limited to 32.
inline i32 limit32(i36 sum) {
    const i32 low = i32(sum);
    const int above = int(sum >> 31);
    const bool is_outside = (above != 0 && above != -1) || u32(low) == u32(0x80000000u);
    return is_outside ? i32(sum < 0 ? -0x7FFFFFFF : 0x7FFFFFFF) : low;
}

}  // namespace peelvit

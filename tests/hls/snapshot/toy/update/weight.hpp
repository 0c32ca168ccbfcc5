// One weight of an update, whatever its rule: the master weight moves; its rounded half is the weight, the low half what
// rounding left.
#pragma once

#include "../instruction.hpp"
#include "../slots.hpp"
#include "fit.hpp"

namespace peelvit {

// What a rule makes of a gradient: the step to take off the master weight and the optimizer's new state.
struct Change {
    i33 step;  // one more where it is rounded up
    bool is_step_up;
    i32 state;
    bool is_at_end;  // a part of the state reached the end of its range
};

// In memory a word of low halves lies before two of the optimizer's state: how many words eight elements take.
constexpr int kStateWords = 3;

constexpr int kMasterMin = -2147450880;
constexpr int kMasterMax = 2147450879;

struct Element {
    i16 weight;
    i16 low;  // half of the master weight
    i32 state;
};

// What new master weights add to the weight's slot.
struct Renewal {
    u32 bits;
    unsigned saturations;
};

inline Renewal no_renewal() {
    Renewal seen;
    seen.bits = 0;
    seen.saturations = 0;
    return seen;
}

inline void add(Renewal& seen, const Renewal& more) {
    seen.bits |= more.bits;
    seen.saturations += more.saturations & 15u;  // of at most eight lanes
}

// A word less its first kCount elements of 16 bits, which have been taken.
template <int kCount>
word_t behind_first(const word_t& word) {
#pragma HLS inline
    word_t rest = zero_word();
    for (int lane = 0; lane < kLanes - kCount; ++lane) {
#pragma HLS unroll
        put16(rest, lane, get16(word, lane + kCount));
    }
    return rest;
}

// The master weight of a weight and its low half, which takes one from a rounded half if it is negative.
inline i32 joined(i16 weight, i16 low) {
    word_t halves = zero_word();
    put16(halves, 0, low);
    put16(halves, 1, i16(int(weight) + int(low >> 15)));
    return get32(halves, 0);
}

// A master weight and its rounded half.
struct Master {
    i32 value;
    i16 weight;
    bool is_limited;
};

// Of one that fits 36 bits, limited to what rounds to a weight.
inline Master limited_master(i36 master) {
    const int rounded = narrow<20>(int(master >> kMasterShift) + int(master >> (kMasterShift - 1) & 1));
    const int above = rounded >> 15;
    const bool is_negative = master < 0;
    Master made;
    made.is_limited = (above != 0 && above != -1) || i16(rounded) == i16(-32768);
    made.value = made.is_limited ? i32(is_negative ? kMasterMin : kMasterMax) : i32(master);
    made.weight = made.is_limited ? i16(is_negative ? -32767 : 32767) : i16(rounded);
    return made;
}

// A master weight as it is moved: halved where the tensor's fraction has become too fine.
inline i32 rescaled(bool rescales, i32 master) { return rescales ? i32(round_right(wide_t(master), 1)) : master; }

// A master weight less its step, rounded: the lowest bit of the difference borrows what rounds it up.
inline i36 without(i32 master, const Change& change) {
    const wide_t step = wide_t(wide_t(change.step) << 1) | wide_t(change.is_step_up ? 1 : 0);
    return i36(wide_t(wide_t(wide_t(master) << 1) - step) >> 1);
}

// New master weight and state of an element; what is learnt about them.
inline Element updated(i32 scaled, const Change& change, bool is_padding, Renewal& seen) {
    const Master master = limited_master(is_padding ? i36(0) : without(scaled, change));
    Element element;
    element.weight = master.weight;
    element.low = i16(master.value);
    element.state = is_padding ? i32(0) : change.state;
    seen.bits |= u32(master.value ^ (master.value >> 31));
    seen.saturations += master.is_limited || (!is_padding && change.is_at_end) ? 1u : 0u;
    return element;
}

// The tensor's fractions before its update: `f_weight` of the new weights, and whether they are halved first. The first
// part of a tensor decides that for all of it; later ones see by the slot's fractions what it did.
struct Scale {
    bool rescales;
    bool is_later_part;
    int f_weight;
};

inline Scale scale_of(const Slots& slots, const Matrix& weight, bool is_later_part) {
    const int f = slots.f[weight.slot];
    const bool is_large = slots.peak[weight.slot] >= kRescalePeak;
    Scale scale;
    scale.rescales = is_later_part ? f != int(slots.f_previous[weight.slot]) : is_large;
    scale.is_later_part = is_later_part;
    scale.f_weight = !is_later_part && is_large ? larger(kFractionMin, f - 1) : f;
    return scale;
}

// The weight's slot after its update.
inline void renew(Slots& slots, int slot, const Scale& scale, const Renewal& seen) {
#pragma HLS inline off
    const int length = bit_length(wide_t(seen.bits));
    const int peak = length > 0 ? length : kEmpty;
    const int before = slots.f[slot];
    if (!scale.is_later_part) slots.f_previous[slot] = byte_of(before);
    slots.f[slot] = byte_of(scale.f_weight);
    slots.peak[slot] = byte_of(scale.is_later_part ? larger(slots.peak[slot], peak) : peak);
    slots.saturations[slot] += seen.saturations;
}

inline int clamp_shift(int shift) { return narrow<8>(larger(-64, smaller(64, shift))); }

inline int clamp_average(int shift) { return narrow<10>(larger(-256, smaller(256, shift))); }

}  // namespace peelvit

// One weight of an update, whatever its rule: the master weight moves, its rounded half is the weight.
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

// In memory two words of master weights lie before two of the optimizer's state: how many that are for eight elements,
// which a word of them is, and its place among those of its kind.
constexpr int kStateWords = 4;
inline bool is_master(int word) { return (word & 2) == 0; }
inline int place_of_state(int word) { return word / kStateWords * 2 + word % 2; }

struct Element {
    i32 master;
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

// A master weight as it is moved: halved where the tensor's fraction has become too fine.
inline i32 rescaled(bool rescales, i32 master) { return rescales ? i32(round_right(wide_t(master), 1)) : master; }

// A master weight less its step, rounded: the lowest bit of the difference borrows what rounds it up.
inline i36 without(i32 master, const Change& change) {
    const wide_t step = wide_t(wide_t(change.step) << 1) | wide_t(change.is_step_up ? 1 : 0);
    return i36(wide_t(wide_t(wide_t(master) << 1) - step) >> 1);
}

// New master weight and state of an element; what is learnt about them.
inline Element updated(i32 scaled, const Change& change, bool is_padding, Renewal& seen) {
    const i36 moved = without(scaled, change);
    const i32 limited = limit32(moved);
    Element element;
    element.master = is_padding ? i32(0) : limited;
    element.state = is_padding ? i32(0) : change.state;
    seen.bits |= u32(element.master ^ (element.master >> 31));
    seen.saturations += !is_padding && (limited != moved || change.is_at_end) ? 1u : 0u;
    return element;
}

inline i16 rounded_weight(i32 master) { return saturate16(i32(round_right(wide_t(master), kMasterShift))); }

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

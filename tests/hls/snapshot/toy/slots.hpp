// The slot table on chip: fraction, statistics and history of every tensor. Rendered from hls/spec/slots.py.
#pragma once

#include "config.hpp"
#include "cycles.hpp"
#include "fixed.hpp"

namespace peelvit {

constexpr int kHistory = 16;
constexpr int kSlotWords = 2;
constexpr int kFractionMin = -32;
constexpr int kFractionMax = 64;
constexpr int kRescalePeak = 31;

// A byte holds a fraction, a peak and what was seen of it.
struct Slots {
    signed char f[kMaxSlots];
    signed char f_previous[kMaxSlots];
    signed char peak[kMaxSlots];
    unsigned saturations[kMaxSlots];
    signed char history[kMaxSlots][kHistory];
};

inline signed char byte_of(int value) { return static_cast<signed char>(value); }

// The exponent of a number of `length` bits at a fraction, within the bounds of a slot's.
inline int peak_of(int length, int fraction) { return larger(-127, smaller(127, narrow<12>(length - fraction))); }

// Enter what a store saw at fraction `fraction` into the slot.
inline void record(Slots& slots, int slot, const Statistics& statistics, int fraction) {
#pragma HLS inline off
    const int length = bit_length_of(statistics.bits);
    if (length > 0) slots.peak[slot] = byte_of(larger(slots.peak[slot], peak_of(length, fraction)));
    slots.saturations[slot] += statistics.saturations;
}

inline void load_slots(const word_t* mem, unsigned address, int count, Slots& slots) {
load_slots:
    for (int slot = 0; slot < count; ++slot) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(slot == 0, 2, kReadLatency);
        const word_t state = read_word<0>(mem, address + kSlotWords * slot);
        const word_t past = read_word<0>(mem, address + kSlotWords * slot + 1);
        slots.f[slot] = byte_of(larger(kFractionMin, smaller(kFractionMax, int(get32(state, 0)))));
        slots.f_previous[slot] = byte_of(larger(kFractionMin, smaller(kFractionMax, int(get32(state, 1)))));
        slots.peak[slot] = byte_of(larger(kEmpty, smaller(127, int(get32(state, 2)))));
        slots.saturations[slot] = unsigned(u32(get32(state, 3)));
        for (int i = 0; i < kHistory; ++i) {
#pragma HLS unroll
            const int pair = int(get16(past, i / 2));
            slots.history[slot][i] = byte_of(i % 2 == 0 ? pair : pair >> 8);
        }
    }
}

inline void store_slots(word_t* mem, unsigned address, int count, const Slots& slots) {
store_slots:
    for (int slot = 0; slot < count; ++slot) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(slot == 0, 2, 4);
        word_t state = zero_word();
        put32(state, 0, i32(slots.f[slot]));
        put32(state, 1, i32(slots.f_previous[slot]));
        put32(state, 2, i32(slots.peak[slot]));
        put32(state, 3, i32(u32(slots.saturations[slot])));
        word_t past = zero_word();
        for (int i = 0; i < kHistory / 2; ++i) {
#pragma HLS unroll
            const int low = int(slots.history[slot][2 * i]) & 0xFF;
            const int high = int(slots.history[slot][2 * i + 1]) & 0xFF;
            put16(past, i, i16(low | high << 8));
        }
        write_word<0>(mem, address + kSlotWords * slot, state);
        write_word<0>(mem, address + kSlotWords * slot + 1, past);
    }
}

}  // namespace peelvit

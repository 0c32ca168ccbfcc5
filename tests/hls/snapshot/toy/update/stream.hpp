// How a weight update streams its tensors: load / update / store through FIFOs.
//
// Port 0 carries the master weights, port 1 the optimizer's state, port 2 gradients in and weights out.
#pragma once

#include "../blocks.hpp"
#include "adamw.hpp"
#include "element.hpp"
#include "sgd.hpp"

namespace peelvit {

constexpr int kUpdateGroups = 256;  // groups of eight elements in a block
constexpr int kUpdateWords = 2 * kUpdateGroups;
constexpr int kGroupBits = 19;  // of a tensor's groups
constexpr int kUpdateDepth = 96;

enum Rule { kSgd, kAdamw };

// What a tensor's update computes with, looked up once.
struct Update {
    Rule rule;
    int rescale;  // 1 where the master weights are halved
    SgdFactors sgd;
    AdamwFactors adamw;
    int words, columns;  // of a row: int16 words, elements
};

struct UpdateState {
    u16 word;  // of its row, where the walk over the tensor stands
    u32 bits;  // seen in master weights
    unsigned saturations;
};

// A master weight as it is moved: halved where the tensor's fraction has become too fine.
inline i32 rescaled(const Update& update, i32 master) {
    return update.rescale != 0 ? i32(round_right(wide_t(master), 1)) : master;
}

// What the elements of a cycle add to the statistics.
struct Noted {
    u32 bits;
    int saturations;
};

inline Noted nothing_noted() {
    Noted noted;
    noted.bits = 0;
    noted.saturations = 0;
    return noted;
}

inline void note(UpdateState& walk, const Noted& noted) {
    walk.bits |= noted.bits;
    walk.saturations += unsigned(noted.saturations);
}

// A master weight less its step, rounded: the lowest bit of the difference borrows what rounds it up.
inline i36 without(i32 master, const Change& change) {
    const wide_t step = wide_t(wide_t(change.step) << 1) | wide_t(change.is_step_up ? 1 : 0);
    return i36(wide_t(wide_t(wide_t(master) << 1) - step) >> 1);
}

// New master weight and state of an element; what is learnt about them.
inline Element updated(i32 scaled, const Change& change, bool is_padding, Noted& seen) {
    const i36 moved = without(scaled, change);
    const i32 limited = limit32(moved);
    Element element;
    element.master = is_padding ? i32(0) : limited;
    element.state = is_padding ? i32(0) : change.state;
    seen.bits |= u32(element.master ^ (element.master >> 31));
    seen.saturations += !is_padding && (limited != moved || change.is_at_end) ? 1 : 0;
    return element;
}

inline i16 rounded_weight(i32 master) { return saturate16(i32(round_right(wide_t(master), kMasterShift))); }

// Where groups of eight elements begin that lie next to each other in all operands.
struct Line {
    unsigned master, state, gradient, weight;
};

// Of `all` groups of a line those in block `b`.
inline int groups_in(int all, int b) {
    return natural<9>(unsigned(smaller(kUpdateGroups, all - narrow<kGroupBits>(b) * kUpdateGroups)));
}

// The two int32 words of each group of block `b`.
template <int kPort>
inline void load_groups(const word_t* mem, unsigned address, int all, int b, word_t stream[kUpdateWords]) {
    const unsigned start = address + unsigned(b * kUpdateWords);
load_groups:
    for (int w = 0; w < 2 * groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(w == 0, 1, kReadLatency);
        stream[w] = read_word<kPort>(mem, start + unsigned(w));
    }
}

template <int kPort>
inline void store_groups(word_t* mem, unsigned address, int all, int b, const word_t stream[kUpdateWords]) {
    const unsigned start = address + unsigned(b * kUpdateWords);
store_groups:
    for (int w = 0; w < 2 * groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<kPort>(mem, start + unsigned(w), stream[w]);
    }
}

inline void store_weights(word_t* mem2, unsigned address, int all, int b, const word_t stream[kUpdateGroups]) {
    const unsigned start = address + unsigned(b * kUpdateGroups);
store_weights:
    for (int w = 0; w < groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<2>(mem2, start + unsigned(w), stream[w]);
    }
}

inline void next_group(const Update& update, UpdateState& walk) {
    walk.word = walk.word + 1 == update.words ? u16(0) : u16(walk.word + 1);
}

// SGD: half a group, four elements, a cycle, as fast as three ports bring them.
inline void sgd_groups(const word_t masters[kUpdateWords], const word_t states[kUpdateWords],
                       const word_t gradients[kUpdateWords], const Update& update, int groups,
                       word_t new_masters[kUpdateWords], word_t new_states[kUpdateWords],
                       word_t weights[kUpdateGroups], UpdateState& walk) {
#pragma HLS inline
    i16 first_half[kWideLanes];
#pragma HLS array_partition variable=first_half type=complete
sgd_groups:
    for (int i = 0; i < 2 * groups; ++i) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(i == 0, 1, kUpdateDepth);
        const int half = i % 2;
        const int lanes = update.columns - kLanes * walk.word - kWideLanes * half;
        const word_t old_masters = masters[i];
        const word_t old_states = states[i];
        const word_t gradient = gradients[i];
        word_t master = zero_word();
        word_t state = zero_word();
        word_t weight = zero_word();
        Noted seen = nothing_noted();
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            const i32 scaled = rescaled(update, get32(old_masters, lane));
            const Change change = sgd_change(update.sgd, scaled, get32(old_states, lane), get32(gradient, lane));
            const Element element = updated(scaled, change, lane >= lanes, seen);
            put32(master, lane, element.master);
            put32(state, lane, element.state);
            put16(weight, lane, first_half[lane]);
            first_half[lane] = rounded_weight(element.master);
            put16(weight, kWideLanes + lane, first_half[lane]);
        }
        note(walk, seen);
        new_masters[i] = master;
        new_states[i] = state;
        if (half == 1) {
            weights[i / 2] = weight;
            next_group(update, walk);
        }
    }
}

// AdamW: an element a cycle, since its lane is as large as two of SGD's.
inline void adamw_groups(const word_t masters[kUpdateWords], const word_t states[kUpdateWords],
                         const word_t gradients[kUpdateWords], const Update& update, int groups,
                         word_t new_masters[kUpdateWords], word_t new_states[kUpdateWords],
                         word_t weights[kUpdateGroups], UpdateState& walk) {
#pragma HLS inline
    word_t held[3];  // a word of each, while its lanes are taken
    i32 made[2][kWideLanes];  // master weights and states, shifted in
    i16 rounded[kLanes];
#pragma HLS array_partition variable=held type=complete
#pragma HLS array_partition variable=made type=complete dim=0
#pragma HLS array_partition variable=rounded type=complete
adamw_groups:
    for (int i = 0; i < kLanes * groups; ++i) {
#pragma HLS loop_tripcount max = 2048
        PIPELINE(i == 0, 1, kUpdateDepth);
        const int lane = i % kWideLanes;
        const int column = kLanes * walk.word + i % kLanes;
        if (lane == 0) {
            held[0] = masters[i / kWideLanes];
            held[1] = states[i / kWideLanes];
            held[2] = gradients[i / kWideLanes];
        }
        const i32 scaled = rescaled(update, get32(held[0], lane));
        const Change change = adamw_change(update.adamw, scaled, get32(held[1], lane), get32(held[2], lane));
        Noted seen = nothing_noted();
        const Element element = updated(scaled, change, column >= update.columns, seen);
        note(walk, seen);
        for (int k = 0; k < kWideLanes - 1; ++k) {
#pragma HLS unroll
            made[0][k] = made[0][k + 1];
            made[1][k] = made[1][k + 1];
        }
        for (int k = 0; k < kLanes - 1; ++k) {
#pragma HLS unroll
            rounded[k] = rounded[k + 1];
        }
        made[0][kWideLanes - 1] = element.master;
        made[1][kWideLanes - 1] = element.state;
        rounded[kLanes - 1] = rounded_weight(element.master);
        word_t master = zero_word();
        word_t state = zero_word();
        word_t weight = zero_word();
        for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
            put32(master, k, made[0][k]);
            put32(state, k, made[1][k]);
        }
        for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
            put16(weight, k, rounded[k]);
        }
        if (lane == kWideLanes - 1) {
            new_masters[i / kWideLanes] = master;
            new_states[i / kWideLanes] = state;
        }
        if (i % kLanes == kLanes - 1) {
            weights[i / kLanes] = weight;
            next_group(update, walk);
        }
    }
}

// A rule that is not the tensor's has no groups.
inline void update_groups(const word_t masters[kUpdateWords], const word_t states[kUpdateWords],
                          const word_t gradients[kUpdateWords], const Update& update, int all, int b,
                          word_t new_masters[kUpdateWords], word_t new_states[kUpdateWords],
                          word_t weights[kUpdateGroups], UpdateState& walk) {
    const int groups = groups_in(all, b);
    const bool is_adamw = update.rule == kAdamw;
    sgd_groups(masters, states, gradients, update, is_adamw ? 0 : groups, new_masters, new_states, weights, walk);
    adamw_groups(masters, states, gradients, update, is_adamw ? groups : 0, new_masters, new_states, weights, walk);
}

inline void update_line(word_t* mem0, word_t* mem1, word_t* mem2, const Line& line, int all, int blocks, const Update& update,
                        UpdateState& walk) {
update_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t masters[kUpdateWords];
        word_t states[kUpdateWords];
        word_t gradients[kUpdateWords];
        word_t new_masters[kUpdateWords];
        word_t new_states[kUpdateWords];
        word_t weights[kUpdateGroups];
#pragma HLS stream variable=masters type=fifo depth=16
#pragma HLS stream variable=states type=fifo depth=16
#pragma HLS stream variable=gradients type=fifo depth=16
#pragma HLS stream variable=new_masters type=fifo depth=16
#pragma HLS stream variable=new_states type=fifo depth=16
#pragma HLS stream variable=weights type=fifo depth=16
        PROCESS(load_groups<0>(mem0, line.master, all, b, masters));
        BESIDE(load_groups<1>(mem1, line.state, all, b, states));
        BESIDE(load_groups<2>(mem2, line.gradient, all, b, gradients));
        PROCESS(update_groups(masters, states, gradients, update, all, b, new_masters, new_states, weights, walk));
        PROCESS(store_groups<0>(mem0, line.master, all, b, new_masters));
        BESIDE(store_groups<1>(mem1, line.state, all, b, new_states));
        BESIDE(store_weights(mem2, line.weight, all, b, weights));
    }
}

// The tensor's fractions before its update: `f_weight` of the new weights, and whether they are halved first.
struct Scale {
    int rescale;
    int f_weight;
};

inline Scale scale_of(const Slots& slots, const Matrix& weight) {
    Scale scale;
    scale.rescale = slots.peak[weight.slot] >= kRescalePeak ? 1 : 0;
    scale.f_weight = larger(kFractionMin, slots.f[weight.slot] - scale.rescale);
    return scale;
}

inline int clamp_shift(int shift) { return narrow<8>(larger(-64, smaller(64, shift))); }

inline int clamp_average(int shift) { return narrow<10>(larger(-256, smaller(256, shift))); }

// Update a tensor of `rows` rows; the factors of its rule are set. One copy serves all rules.
inline void update_tensor(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& master, const Matrix& state,
                          const Matrix& gradient, const Matrix& weight, int rows, int f_weight, const Update& update,
                          Slots& slots) {
#pragma HLS inline off
    UpdateState walk;
    walk.word = 0;
    walk.bits = 0;
    walk.saturations = 0;
    const int wide_words = 2 * update.words;
    const bool is_dense = master.pitch == wide_words && state.pitch == wide_words && gradient.pitch == wide_words &&
                          weight.pitch == update.words;
    const int lines = is_dense ? 1 : rows;
    Line line;
    const int all = narrow<kGroupBits>(is_dense ? rows * update.words : update.words);
    const int blocks = int(unsigned(all + kUpdateGroups - 1) / kUpdateGroups);
update_lines:
    for (int i = 0; i < lines; ++i) {
#pragma HLS loop_tripcount max = 4096
        line.master = row_address(master, unsigned(i));
        line.state = row_address(state, unsigned(i));
        line.gradient = row_address(gradient, unsigned(i));
        line.weight = row_address(weight, unsigned(i));
        update_line(mem0, mem1, mem2, line, all, blocks, update, walk);
    }
    const int length = bit_length(wide_t(walk.bits));
    slots.f[weight.slot] = byte_of(f_weight);
    slots.peak[weight.slot] = byte_of(length > 0 ? length : kEmpty);
    slots.saturations[weight.slot] += walk.saturations;
}

}  // namespace peelvit

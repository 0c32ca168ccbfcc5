// How a weight update streams its tensors: load / update / store through FIFOs, four elements a cycle.
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
    int word;  // of its row, where the walk over the tensor stands
    Statistics master;
};

// New master weight and state of one element; what is learnt about them.
inline Element update_element(const Update& update, i32 master, i32 state, i32 gradient, Statistics& statistics) {
    const i32 scaled = i32(round_shift(wide_t(master), update.rescale));
    Change change;
    if (update.rule == kAdamw) {
        change = adamw_change(update.adamw, scaled, state, gradient);
    } else {
        change = sgd_change(update.sgd, scaled, state, gradient);
    }
    const wide_t moved = wide_t(scaled) - change.step;
    const wide_t limited = saturate(moved, 32);
    Element updated;
    updated.master = i32(limited);
    updated.state = change.state;
    statistics.bits |= uwide_t(limited ^ (limited >> 63));
    if (limited != moved || change.is_at_end) ++statistics.saturations;
    return updated;
}

// Groups of eight elements that lie next to each other in all operands, and where they begin.
struct Line {
    unsigned master, state, gradient, weight;
    int groups;
};

inline int groups_in(const Line& line, int b) { return smaller(kUpdateGroups, line.groups - b * kUpdateGroups); }

// The two int32 words of each group of block `b`.
template <int kPort>
inline void load_groups(const word_t* mem, unsigned address, const Line& line, int b, word_t stream[kUpdateWords]) {
    const unsigned start = address + unsigned(b * kUpdateWords);
load_groups:
    for (int w = 0; w < 2 * groups_in(line, b); ++w) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(w == 0, 1, kReadLatency);
        stream[w] = read_word<kPort>(mem, start + unsigned(w));
    }
}

template <int kPort>
inline void store_groups(word_t* mem, unsigned address, const Line& line, int b, const word_t stream[kUpdateWords]) {
    const unsigned start = address + unsigned(b * kUpdateWords);
store_groups:
    for (int w = 0; w < 2 * groups_in(line, b); ++w) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<kPort>(mem, start + unsigned(w), stream[w]);
    }
}

inline void store_weights(word_t* mem2, const Line& line, int b, const word_t stream[kUpdateGroups]) {
    const unsigned start = line.weight + unsigned(b * kUpdateGroups);
store_weights:
    for (int w = 0; w < groups_in(line, b); ++w) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<2>(mem2, start + unsigned(w), stream[w]);
    }
}

// Half a group, four elements, a cycle: as fast as three ports bring them.
inline void update_groups(const word_t masters[kUpdateWords], const word_t states[kUpdateWords],
                          const word_t gradients[kUpdateWords], const Update& update, const Line& line, int b,
                          word_t new_masters[kUpdateWords], word_t new_states[kUpdateWords],
                          word_t weights[kUpdateGroups], UpdateState& walk) {
    word_t weight = zero_word();
update_groups:
    for (int i = 0; i < 2 * groups_in(line, b); ++i) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(i == 0, 1, kUpdateDepth);
        const int half = i % 2;
        const int lanes = update.columns - kLanes * walk.word - kWideLanes * half;
        const word_t old_masters = masters[i];
        const word_t old_states = states[i];
        const word_t gradient = gradients[i];
        word_t master = zero_word();
        word_t state = zero_word();
        if (half == 0) weight = zero_word();
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            if (lane < lanes) {
                const Element updated = update_element(update, get32(old_masters, lane), get32(old_states, lane),
                                                       get32(gradient, lane), walk.master);
                const i16 rounded = i16(requantise(wide_t(updated.master), kMasterShift, 16));
                put32(master, lane, updated.master);
                put32(state, lane, updated.state);
                if (half == 0) put16(weight, lane, rounded);
                if (half == 1) put16(weight, kWideLanes + lane, rounded);
            }
        }
        new_masters[i] = master;
        new_states[i] = state;
        if (half == 1) {
            weights[i / 2] = weight;
            ++walk.word;
            if (walk.word == update.words) walk.word = 0;
        }
    }
}

inline void update_line(word_t* mem0, word_t* mem1, word_t* mem2, const Line& line, int blocks, const Update& update,
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
        PROCESS(load_groups<0>(mem0, line.master, line, b, masters));
        BESIDE(load_groups<1>(mem1, line.state, line, b, states));
        BESIDE(load_groups<2>(mem2, line.gradient, line, b, gradients));
        PROCESS(update_groups(masters, states, gradients, update, line, b, new_masters, new_states, weights, walk));
        PROCESS(store_groups<0>(mem0, line.master, line, b, new_masters));
        BESIDE(store_groups<1>(mem1, line.state, line, b, new_states));
        BESIDE(store_weights(mem2, line, b, weights));
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
    scale.f_weight = slots.f[weight.slot] - scale.rescale;
    return scale;
}

inline int clamp_shift(int shift) { return larger(-64, smaller(64, shift)); }

// Update a tensor of `rows` rows; the factors of its rule are set. One copy serves all rules.
inline void update_tensor(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& master, const Matrix& state,
                          const Matrix& gradient, const Matrix& weight, int rows, int f_weight, const Update& update,
                          Slots& slots) {
#pragma HLS inline off
    UpdateState walk;
    walk.word = 0;
    walk.master = no_statistics();
    const int wide_words = words32(update.columns);
    const bool is_dense = master.pitch == wide_words && state.pitch == wide_words && gradient.pitch == wide_words &&
                          weight.pitch == update.words;
    const int lines = is_dense ? 1 : rows;
    Line line;
    line.groups = is_dense ? rows * update.words : update.words;
    const int blocks = (line.groups + kUpdateGroups - 1) / kUpdateGroups;
update_lines:
    for (int i = 0; i < lines; ++i) {
#pragma HLS loop_tripcount max = 4096
        line.master = row_address(master, unsigned(i));
        line.state = row_address(state, unsigned(i));
        line.gradient = row_address(gradient, unsigned(i));
        line.weight = row_address(weight, unsigned(i));
        update_line(mem0, mem1, mem2, line, blocks, update, walk);
    }
    const int length = bit_length(wide_t(walk.master.bits));
    slots.f[weight.slot] = f_weight;
    slots.peak[weight.slot] = length > 0 ? length : kEmpty;
    slots.saturations[weight.slot] += walk.master.saturations;
}

}  // namespace peelvit

// v = mu * v + g / 2^average_shift + decay * w; w = w - lr * v; weight = round(w / 2^16). Hyperparameters: (lr mantissa, lr shift, mu in Q16, decay mantissa, decay shift, 0, 0, 0). Fractions: numerics.md.
#pragma once

#include "../blocks.hpp"

namespace peelvit {

constexpr int kUpdateGroups = 256;  // groups of eight elements in a block
constexpr int kUpdateWords = 2 * kUpdateGroups;
constexpr int kUpdateDepth = 48;

// Factors and shifts of one tensor's update, looked up once.
struct Update {
    u17 rate, mu, decay;
    int rescale;         // 1 where the master weights are halved
    int momentum_shift;  // of the stored momentum to the gradient's new fraction
    int gradient_shift;
    int decay_shift;
    int step_shift;
    int words, columns;  // of a row: int16 words, elements
};

struct UpdateState {
    int word;  // of its row, where the walk over the tensor stands
    Statistics master;
};

struct Element {
    i32 master, momentum;
};

inline Element update_element(const Update& update, i32 master, i32 momentum, i32 gradient, Statistics& statistics) {
    const i32 scaled = i32(round_shift(wide_t(master), update.rescale));
    const i32 aligned = i32(requantise(wide_t(momentum), update.momentum_shift, 32));
    const wide_t kept = round_shift(multiply(aligned, update.mu), 16);
    const wide_t average = requantise(wide_t(gradient), update.gradient_shift, 32);
    const wide_t decay = requantise(multiply(scaled, update.decay), update.decay_shift, 32);
    Element updated;
    updated.momentum = i32(saturate(kept + average + decay, 32));
    const wide_t step = requantise(multiply(updated.momentum, update.rate), update.step_shift, 32);
    const wide_t moved = wide_t(scaled) - step;
    const wide_t limited = saturate(moved, 32);
    updated.master = i32(limited);
    statistics.bits |= uwide_t(limited ^ (limited >> 63));
    if (limited != moved) ++statistics.saturations;
    return updated;
}

// Groups of eight elements that lie next to each other in all operands, and where they begin.
struct Line {
    unsigned master, momentum, gradient, weight;
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
inline void update_groups(const word_t masters[kUpdateWords], const word_t momenta[kUpdateWords],
                          const word_t gradients[kUpdateWords], const Update& update, const Line& line, int b,
                          word_t new_masters[kUpdateWords], word_t new_momenta[kUpdateWords],
                          word_t weights[kUpdateGroups], UpdateState& state) {
    word_t weight = zero_word();
update_groups:
    for (int i = 0; i < 2 * groups_in(line, b); ++i) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(i == 0, 1, kUpdateDepth);
        const int half = i % 2;
        const int lanes = update.columns - kLanes * state.word - kWideLanes * half;
        const word_t old_masters = masters[i];
        const word_t old_momenta = momenta[i];
        const word_t gradient = gradients[i];
        word_t master = zero_word();
        word_t momentum = zero_word();
        if (half == 0) weight = zero_word();
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            if (lane < lanes) {
                const Element updated = update_element(update, get32(old_masters, lane), get32(old_momenta, lane),
                                                       get32(gradient, lane), state.master);
                const i16 rounded = i16(requantise(wide_t(updated.master), kMasterShift, 16));
                put32(master, lane, updated.master);
                put32(momentum, lane, updated.momentum);
                if (half == 0) put16(weight, lane, rounded);
                if (half == 1) put16(weight, kWideLanes + lane, rounded);
            }
        }
        new_masters[i] = master;
        new_momenta[i] = momentum;
        if (half == 1) {
            weights[i / 2] = weight;
            ++state.word;
            if (state.word == update.words) state.word = 0;
        }
    }
}

inline void update_line(word_t* mem0, word_t* mem1, word_t* mem2, const Line& line, int blocks, const Update& update,
                        UpdateState& state) {
update_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t masters[kUpdateWords];
        word_t momenta[kUpdateWords];
        word_t gradients[kUpdateWords];
        word_t new_masters[kUpdateWords];
        word_t new_momenta[kUpdateWords];
        word_t weights[kUpdateGroups];
#pragma HLS stream variable=masters type=fifo depth=16
#pragma HLS stream variable=momenta type=fifo depth=16
#pragma HLS stream variable=gradients type=fifo depth=16
#pragma HLS stream variable=new_masters type=fifo depth=16
#pragma HLS stream variable=new_momenta type=fifo depth=16
#pragma HLS stream variable=weights type=fifo depth=16
        PROCESS(load_groups<0>(mem0, line.master, line, b, masters));
        BESIDE(load_groups<1>(mem1, line.momentum, line, b, momenta));
        BESIDE(load_groups<2>(mem2, line.gradient, line, b, gradients));
        PROCESS(update_groups(masters, momenta, gradients, update, line, b, new_masters, new_momenta, weights, state));
        PROCESS(store_groups<0>(mem0, line.master, line, b, new_masters));
        BESIDE(store_groups<1>(mem1, line.momentum, line, b, new_momenta));
        BESIDE(store_weights(mem2, line, b, weights));
    }
}

inline int clamp_shift(int shift) { return larger(-64, smaller(64, shift)); }

inline void sgd_update(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix master = operand(in, 0);
    const Matrix momentum = operand(in, 1);
    const Matrix gradient = operand(in, 2);
    const Matrix weight = operand(in, 3);
    const Matrix hyperparameters = operand(in, 4);
    const int rows = int(in.dimension[0]);
    const int n = int(in.dimension[1]);
    const bool has_decay = (in.flags & 1u) != 0;
    const int average_shift = int(in.immediate[0]);

    STRAIGHT(kReadLatency);
    const word_t first = read_word<0>(mem0, hyperparameters.address);
    const word_t second = read_word<0>(mem0, hyperparameters.address + 1);
    const int rescale = slots.peak[weight.slot] >= kRescalePeak ? 1 : 0;
    const int f_weight = slots.f[weight.slot] - rescale;
    const int f_master = f_weight + kMasterShift;
    const int f_gradient = slots.f[gradient.slot];
    const int f_momentum = f_gradient - kMomentumGuard;
    const int mantissa_mask = (1 << 17) - 1;
    Update update;
    update.rate = u17(unsigned(int(get32(first, 0)) & mantissa_mask));
    update.mu = u17(unsigned(int(get32(first, 2)) & mantissa_mask));
    update.decay = u17(unsigned(has_decay ? int(get32(first, 3)) & mantissa_mask : 0));
    update.rescale = rescale;
    update.momentum_shift = slots.f_previous[gradient.slot] - f_gradient;
    update.gradient_shift = kMomentumGuard + larger(-256, smaller(256, average_shift));
    update.decay_shift = f_master + clamp_shift(int(get32(second, 0))) - f_momentum;
    update.step_shift = f_momentum + clamp_shift(int(get32(first, 1))) - f_master;
    update.words = words16(n);
    update.columns = n;

    UpdateState state;
    state.word = 0;
    state.master = no_statistics();
    const bool is_dense = master.pitch == words32(n) && momentum.pitch == words32(n) && gradient.pitch == words32(n) &&
                          weight.pitch == words16(n);
    const int lines = is_dense ? 1 : rows;
    Line line;
    line.groups = is_dense ? rows * update.words : update.words;
    const int blocks = (line.groups + kUpdateGroups - 1) / kUpdateGroups;
update_lines:
    for (int i = 0; i < lines; ++i) {
#pragma HLS loop_tripcount max = 4096
        line.master = master.address + unsigned(i) * unsigned(master.pitch);
        line.momentum = momentum.address + unsigned(i) * unsigned(momentum.pitch);
        line.gradient = gradient.address + unsigned(i) * unsigned(gradient.pitch);
        line.weight = weight.address + unsigned(i) * unsigned(weight.pitch);
        update_line(mem0, mem1, mem2, line, blocks, update, state);
    }
    const int length = bit_length(wide_t(state.master.bits));
    slots.f[weight.slot] = f_weight;
    slots.peak[weight.slot] = length > 0 ? length : kEmpty;
    slots.saturations[weight.slot] += state.master.saturations;
}

}  // namespace peelvit

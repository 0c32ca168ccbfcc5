// v = mu * v + g / 2^average_shift + decay * w; w = w - lr * v; weight = round(w / 2^16). Hyperparameters: (lr mantissa, lr shift, mu in Q16, decay mantissa, decay shift, 0, 0, 0). Fractions: numerics.md.
#pragma once

#include "../blocks.hpp"

namespace peelvit {

constexpr int kUpdateGroups = kBlockWords / 2;  // groups of eight elements that a block holds
constexpr int kMaxGroupBits = 12;
constexpr int kUpdateDepth = 48;

// Factors and shifts of one tensor's update, looked up once.
struct Update {
    wide_t rate, mu, decay;
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
    wide_t master, momentum;
};

inline Element update_element(const Update& update, wide_t master, wide_t momentum, wide_t gradient,
                              Statistics& statistics) {
    const wide_t scaled = round_shift(master, update.rescale);
    const wide_t aligned = requantise(momentum, update.momentum_shift, 32);
    const wide_t kept = round_shift(aligned * update.mu, 16);
    const wide_t average = requantise(gradient, update.gradient_shift, 32);
    const wide_t decay = requantise(scaled * update.decay, update.decay_shift, 32);
    Element updated;
    updated.momentum = saturate(kept + average + decay, 32);
    const wide_t step = requantise(updated.momentum * update.rate, update.step_shift, 32);
    const wide_t moved = scaled - step;
    updated.master = saturate(moved, 32);
    statistics.bits |= uwide_t(updated.master ^ (updated.master >> 63));
    if (updated.master != moved) ++statistics.saturations;
    return updated;
}

// Groups of eight elements that lie next to each other in all operands, cut into blocks of a power of two of them
// (as long as `cut` makes blocks, for the same reason).
struct GroupBlocks {
    int groups;
    int bits;
    int count;
};

inline GroupBlocks cut_groups(int groups) {
    GroupBlocks blocks;
    blocks.groups = groups;
    blocks.bits = 0;
group_bits:
    for (int bits = 1; bits <= kMaxGroupBits; ++bits) {
#pragma HLS unroll
        if (1 << bits <= kUpdateGroups && 1 << 2 * bits >> 3 <= groups) blocks.bits = bits;
    }
    blocks.count = (groups + (1 << blocks.bits) - 1) >> blocks.bits;
    return blocks;
}

inline int first_group(const GroupBlocks& blocks, int b) { return b << blocks.bits; }
inline int groups_in(const GroupBlocks& blocks, int b) {
    return smaller(1 << blocks.bits, blocks.groups - first_group(blocks, b));
}

// The two int32 words of each group of block `b`.
template <int kPort>
inline void load_groups(const word_t* mem, unsigned address, const GroupBlocks& blocks, int b,
                        word_t block[kBlockWords]) {
    const unsigned start = address + 2u * unsigned(first_group(blocks, b));
load_groups:
    for (int w = 0; w < 2 * groups_in(blocks, b); ++w) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(w == 0, 1, kReadLatency);
        block[w] = read_word<kPort>(mem, start + unsigned(w));
    }
}

template <int kPort>
inline void store_groups(word_t* mem, unsigned address, const GroupBlocks& blocks, int b,
                         const word_t block[kBlockWords]) {
    const unsigned start = address + 2u * unsigned(first_group(blocks, b));
store_groups:
    for (int w = 0; w < 2 * groups_in(blocks, b); ++w) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<kPort>(mem, start + unsigned(w), block[w]);
    }
}

inline void store_weights(word_t* mem2, unsigned address, const GroupBlocks& blocks, int b,
                          const word_t block[kUpdateGroups]) {
    const unsigned start = address + unsigned(first_group(blocks, b));
store_weights:
    for (int w = 0; w < groups_in(blocks, b); ++w) {
#pragma HLS loop_tripcount max = 32
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<2>(mem2, start + unsigned(w), block[w]);
    }
}

inline void update_groups(const word_t masters[kBlockWords], const word_t momenta[kBlockWords],
                          const word_t gradients[kBlockWords], const Update& update, const GroupBlocks& blocks, int b,
                          word_t new_masters[kBlockWords], word_t new_momenta[kBlockWords],
                          word_t weights[kUpdateGroups], UpdateState& state) {
update_groups:
    for (int g = 0; g < groups_in(blocks, b); ++g) {
#pragma HLS loop_tripcount max = 32
        PIPELINE(g == 0, 2, kUpdateDepth);
        const int lanes = update.columns - kLanes * state.word;
        word_t weight = zero_word();
        for (int half = 0; half < 2; ++half) {
#pragma HLS unroll
            const int place = 2 * g + half;
            word_t master = zero_word();
            word_t momentum = zero_word();
            for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
                if (kWideLanes * half + lane < lanes) {
                    const Element updated =
                        update_element(update, wide_t(get32(masters[place], lane)), wide_t(get32(momenta[place], lane)),
                                       wide_t(get32(gradients[place], lane)), state.master);
                    put32(master, lane, i32(updated.master));
                    put32(momentum, lane, i32(updated.momentum));
                    put16(weight, kWideLanes * half + lane, i16(requantise(updated.master, kMasterShift, 16)));
                }
            }
            new_masters[place] = master;
            new_momenta[place] = momentum;
        }
        weights[g] = weight;
        ++state.word;
        if (state.word == update.words) state.word = 0;
    }
}

// The groups that lie next to each other from these addresses on.
inline void update_line(word_t* mem0, word_t* mem1, word_t* mem2, unsigned master, unsigned momentum, unsigned gradient,
                        unsigned weight, const GroupBlocks& blocks, const Update& update, UpdateState& state) {
update_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t masters[kBlockWords];
        word_t momenta[kBlockWords];
        word_t gradients[kBlockWords];
        word_t new_masters[kBlockWords];
        word_t new_momenta[kBlockWords];
        word_t weights[kUpdateGroups];
        PROCESS(load_groups<0>(mem0, master, blocks, b, masters));
        PROCESS(load_groups<1>(mem1, momentum, blocks, b, momenta));
        PROCESS(load_groups<2>(mem2, gradient, blocks, b, gradients));
        PROCESS(
            update_groups(masters, momenta, gradients, update, blocks, b, new_masters, new_momenta, weights, state));
        PROCESS(store_groups<0>(mem0, master, blocks, b, new_masters));
        PROCESS(store_groups<1>(mem1, momentum, blocks, b, new_momenta));
        PROCESS(store_weights(mem2, weight, blocks, b, weights));
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
    update.rate = int(get32(first, 0)) & mantissa_mask;
    update.mu = int(get32(first, 2)) & mantissa_mask;
    update.decay = has_decay ? int(get32(first, 3)) & mantissa_mask : 0;
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
    const GroupBlocks blocks = cut_groups(is_dense ? rows * update.words : update.words);
update_lines:
    for (int line = 0; line < lines; ++line) {
#pragma HLS loop_tripcount max = 4096
        const unsigned row = unsigned(line);
        update_line(mem0, mem1, mem2, master.address + row * unsigned(master.pitch),
                    momentum.address + row * unsigned(momentum.pitch),
                    gradient.address + row * unsigned(gradient.pitch), weight.address + row * unsigned(weight.pitch),
                    blocks, update, state);
    }
    const int length = bit_length(wide_t(state.master.bits));
    slots.f[weight.slot] = f_weight;
    slots.peak[weight.slot] = length > 0 ? length : kEmpty;
    slots.saturations[weight.slot] += state.master.saturations;
}

}  // namespace peelvit

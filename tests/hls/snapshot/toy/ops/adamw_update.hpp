// m += share1 * (g - m); v += share2 * (g^2 - v); w -= decay * w + rate * m / sqrt(max(v, floor)); weight = round(w / 2^16). A state element is what is left of w, and the moments, the code of v above that of m. Hyperparameters: (rate mantissa, rate shift, share1 and share2 in Q16, decay mantissa, decay shift, floor's code, 0): numerics.md.
#pragma once

#include "../update/stream.hpp"

namespace peelvit {

inline void adamw_update(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix gradient = operand(in, 0);
    const Matrix state = operand(in, 1);
    const Matrix weight = operand(in, 2);
    const Matrix hyperparameters = operand(in, 3);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<13>(in.dimension[1]);
    const bool has_decay = (in.flags & 1u) != 0;
    const int average_shift = int(in.immediate[0]);

    STRAIGHT(kReadLatency);
    const word_t first = read_word<0>(mem0, hyperparameters.address);
    const word_t second = read_word<0>(mem0, hyperparameters.address + 1);
    const Scale scale = scale_of(slots, weight, false);
    const int f_master = scale.f_weight + kMasterShift;
    const int mantissa_mask = (1 << 17) - 1;
    const int whole_share = 1 << kShareBits;
    AdamwUpdate update;
    update.scale = scale;
    update.adamw.rate = i18(int(get32(first, 0)) & mantissa_mask);
    update.adamw.exp_avg_share = i18(smaller(int(get32(first, 2)) & mantissa_mask, whole_share));
    update.adamw.exp_avg_sq_share = i18(smaller(int(get32(first, 3)) & mantissa_mask, whole_share));
    update.adamw.decay = factor_of(has_decay ? int(get32(second, 0)) & mantissa_mask : 0,
                                   clamp_shift(int(get32(second, 1))) - kDecayDrop);
    update.adamw.floor = int(get32(second, 2)) & 0xFFFF;
    update.adamw.f_gradient = slots.f[gradient.slot] + clamp_average(average_shift);
    update.adamw.step_shift = clamp_shift(int(get32(first, 1))) - f_master + 16 - kStepDrop + kExpAvgFraction -
                              kExpAvgSqFraction / 2;
    update.words = words16(n);
    update.columns = n;
    update_tensor(mem0, mem1, mem2, state, gradient, weight, rows, update, slots);
}

}  // namespace peelvit

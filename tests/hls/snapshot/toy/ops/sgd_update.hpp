// v = mu * v + g / 2^average_shift + decay * w; w = w - lr * v; weight = round(w / 2^16). Hyperparameters: (lr mantissa, lr shift, mu in Q16, decay mantissa, decay shift, 0, 0, 0). Fractions: numerics.md.
#pragma once

#include "../update/stream.hpp"

namespace peelvit {

inline void sgd_update(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix master = operand(in, 0);
    const Matrix momentum = operand(in, 1);
    const Matrix gradient = operand(in, 2);
    const Matrix weight = operand(in, 3);
    const Matrix hyperparameters = operand(in, 4);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<13>(in.dimension[1]);
    const bool has_decay = (in.flags & 1u) != 0;
    const int average_shift = int(in.immediate[0]);

    STRAIGHT(kReadLatency);
    const word_t first = read_word<0>(mem0, hyperparameters.address);
    const word_t second = read_word<0>(mem0, hyperparameters.address + 1);
    const Scale scale = scale_of(slots, weight);
    const int f_master = scale.f_weight + kMasterShift;
    const int f_gradient = slots.f[gradient.slot];
    const int f_momentum = f_gradient - kMomentumGuard;
    const int mantissa_mask = (1 << 17) - 1;
    Update update;
    update.rule = kSgd;
    update.rescale = scale.rescale;
    update.adamw = no_adamw();
    const int to_master = f_momentum - f_master;
    const int decay = has_decay ? int(get32(first, 3)) & mantissa_mask : 0;
    update.sgd.mu = u17(unsigned(int(get32(first, 2)) & mantissa_mask));
    update.sgd.rate = factor_of(int(get32(first, 0)) & mantissa_mask, clamp_shift(int(get32(first, 1))) + to_master);
    update.sgd.decay = factor_of(decay, clamp_shift(int(get32(second, 0))) - to_master);
    update.sgd.momentum = fit_of_32(slots.f_previous[gradient.slot] - f_gradient);
    update.sgd.gradient = fit_of_32(kMomentumGuard + clamp_average(average_shift));
    update.words = words16(n);
    update.columns = n;
    update_tensor(mem0, mem1, mem2, master, momentum, gradient, weight, rows, scale.f_weight, update, slots);
}

}  // namespace peelvit

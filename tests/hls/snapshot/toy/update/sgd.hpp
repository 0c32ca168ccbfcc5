// SGD with momentum and weight decay: the state is the momentum.
#pragma once

#include "weight.hpp"

namespace peelvit {

// What a tensor's update computes with, looked up once.
struct SgdUpdate {
    Scale scale;
    u17 mu;
    Factor rate;   // of the step
    Factor decay;  // to the momentum
    Fit32Bits momentum;  // of the stored momentum to the gradient's new fraction
    Fit32Bits gradient;
};

inline SgdUpdate no_update() {
    SgdUpdate update;
    update.scale.rescales = false;
    update.scale.is_later_part = false;
    update.scale.f_weight = 0;
    update.mu = 0;
    update.rate = no_factor();
    update.decay = no_factor();
    update.momentum = fit_of_32(0);
    update.gradient = fit_of_32(0);
    return update;
}

// By the gradients of slot `gradient`, and the hyperparameters of two words at `address`.
inline SgdUpdate sgd_update_of(const word_t* mem0, unsigned address, const Slots& slots, int gradient, const Scale& scale,
                               int average_shift, bool has_decay) {
#pragma HLS inline off
    STRAIGHT(kReadLatency);
    const word_t first = read_word<0>(mem0, address);
    const word_t second = read_word<0>(mem0, address + 1);
    const int f_gradient = slots.f[gradient];
    const int to_master = f_gradient - kMomentumGuard - (scale.f_weight + kMasterShift);
    const int mantissa_mask = (1 << 17) - 1;
    const int decay = has_decay ? int(get32(first, 3)) & mantissa_mask : 0;
    SgdUpdate update;
    update.scale = scale;
    update.mu = u17(unsigned(int(get32(first, 2)) & mantissa_mask));
    update.rate = factor_of(int(get32(first, 0)) & mantissa_mask, clamp_shift(int(get32(first, 1))) + to_master);
    update.decay = factor_of(decay, clamp_shift(int(get32(second, 0))) - to_master);
    update.momentum = fit_of_32(slots.f_previous[gradient] - f_gradient);
    update.gradient = fit_of_32(kMomentumGuard + clamp_average(average_shift));
    return update;
}

inline Change sgd_change(const SgdUpdate& update, i32 master, i32 state, i32 gradient) {
    const wide_t kept = multiply(value_of(fit32(state, update.momentum)), update.mu);
    const Rounded average = fit32(gradient, update.gradient);
    const Rounded decay = times(update.decay, master);
    const int ups = int(kept >> 15 & 1) + (average.is_up ? 1 : 0) + (decay.is_up ? 1 : 0);
    Change change;
    change.state = limit32(i36(i34(kept >> 16)) + average.floor + decay.floor + ups);
    const Rounded step = times(update.rate, change.state);
    change.step = step.floor;
    change.is_step_up = step.is_up;
    change.is_at_end = false;
    return change;
}

}  // namespace peelvit

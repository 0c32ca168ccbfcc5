// SGD with momentum and weight decay: the state is the momentum.
#pragma once

#include "element.hpp"

namespace peelvit {

// Factors and shifts of one tensor's update.
struct SgdFactors {
    u17 rate, mu, decay;
    int momentum_shift;  // of the stored momentum to the gradient's new fraction
    int gradient_shift;
    int decay_shift;
    int step_shift;
};

inline SgdFactors no_sgd() {
    SgdFactors factors;
    factors.rate = 0;
    factors.mu = 0;
    factors.decay = 0;
    factors.momentum_shift = 0;
    factors.gradient_shift = 0;
    factors.decay_shift = 0;
    factors.step_shift = 0;
    return factors;
}

inline Change sgd_change(const SgdFactors& factors, i32 master, i32 state, i32 gradient) {
    const i32 aligned = fit32(wide_t(state), factors.momentum_shift);
    const i34 kept = i34(round_right(multiply(aligned, factors.mu), 16));
    const i32 average = fit32(wide_t(gradient), factors.gradient_shift);
    const i32 decay = fit32(multiply(master, factors.decay), factors.decay_shift);
    Change change;
    change.state = i32(saturate(wide_t(kept) + wide_t(average) + wide_t(decay), 32));
    change.step = fit32(multiply(change.state, factors.rate), factors.step_shift);
    change.is_at_end = false;
    return change;
}

}  // namespace peelvit

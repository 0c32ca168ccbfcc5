// SGD with momentum and weight decay: the state is the momentum.
#pragma once

#include "element.hpp"
#include "fit.hpp"

namespace peelvit {

// Factors and shifts of one tensor's update.
struct SgdFactors {
    u17 mu;
    Factor rate;   // of the step
    Factor decay;  // to the momentum
    Fit32Bits momentum;  // of the stored momentum to the gradient's new fraction
    Fit32Bits gradient;
};

inline SgdFactors no_sgd() {
    SgdFactors factors;
    factors.mu = 0;
    factors.rate = no_factor();
    factors.decay = no_factor();
    factors.momentum = fit_of_32(0);
    factors.gradient = fit_of_32(0);
    return factors;
}

inline Change sgd_change(const SgdFactors& factors, i32 master, i32 state, i32 gradient) {
    const wide_t kept = multiply(value_of(fit32(state, factors.momentum)), factors.mu);
    const Rounded average = fit32(gradient, factors.gradient);
    const Rounded decay = times(factors.decay, master);
    const int ups = int(kept >> 15 & 1) + (average.is_up ? 1 : 0) + (decay.is_up ? 1 : 0);
    Change change;
    change.state = limit32(i36(i34(kept >> 16)) + average.floor + decay.floor + ups);
    const Rounded step = times(factors.rate, change.state);
    change.step = step.floor;
    change.is_step_up = step.is_up;
    change.is_at_end = false;
    return change;
}

}  // namespace peelvit

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
    Fit momentum;  // of the stored momentum to the gradient's new fraction
    Fit gradient;
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
    const i32 aligned = fit32(state, factors.momentum);
    const i34 kept = i34(round_right(multiply(aligned, factors.mu), 16));
    const i32 average = fit32(gradient, factors.gradient);
    Change change;
    change.state = limit32(i36(kept) + average + times(factors.decay, master));
    change.step = times(factors.rate, change.state);
    change.is_at_end = false;
    return change;
}

}  // namespace peelvit

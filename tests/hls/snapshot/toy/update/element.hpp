// One element of a weight update, whatever its rule.
#pragma once

#include "../fixed.hpp"

namespace peelvit {

// What a rule makes of a gradient: the step to take off the master weight and the optimizer's new state.
struct Change {
    i33 step;  // one more where it is rounded up
    bool is_step_up;
    i32 state;
    bool is_at_end;  // a part of the state reached the end of its range
};

struct Element {
    i32 master;
    i32 state;
};

}  // namespace peelvit

// The accelerator behind the shell: the rendered kernels as they are, words over the bus.
#define PEELVIT_BUS
#include "peelvit.cpp"
//
#include "bus.hpp"

namespace peelvit::bus {

void body() {
    peelvit_top(nullptr, nullptr, nullptr, nullptr, nullptr, window_words, program, &result[0], &result[1], &result[2],
                &result[3]);
    cycles::now();
}

}  // namespace peelvit::bus

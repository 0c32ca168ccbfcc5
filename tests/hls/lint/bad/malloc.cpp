// expect: dynamic-allocation
#include <cstdlib>

void scratch(int n, int* out) {
  int* buffer = static_cast<int*>(std::malloc(n * sizeof(int)));  // BAD
  out[0] = buffer[0];
}

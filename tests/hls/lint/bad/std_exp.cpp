// expect: maths-call
#include <cmath>

int softmax_term(int x) {
  return std::exp(x);  // BAD
}

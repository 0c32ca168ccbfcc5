// expect: maths-call
#include <hls_math.h>

int norm(int x) {
  return hls::sqrt(x);  // BAD
}

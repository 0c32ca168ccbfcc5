// expect: floating-point
#include <ap_int.h>

ap_int<32> mean(ap_int<32> sum) {
  const auto wide = sum.to_double();  // BAD
  return static_cast<long>(wide) >> 4;  // BAD
}

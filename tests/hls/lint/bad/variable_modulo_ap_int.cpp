// expect: divider
#include <ap_int.h>

ap_uint<16> wrap(ap_uint<16> index, ap_uint<16> size) {
  index %= size;          // BAD
  return index % size;    // BAD
}

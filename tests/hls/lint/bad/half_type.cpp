// expect: floating-point
using half = _Float16;  // BAD

void copy(const half x[16], half y[16]) {  // BAD
  for (int i = 0; i < 16; ++i) y[i] = x[i];  // BAD
}

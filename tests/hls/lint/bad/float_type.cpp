// expect: floating-point
void scale(const int x[16], int y[16]) {
  for (int i = 0; i < 16; ++i) {
    float v = x[i];  // BAD
    y[i] = v;        // BAD
  }
}

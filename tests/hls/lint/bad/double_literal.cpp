// expect: floating-point
int scale(int x) {
  return x * 0.125;  // BAD
}

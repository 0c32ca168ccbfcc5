// expect: unbounded-loop
int log2_ceil(int x) {
  int bits = 0;
  while (x > 0) {  // BAD
    x >>= 1;
    ++bits;
  }
  return bits;
}

// expect: unbounded-loop
void clear(int x[64]) {
  for (int i = 0; i < 64; --i) {  // BAD
    x[i] = 0;
  }
}

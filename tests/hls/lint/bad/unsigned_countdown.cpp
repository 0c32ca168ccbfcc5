// expect: unbounded-loop
void clear(int x[64]) {
  for (unsigned i = 63; i >= 0; --i) {  // BAD
    x[i] = 0;
  }
}

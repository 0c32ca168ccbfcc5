// expect: tripcount
void clear(int x[64], int n) {
  for (int i = 0; i < n; ++i) {  // BAD
    x[i] = 0;
  }
}

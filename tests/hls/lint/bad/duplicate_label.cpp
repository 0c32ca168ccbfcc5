// expect: duplicate-label
void clear(int x[64], int y[64]) {
clear_loop:
  for (int i = 0; i < 64; ++i) x[i] = 0;
clear_loop:  // BAD
  for (int i = 0; i < 64; ++i) y[i] = 0;
}

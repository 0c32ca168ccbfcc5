// expect: misplaced-pragma
void clear(int x[64]) {
  for (int i = 0; i < 64; ++i) {
#pragma HLS inline off // BAD
    x[i] = 0;
  }
}

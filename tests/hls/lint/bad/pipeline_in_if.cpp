// expect: misplaced-pragma
void clear(int x[64], bool enable) {
  for (int i = 0; i < 64; ++i) {
    if (enable) {
#pragma HLS pipeline II=1 // BAD
      x[i] = 0;
    }
  }
}

// expect: misplaced-pragma
void clear(int x[64]) {
#pragma HLS unroll factor=4 // BAD
  for (int i = 0; i < 64; ++i) {
    x[i] = 0;
  }
}

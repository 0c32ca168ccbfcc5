// expect: misplaced-pragma
void clear(int x[64]) {
  x[0] = 1;
#pragma HLS pipeline II=1 // BAD
  for (int i = 0; i < 64; ++i) {
    x[i] = 0;
  }
}

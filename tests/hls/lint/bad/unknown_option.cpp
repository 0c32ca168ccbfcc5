// expect: pragma-option
void clear(int x[64]) {
clear_loop:
  for (int i = 0; i < 64; ++i) {
#pragma HLS pipeline interval=1 // BAD
    x[i] = 0;
  }
}

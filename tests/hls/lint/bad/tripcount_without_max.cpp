// expect: pragma-option, tripcount
void clear(int x[64], int n) {
  for (int i = 0; i < n; ++i) {  // BAD tripcount
#pragma HLS loop_tripcount min=1 // BAD pragma-option
    x[i] = 0;
  }
}

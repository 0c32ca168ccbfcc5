// expect: variable-inner-loop
void sums(const int x[16][16], int y[16], int n) {
rows:
  for (int i = 0; i < 16; ++i) {
#pragma HLS pipeline II=1
    int sum = 0;
    for (int j = 0; j < n; ++j) {  // BAD
#pragma HLS loop_tripcount max=16
      sum += x[i][j];
    }
    y[i] = sum;
  }
}

// expect: variable-inner-loop
int sum(const int x[16], int n) {
  int total = 0;
  for (int j = 0; j < n; ++j) {
#pragma HLS loop_tripcount max=16
    total += x[j];
  }
  return total;
}

void sums(const int x[16][16], int y[16], int n) {
rows:
  for (int i = 0; i < 16; ++i) {
#pragma HLS pipeline II=1
    y[i] = sum(x[i], n);  // BAD
  }
}

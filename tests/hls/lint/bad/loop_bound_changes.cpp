// expect: unbounded-loop
void compact(int x[64], int n) {
  for (int i = 0; i < n; ++i) {  // BAD
#pragma HLS loop_tripcount max=64
    if (x[i] == 0) n = n - 1;
  }
}

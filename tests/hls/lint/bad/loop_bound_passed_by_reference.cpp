// expect: unbounded-loop
void next(int& n) { n -= 1; }

void run(int x[64], int n) {
  for (int i = 0; i < n; ++i) {  // BAD
#pragma HLS loop_tripcount max=64
    x[i] = 0;
    next(n);
  }
}

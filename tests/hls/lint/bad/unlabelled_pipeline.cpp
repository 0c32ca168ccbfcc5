// expect: unlabelled-pipeline
void clear(int x[64]) {
  for (int i = 0; i < 64; ++i) {  // BAD
#pragma HLS pipeline II=1
    x[i] = 0;
  }
}

// expect: variable-inner-loop
int sum(const int x[16], int from) {
#pragma HLS pipeline II=4
  int total = 0;
  for (int j = from; j < 16; ++j) {  // BAD
#pragma HLS loop_tripcount max=16
    total += x[j];
  }
  return total;
}

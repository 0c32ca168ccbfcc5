// expect: pragma-option
void clear() {
  int x[64];
#pragma HLS array_partition variable=x cyclic dim=1 // BAD
  x[0] = 0;
}

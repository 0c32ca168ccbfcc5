// expect: pragma-option
void clear() {
  int x[64];
#pragma HLS array_partition variable=x type=cylic factor=4 // BAD
  x[0] = 0;
}

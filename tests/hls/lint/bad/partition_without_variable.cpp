// expect: pragma-option
void clear() {
  int x[64];
#pragma HLS array_partition type=complete dim=0 // BAD
  x[0] = 0;
}

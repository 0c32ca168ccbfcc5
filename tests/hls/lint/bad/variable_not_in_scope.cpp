// expect: pragma-variable
void clear() {
  int tile[64];
#pragma HLS array_partition variable=title type=complete // BAD
  tile[0] = 0;
}

// expect: pragma-variable
void clear() {
#pragma HLS array_partition variable=tile type=complete // BAD
  int tile[64];
  tile[0] = 0;
}

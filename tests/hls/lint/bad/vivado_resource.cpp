// expect: unknown-pragma
void clear() {
  int x[64];
#pragma HLS resource variable=x core=RAM_2P // BAD
  x[0] = 0;
}

// expect: pragma-option
void clear() {
  int x[64];
#pragma HLS bind_storage variable=x type=ram_3p impl=bram // BAD
  x[0] = 0;
}

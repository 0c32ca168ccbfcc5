// expect: pragma-option
void top(int* gmem) {
#pragma HLS interface mode=maxi port=gmem offset=slave bundle=gmem0 // BAD
  gmem[0] = 1;
}

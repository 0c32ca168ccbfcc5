// expect: pragma-variable
void top(int* gmem) {
#pragma HLS interface mode=m_axi port=gmem0 offset=slave // BAD
  gmem[0] = 1;
}

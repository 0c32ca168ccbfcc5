// expect: misplaced-pragma
void load(const int* gmem, int tile[16]) {
#pragma HLS interface mode=m_axi port=gmem offset=slave // BAD
  for (int i = 0; i < 16; ++i) tile[i] = gmem[i];
}

void top(const int* gmem, int* out) {
#pragma HLS interface mode=m_axi port=gmem offset=slave
#pragma HLS interface mode=m_axi port=out offset=slave
  int tile[16];
  load(gmem, tile);
  out[0] = tile[0];
}

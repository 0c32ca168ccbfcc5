// expect: dataflow-form
void load(const int* gmem, int tile[16]) {
  for (int i = 0; i < 16; ++i) tile[i] = gmem[i];
}

void compute(const int in[16], int out[16]) {
  for (int i = 0; i < 16; ++i) out[i] = in[i] + 1;
}

void store(const int tile[16], int* gmem) {
  for (int i = 0; i < 16; ++i) gmem[i] = tile[i];
}

void top(const int* in, int* out, int base) {
#pragma HLS dataflow
  const int offset = base * 16;  // BAD
  int a[16];
  load(in, a);
  store(a, out);
}

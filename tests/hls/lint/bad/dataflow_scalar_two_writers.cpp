// expect: dataflow-channel
void load(const int* gmem, int tile[16]) {
  for (int i = 0; i < 16; ++i) tile[i] = gmem[i];
}

void compute(const int in[16], int out[16]) {
  for (int i = 0; i < 16; ++i) out[i] = in[i] + 1;
}

void store(const int tile[16], int* gmem) {
  for (int i = 0; i < 16; ++i) gmem[i] = tile[i];
}

void count(const int from[16], int to[16], int& nonzero) {
  nonzero = 0;
  for (int i = 0; i < 16; ++i) {
    to[i] = from[i];
    if (from[i] != 0) ++nonzero;
  }
}

void top(const int* in, int* out) {
#pragma HLS dataflow
  int a[16];
  int b[16];
  int c[16];
  int nonzero;
  load(in, a);
  count(a, b, nonzero);
  count(b, c, nonzero);  // BAD
  store(c, out);
}

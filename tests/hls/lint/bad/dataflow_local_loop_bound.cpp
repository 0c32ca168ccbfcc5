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

void top(const int* in, int* out, int rows) {
  const int tiles = rows / 16;
tile_loop:
  for (int t = 0; t < tiles; ++t) {  // BAD
#pragma HLS loop_tripcount max=8
#pragma HLS dataflow
    int a[16];
    int b[16];
    load(in, a);
    compute(a, b);
    store(b, out);
  }
}

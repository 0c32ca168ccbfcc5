// A struct of numbers goes field by field to many readers.
#include "cycles.h"

struct Rows {
  int first;
  int count;
};
struct Plan {
  int number;
  Rows rows;
};

void plan(int n, Plan& next) {
#pragma HLS inline off
  next.number = n;
  next.rows.first = 4 * n;
  next.rows.count = 4;
}

void load(const int* in, const Plan& now, int buffer[16]) {
#pragma HLS inline off
load_rows:
  for (int i = 0; i < now.rows.count; ++i) {
#pragma HLS loop_tripcount max=16
    PIPELINE(i == 0, 1, 8);
    buffer[i] = in[now.rows.first + i];
  }
}

void store(const int buffer[16], const Plan& now, int* out) {
#pragma HLS inline off
store_rows:
  for (int i = 0; i < now.rows.count; ++i) {
#pragma HLS loop_tripcount max=16
    PIPELINE(i == 0, 1, 8);
    out[now.rows.first + i] = buffer[i];
  }
}

void blocks(const int* in, int* out, int count) {
#pragma HLS inline off
all_blocks:
  for (int n = 0; n < count; ++n) {
#pragma HLS loop_tripcount max=16
#pragma HLS dataflow
    Plan now;
    int buffer[16];
    plan(n, now);
    load(in, now, buffer);
    store(buffer, now, out);
  }
}

extern "C" void top(const int* in, int* out, int count) {
#pragma HLS interface mode=m_axi port=in offset=slave bundle=gmem0 depth=1024
#pragma HLS interface mode=m_axi port=out offset=slave bundle=gmem1 depth=1024
#pragma HLS interface mode=s_axilite port=count bundle=control
#pragma HLS interface mode=s_axilite port=return bundle=control
  blocks(in, out, count);
}

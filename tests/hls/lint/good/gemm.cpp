// Load, compute and store as a dataflow region over tiles of ap_int, behind 128-bit masters.
#include <ap_int.h>

#include "cycles.h"

namespace gemm {

enum Shape { kRows = 16, kCols = 16 };
static const int kDepth = 2 * 8;
const int kGroup = 3;
constexpr int lanes(int bits) { return 128 / bits; }
constexpr int kLanes = lanes(16);

typedef ap_int<16> data_t;
typedef ap_int<48> acc_t;
typedef ap_uint<128> word_t;

struct Tile {
  ap_uint<32> rows;
  ap_uint<32> first;
};

void load(const word_t* gmem, const Tile& tile, data_t a[kRows][kDepth]) {
#pragma HLS inline off
load_rows:
  for (ap_uint<32> r = 0; r < tile.rows; ++r) {
#pragma HLS loop_tripcount min=1 max=16
  load_words:
    for (int w = 0; w < kDepth / kLanes; w++) {
      PIPELINE(r == 0 && w == 0, 1, 8);
      const word_t word = gmem[tile.first + r * (kDepth / kLanes) + w];
      for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        a[r][w * kLanes + lane] = word.range(16 * lane + 15, 16 * lane);
      }
    }
  }
}

void compute(const data_t a[kRows][kDepth], acc_t c[kRows]) {
#pragma HLS inline off
#pragma HLS array_partition variable=a dim=2 complete
  ASSUME(kRows > 0);
compute_rows:
  for (int r = 0; r < kRows; ++r) {
    PIPELINE(r == 0, 1, 6);
    acc_t sum = 0;
    for (int k = 0; k < kDepth; ++k) {
      sum += a[r][k] * a[r][k];
    }
    c[r] = sum;
  }
}

void largest(const acc_t c[kRows], acc_t kept[kRows], acc_t& peak, int group) {
#pragma HLS inline off
  acc_t most = 0;
peak_rows:
  for (int r = 0; r < kRows; ++r) {
    PIPELINE(r == 0, 1, 2);
    kept[r] = c[r];
    if (c[r] > most) most = c[r];
  }
  peak = most + group;
}

void store(const acc_t c[kRows], acc_t peak, const Tile& tile, word_t* gmem) {
#pragma HLS inline off
store_rows:
  for (int r = 0; r < kRows; ++r) {
    PIPELINE(r == 0, 1, 4);
    word_t word = 0;
    word.range(47, 0) = c[r];
    word.range(95, 48) = peak;
    if (r < tile.rows) gmem[tile.first + r] = word;
  }
}

void run(word_t* gmem, const Tile& tile) {
#pragma HLS dataflow
  data_t a[kRows][kDepth];
#pragma HLS array_partition variable=a complete dim=2
#pragma HLS stream variable=a type=pipo depth=2
  acc_t c[kRows];
#pragma HLS bind_storage variable=c type=ram_s2p impl=lutram
  acc_t kept[kRows];
  acc_t peak;
  load(gmem, tile, a);
  compute(a, c);
  largest(c, kept, peak, kGroup - 1);
  store(kept, peak, tile, gmem);
}

}  // namespace gemm

extern "C" void top(gemm::word_t* gmem, const gemm::word_t* header, ap_uint<32> tiles) {
#pragma HLS interface mode=m_axi port=gmem offset=slave bundle=gmem0 max_read_burst_length=16 num_read_outstanding=8 latency=32
#pragma HLS interface m_axi port=header offset=slave bundle=gmem1 depth=1024
#pragma HLS INTERFACE mode=s_axilite port=tiles bundle=control offset=0x28
#pragma HLS interface mode=s_axilite port=return bundle=control
#pragma HLS allocation function instances=run limit=1
all_tiles:
  for (ap_uint<32> t = 0; t < tiles; ++t) {
#pragma HLS loop_tripcount max=1024
    gemm::Tile tile = {16, t * 32};
    gemm::run(gmem, tile);
  }
}

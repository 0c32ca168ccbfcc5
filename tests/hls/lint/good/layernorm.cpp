// Templates over formats and sizes, a constant table, the one divider, and a suppressed rule.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cycles.h"

template <int kWidth, int kFraction>
struct Format {
  static const int width = kWidth;
  static constexpr int fraction = kFraction;
};

template <typename F>
struct Rounder {
  static_assert(F::width <= 32, "formats are at most 32 bits wide");
  static std::int32_t narrow(std::int64_t x) {
#pragma HLS inline
    const std::int64_t half = std::int64_t(1) << (F::fraction - 1);
    const std::int64_t rounded = (x + half) >> F::fraction;
    const std::int64_t top = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::int32_t>(rounded > top ? top : rounded);
  }
};

static const std::uint16_t kSeeds[8] = {65535, 58254, 52428, 47662, 43690, 40329, 37449, 34952};

inline std::int64_t newton(std::int64_t x) {
#pragma HLS pipeline II=1
  static const int kSteps = 3;
  std::int64_t y = kSeeds[x & 7];
  for (int step = 0; step < kSteps; ++step) {
    y = (y * (131072 - ((x * y) >> 16))) >> 16;
  }
  return y;
}

template <int N, typename F>
void normalize(const std::int32_t x[N], std::int32_t y[N], int tokens) {
#pragma HLS inline off
  std::int64_t sum = 0;
sum_lanes:
  for (int i = 0; i < N; i += 4) {
    PIPELINE(i == 0, 1, 3);
    for (int lane = 0; lane < 4; ++lane) sum += x[i + lane];
  }
  const std::int64_t mean = sum / N;
  const std::int64_t share = sum / tokens;  // lint: divider
  const std::int64_t scale = newton(mean);
write:
  for (int i = N - 1; i >= 0; --i) {
    PIPELINE(i == N - 1, 1, 5);
#pragma HLS dependence variable=y type=inter dependent=false
    y[i] = Rounder<F>::narrow((x[i] - mean) * scale + share);
  }
}

void masked(std::int32_t x[64], std::uint32_t count) {
  static int calls = 0;  // lint: allow static-local a counter that survives the call is the feature
  ++calls;
mask:
  for (std::size_t i = 0; i != count; ++i) {
#pragma HLS loop_tripcount max=64
    PIPELINE(i == 0, 1, 2);
#pragma HLS loop_flatten off
    if (i >= 64) break;
    x[i] = 0;
  }
}

void reverse(const std::int32_t x[64], std::int32_t y[64]) {
reverse:
  for (int from = 0, to = 63; from < 64; ++from, --to) {
    PIPELINE(from == 0, 1, 2);
    y[to] = x[from];
  }
}

void run(const std::int32_t x[192], std::int32_t y[192], int tokens) {
  normalize<192, Format<16, 8>>(x, y, tokens);
  masked(y, 64);
}

// A dataflow region in a template, whose calls are resolved only when it is instantiated.
#include <ap_int.h>

template <typename T, int N>
void load(const T* from, T to[N]) {
  for (int i = 0; i < N; ++i) to[i] = from[i];
}

template <typename T, int N>
void scale(const T from[N], T to[N], ap_uint<5> shift) {
scale_loop:
  for (ap_uint<10> i = 0; i < N; i++) {
#pragma HLS pipeline II=1
    to[i] = from[i] >> shift;
  }
}

template <typename T, int N>
void store(const T from[N], T* to) {
  for (int i = 0; i < N; ++i) to[i] = from[i];
}

template <typename T, int N>
void pass(const T* in, T* out, ap_uint<5> shift) {
#pragma HLS dataflow
  T raw[N];
  T scaled[N];
#pragma HLS array_partition variable=raw cyclic factor=N dim=1
  load<T, N>(in, raw);
  scale<T, N>(raw, scaled, shift);
  store<T, N>(scaled, out);
}

void top(const ap_int<16>* in, ap_int<16>* out, ap_uint<5> shift) { pass<ap_int<16>, 64>(in, out, shift); }

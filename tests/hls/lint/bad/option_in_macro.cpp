// expect: pragma-option
#define PRAGMA(text) _Pragma(#text)
#define UNROLL(n) PRAGMA(HLS unroll factors = n)

void clear(int x[64]) {
  for (int i = 0; i < 64; ++i) {
    UNROLL(4)  // BAD
    x[i] = 0;
  }
}

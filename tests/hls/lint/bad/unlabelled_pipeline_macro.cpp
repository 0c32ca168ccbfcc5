// expect: unlabelled-pipeline
#define PIPELINE_PRAGMA(text) _Pragma(#text)
#define PIPELINE(first, ii, depth) PIPELINE_PRAGMA(HLS pipeline II = ii)

void clear(int x[64]) {
  for (int i = 0; i < 64; ++i) {  // BAD
    PIPELINE(i == 0, 1, 3);
    x[i] = 0;
  }
}

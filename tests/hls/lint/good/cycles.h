// The cycle macro as kernels use it: a pragma for synthesis, a counter in C simulation.
#pragma once

#ifdef __SYNTHESIS__
#define HLS_PRAGMA(text) _Pragma(#text)
#define PIPELINE(first, ii, depth) HLS_PRAGMA(HLS pipeline II = ii)
#else
#define PIPELINE(first, ii, depth) cycles::count((first), (ii), (depth))
#endif

#define ASSUME(condition) \
  do {                    \
  } while (0)

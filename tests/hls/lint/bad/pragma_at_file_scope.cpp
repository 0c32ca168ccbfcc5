// expect: misplaced-pragma
static const int kTable[4] = {1, 2, 3, 4};
#pragma HLS array_partition variable=kTable type=complete // BAD

int look_up(int i) { return kTable[i & 3]; }

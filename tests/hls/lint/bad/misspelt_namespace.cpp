// expect: unknown-pragma
void clear(int x[64]) {
clear_loop:
  for (int i = 0; i < 64; ++i) {
#pragma HSL pipeline II=1 // BAD
    x[i] = 0;
  }
}

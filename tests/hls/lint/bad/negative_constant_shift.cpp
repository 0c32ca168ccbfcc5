// expect: negative-shift
const int kIn = 8;
const int kOut = 12;

int scale(int x) {
  return x << (kIn - kOut);  // BAD
}

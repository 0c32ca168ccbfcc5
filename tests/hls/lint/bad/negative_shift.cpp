// expect: negative-shift
int scale(int x) {
  return x >> -3;  // BAD
}

// expect: static-local
int next() {
  static int count = 0;  // BAD
  return ++count;
}

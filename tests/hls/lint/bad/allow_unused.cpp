// expect: bad-suppression
int half_of(int x) {
  return x / 2;  // lint: divider  // BAD
}

// expect: bad-suppression
int first(const int x[16]) {
  return x[0];  // lint: allow gotos legacy code // BAD
}

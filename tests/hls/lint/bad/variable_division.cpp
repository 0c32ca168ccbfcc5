// expect: divider
int mean(int sum, int n) {
  return sum / n;  // BAD
}

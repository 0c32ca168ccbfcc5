// expect: divider
constexpr int div_up(int a, int b) {
  return (a + b - 1) / b;  // BAD
}

int tiles(int rows) { return div_up(rows, 16); }

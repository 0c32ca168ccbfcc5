// constexpr functions that only ever see constants build no hardware.
constexpr int bits(int n) { return n <= 1 ? 0 : 1 + bits(n / 2); }

constexpr int gcd(int a, int b) {
  while (b != 0) {
    const int rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

constexpr double kScale = 1.0 / 3;  // lint: allow floating-point only its integer rounding is used
constexpr int fixed(double x) { return static_cast<int>(x * 65536); }

static const int kSteps = gcd(48, 32);

void clear(int x[64]) {
  for (int i = 0; i < kSteps; ++i) x[i] = bits(64);
}

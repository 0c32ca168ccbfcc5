// expect: recursion
template <typename T>
T halve(T n) {
  if (n <= 1) return n;
  return halve(n >> 1);  // BAD
}

int use(int n) { return halve(n); }

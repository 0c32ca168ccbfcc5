// expect: dynamic-allocation
void scratch(int n, int* out) {
  int* buffer = new int[n];  // BAD
  out[0] = buffer[0];
}

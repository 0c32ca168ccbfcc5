// expect: dynamic-allocation
void drop(int* buffer) {
  delete[] buffer;  // BAD
}

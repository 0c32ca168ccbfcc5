// expect: unbounded-loop
int find(const int x[16], int key) {
  int at = 0;
  for (int i = 0; x[i] != key; ++i) {  // BAD
    at = i;
  }
  return at;
}

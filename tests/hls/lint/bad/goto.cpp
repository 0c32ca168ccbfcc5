// expect: goto
int search(const int x[16], int key) {
  for (int i = 0; i < 16; ++i) {
    if (x[i] == key) goto found;  // BAD
  }
  return 0;
found:
  return 1;
}

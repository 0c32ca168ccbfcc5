// expect: unbounded-loop
void drain(const int x[16], int& i) {
  do {  // BAD
    ++i;
  } while (x[i & 15] != 0);
}

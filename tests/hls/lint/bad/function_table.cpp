// expect: function-pointer
int twice(int x) { return x + x; }
int thrice(int x) { return 3 * x; }

int apply(int op, int x) {
  int (*const table[2])(int) = {twice, thrice};  // BAD
  return table[op & 1](x);
}

// expect: function-pointer
int twice(int x) { return x + x; }

int apply(int (*f)(int), int x) {  // BAD
  return f(x);
}

int use(int x) { return apply(twice, x); }

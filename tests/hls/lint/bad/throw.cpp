// expect: exception
int checked(int x) {
  if (x < 0) throw x;  // BAD
  return x;
}

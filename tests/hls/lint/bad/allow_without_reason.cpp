// expect: bad-suppression, goto
int first(const int x[16]) {
  goto end;  // lint: allow goto // BAD bad-suppression, goto
end:
  return x[0];
}

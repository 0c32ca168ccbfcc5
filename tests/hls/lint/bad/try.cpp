// expect: exception
int checked(int x);

int run(int x) {
  try {  // BAD
    return checked(x);
  } catch (int code) {
    return code;
  }
}

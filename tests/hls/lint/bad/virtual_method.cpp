// expect: virtual
struct Unit {
  virtual int step(int x) { return x; }  // BAD
};

int run(int x) {
  Unit unit;
  return unit.step(x);
}

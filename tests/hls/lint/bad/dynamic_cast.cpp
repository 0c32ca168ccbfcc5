// expect: rtti
struct Op {
  virtual ~Op() {}  // lint: allow virtual the base that makes this cast possible
};

struct Gemm : Op {
  int rows;
};

int rows(Op* op) {
  return dynamic_cast<Gemm*>(op)->rows;  // BAD
}

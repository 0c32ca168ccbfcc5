// expect: floating-point
template <typename T>
struct Vec {
  T lane[4];
};

int first(const Vec<float>& v) {  // BAD
  return sizeof(v);  // BAD
}

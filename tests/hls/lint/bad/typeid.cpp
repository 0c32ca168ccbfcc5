// expect: rtti
#include <typeinfo>

struct Tile {
  int rows;
};

bool same(const Tile& a, const Tile& b) {
  return typeid(a) == typeid(b);  // BAD
}

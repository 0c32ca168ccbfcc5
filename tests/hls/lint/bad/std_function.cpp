// expect: function-pointer
#include <functional>

int apply(const std::function<int(int)>& f, int x) {  // BAD
  return f(x);
}

// expect: maths-call
#include <math.h>

int root(int x) {
  return sqrt(x);  // BAD
}

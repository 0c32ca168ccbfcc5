// expect: std-library
#include <vector>

int total(int n) {
  std::vector<int> values(n);  // BAD
  int sum = 0;
  for (int i = 0; i < 4; ++i) sum += values[i];
  return sum;
}

// expect: std-library
#include <iostream>

void report(int cycles) {
  std::cout << cycles;  // BAD
}

// expect: std-library
#include <string>

int length(const std::string& name) {  // BAD
  return name.size();
}

// expect: virtual
struct Counter {
  int cycles;
};

struct Engine : virtual Counter {};  // BAD

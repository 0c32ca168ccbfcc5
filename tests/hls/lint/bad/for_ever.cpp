// expect: unbounded-loop
void poll(volatile int* status) {
  for (;;) {  // BAD
    if (*status) break;
  }
}

// The C interface of a C-simulation library: the rendered accelerator as it is, plus its modelled cycles and DDR
// traffic.
#include "peelvit.cpp"

#define EXPORT __attribute__((visibility("default")))

extern "C" {

// Run the program at word `program` of a window of `window_words` words. `result` receives status, failed instruction,
// hash low, hash high; `cycles` the modelled cycles.
EXPORT void peelvit_run(void* window, unsigned window_words, unsigned program, unsigned result[4],
                        unsigned long long* cycles) {
    peelvit::cycles::reset();
    auto* memory = static_cast<peelvit::word_t*>(window);
    peelvit_top(memory, memory, memory, window_words, program, &result[0], &result[1], &result[2], &result[3]);
    *cycles = peelvit::cycles::total;
}

// Instructions executed by the last run.
EXPORT unsigned peelvit_executed() { return static_cast<unsigned>(peelvit::cycles::marks.size()); }

// Modelled cycles [executed] and DDR words [executed][6] of each instruction of the last run.
EXPORT void peelvit_trace(unsigned long long* instruction_cycles, unsigned* instruction_words) {
    peelvit::cycles::Mark before = peelvit::cycles::origin;
    for (const peelvit::cycles::Mark& mark : peelvit::cycles::marks) {
        *instruction_cycles++ = mark.cycles - before.cycles;
        for (int port = 0; port < 6; ++port) *instruction_words++ = mark.words[port] - before.words[port];
        before = mark;
    }
}

// Bytes of a memory word as this build holds it (16, or the library was built wrongly).
EXPORT unsigned peelvit_word_bytes() { return sizeof(peelvit::word_t); }
}

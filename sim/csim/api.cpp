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
    peelvit_top(memory, memory, memory, memory, memory, window_words, program, &result[0], &result[1], &result[2],
                &result[3]);
    peelvit::cycles::settle();
    *cycles = peelvit::cycles::total();
}

// Whether further runs model that the rows of a flattened nest wait for the memory's latency (model.hpp).
EXPORT void peelvit_rows_wait(int on) { peelvit::cycles::rows_wait = on != 0; }

// Instructions executed by the last run.
EXPORT unsigned peelvit_executed() { return static_cast<unsigned>(peelvit::cycles::marks.size()); }

// Of each instruction of the last run: modelled cycles [executed][4] by what they were spent on (compute, vector,
// memory, stall) and DDR words [executed][streams] (each master's reads, then each one's writes).
EXPORT void peelvit_trace(unsigned long long* cycles, unsigned* words) {
    peelvit::cycles::Mark before = peelvit::cycles::origin;
    for (const peelvit::cycles::Mark& mark : peelvit::cycles::marks) {
        for (int kind = 0; kind < peelvit::cycles::kKinds; ++kind) *cycles++ = mark.spent[kind] - before.spent[kind];
        for (int i = 0; i < peelvit::cycles::kStreams; ++i) *words++ = mark.words[i] - before.words[i];
        before = mark;
    }
}

// Cycles of an instruction of the last run that were hidden behind others, beside which it ran.
EXPORT unsigned long long peelvit_hidden(unsigned index) { return peelvit::cycles::marks[index].hidden; }

// What bounded most cycles of the dataflow regions of an instruction of the last run: the call of a task, a port, DDR
// or the fill; empty without regions.
EXPORT const char* peelvit_bound(unsigned index) { return peelvit::cycles::marks[index].bound; }

// Bytes of a memory word as this build holds it (16, or the library was built wrongly).
EXPORT unsigned peelvit_word_bytes() { return sizeof(peelvit::word_t); }
}

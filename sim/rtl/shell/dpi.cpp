// The shell's DPI calls, handed on to a kernel library (kernel.cpp or traffic.cpp) that is named when the simulation
// starts: by `peelvit_use_kernel`, or by PEELVIT_KERNEL in the environment.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Kernel {
    void (*arrive)(int, unsigned char, const void*, unsigned);
    unsigned char (*clock)(unsigned char, unsigned char, unsigned char, unsigned char, unsigned, unsigned, unsigned*);
    void (*offer)(int, unsigned char, unsigned char, unsigned char, unsigned char*, unsigned*, unsigned char*,
                  unsigned*, unsigned char*, void*, unsigned*);
    void (*counts)(unsigned long long*);
};

Kernel kernel{};

template <typename Function>
void find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function != nullptr) return;
    std::fprintf(stderr, "the kernel library has no %s\n", name);
    std::exit(2);
}

}  // namespace

EXPORT void peelvit_use_kernel(const char* path) {
    void* library = path != nullptr ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (library == nullptr) {
        std::fprintf(stderr, "there is no kernel behind the shell: %s\n",
                     path != nullptr ? dlerror() : "PEELVIT_KERNEL is not set");
        std::exit(2);
    }
    find(library, "peelvit_arrive", kernel.arrive);
    find(library, "peelvit_clock", kernel.clock);
    find(library, "peelvit_offer", kernel.offer);
    find(library, "peelvit_counts", kernel.counts);
}

EXPORT void peelvit_arrive(int port, unsigned char valid, const unsigned* data, unsigned answered) {
    kernel.arrive(port, valid, data, answered);
}

EXPORT unsigned char peelvit_clock(unsigned char stops, unsigned char starts, unsigned char failed, unsigned char quiet,
                                   unsigned words, unsigned at_program, unsigned* results) {
    if (kernel.clock == nullptr) peelvit_use_kernel(std::getenv("PEELVIT_KERNEL"));
    return kernel.clock(stops, starts, failed, quiet, words, at_program, results);
}

EXPORT void peelvit_offer(int port, unsigned char read_room, unsigned char write_room, unsigned char word_room,
                          unsigned char* read_valid, unsigned* read_run, unsigned char* write_valid,
                          unsigned* write_run, unsigned char* word_valid, unsigned* word, unsigned* strobe) {
    kernel.offer(port, read_room, write_room, word_room, read_valid, read_run, write_valid, write_run, word_valid, word,
                 strobe);
}

EXPORT void peelvit_counts(unsigned long long* of) { kernel.counts(of); }

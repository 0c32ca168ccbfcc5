// The schedule is part of the source: each pipelined loop states its initiation interval and depth in PIPELINE, which
// is the pragma for synthesis and counts modelled cycles in C simulation. The first statement of the loop body is
//
//     PIPELINE(first, interval, depth);
//
// with `first` true in the loop's first iteration (of the whole nest where loops are flattened).
//
// A dataflow region is a loop body (or a function body) that starts with DATAFLOW(first) and calls each task through
// PROCESS(call). The tasks of one iteration overlap with those of the next: in the steady state an iteration costs its
// slowest task, and the first one the sum of all (the fill).
//
// A region whose arrays are all FIFOs (`stream type=fifo`) starts with STREAMING(first) instead: a task begins with the
// first element it is handed, so filling the region costs the depths of the tasks' first loops, not whole tasks.
//
// Memory words are read and written through `read_word<port>` and `write_word<port>`, which count DDR traffic.
#pragma once

#include "types.hpp"

#define PEELVIT_PRAGMA_TEXT(text) _Pragma(#text)
#define PEELVIT_PRAGMA(text) PEELVIT_PRAGMA_TEXT(text)

#ifdef __SYNTHESIS__

#define PIPELINE(first, interval, depth) PEELVIT_PRAGMA(HLS pipeline II = interval)
#define DATAFLOW(first) PEELVIT_PRAGMA(HLS dataflow)
#define STREAMING(first) PEELVIT_PRAGMA(HLS dataflow)
#define PROCESS(call) call
#define MARK_START()
#define MARK_INSTRUCTION()

namespace peelvit {
template <int kPort>
inline word_t read_word(const word_t* mem, unsigned address) {
    return mem[address];
}
template <int kPort>
inline void write_word(word_t* mem, unsigned address, word_t value) {
    mem[address] = value;
}
}  // namespace peelvit

#else

#include <cstdint>
#include <vector>

namespace peelvit {
namespace cycles {

static std::uint64_t total = 0;                      // modelled cycles since the start of the run
static std::uint32_t words[6] = {0, 0, 0, 0, 0, 0};  // read ports 0-2, write ports 0-2
struct Mark {
    std::uint64_t cycles;
    std::uint32_t words[6];
};
static Mark origin;              // state before the first instruction
static std::vector<Mark> marks;  // state after every instruction

inline void reset() {
    total = 0;
    for (std::uint32_t& count : words) count = 0;
    marks.clear();
}

static std::uint64_t fill = 0;  // depth of the first loop since a task began
inline int enter(int depth) {
    if (fill == 0) fill = std::uint64_t(depth);
    return depth;
}

inline Mark now() { return Mark{total, {words[0], words[1], words[2], words[3], words[4], words[5]}}; }
inline void mark() { marks.push_back(now()); }
inline void begin() { origin = now(); }

// One iteration of a dataflow region; its tasks start together and the clock moves on when the region ends.
class Region {
  public:
    Region(bool first, bool streams) : first_(first), streams_(streams), start_(total) { fill = 0; }
    ~Region() {
        const std::uint64_t filling = streams_ ? slowest_body_ + fills_ : sum_;
        total = start_ + (first_ ? filling : slowest_);
    }
    void end_task() {
        const std::uint64_t task = total - start_;
        const std::uint64_t body = task - fill;
        sum_ += task;
        fills_ += fill;
        slowest_ = task > slowest_ ? task : slowest_;
        slowest_body_ = body > slowest_body_ ? body : slowest_body_;
        total = start_;
        fill = 0;
    }

  private:
    bool first_, streams_;
    std::uint64_t start_, sum_ = 0, slowest_ = 0, fills_ = 0, slowest_body_ = 0;
};

}  // namespace cycles

template <int kPort>
inline word_t read_word(const word_t* mem, unsigned address) {
    ++cycles::words[kPort];
    return mem[address];
}
template <int kPort>
inline void write_word(word_t* mem, unsigned address, word_t value) {
    ++cycles::words[3 + kPort];
    mem[address] = value;
}
}  // namespace peelvit

#define PIPELINE(first, interval, depth) \
    peelvit::cycles::total += (interval) + ((first) ? peelvit::cycles::enter(depth) : 0)
#define DATAFLOW(first) peelvit::cycles::Region region(first, false)
#define STREAMING(first) peelvit::cycles::Region region(first, true)
#define PROCESS(call) \
    call;             \
    region.end_task()
#define MARK_START() peelvit::cycles::begin()
#define MARK_INSTRUCTION() peelvit::cycles::mark()

#endif

// The schedule is part of the source: each pipelined loop states its initiation interval and depth in PIPELINE, which
// is the pragma for synthesis and counts modelled cycles in C simulation. The first statement of the loop body is
//
//     PIPELINE(first, interval, depth);
//
// with `first` true in the loop's first iteration (of the whole nest where loops are flattened).
//
// A dataflow region is a loop body (or a function body) that starts with DATAFLOW(first) and calls each task through
// one of
//
//     PROCESS(call)   a task that waits for those before it
//     BESIDE(call)    one that starts together with the task before it: it needs nothing from it
//     AHEAD(call, blocks)   PROCESS for one whose channels hold so many blocks (`stream type=pipo depth=`) and not two:
//                     it may run ahead of the task behind it by that many iterations less one
//     STOCKS(call, blocks, behind, iterations, words, room)   AHEAD for one that also fills a FIFO to the task so many
//                     places behind it, which holds so many iterations: it ends no earlier than that task ended the one
//                     so long ago (0: the iteration fills nothing); and another one of so much room, by so many words
//     COMPUTE(call)   PROCESS for the task that holds the multiply-accumulate array
//     DRAWS(call, late, words, bursts, apart)   COMPUTE for one that empties the latter FIFO: so many cycles late, in
//                     bursts of so many words that begin so many cycles apart
//     FED(call, first, last)   a task that the one before it feeds through a short FIFO: that one takes `first` cycles
//                     until its first element, this one `last` cycles from the last element to its own end
//
// A region whose arrays are all FIFOs (`stream type=fifo`) starts with STREAMING(first) instead: a task begins with the
// first element it is handed, so filling the region costs the depths of the tasks' first loops, not whole tasks.
//
// Two sides that run beside each other, each on ports of its own, are the body of a function: SIDES(), then
//
//     ONE_SIDE(call)
//     OTHER_SIDE(call, runs)   `runs`: whether it has anything to do
//
// STRAIGHT(time) stands for code outside all loops that takes time. Memory words are read and written through
// `read_word<port>` and `write_word<port>`. What all of them cost in C simulation: hls/include/model.hpp.
#pragma once

#include "config.hpp"
#include "types.hpp"

#define PEELVIT_PRAGMA_TEXT(text) _Pragma(#text)
#define PEELVIT_PRAGMA(text) PEELVIT_PRAGMA_TEXT(text)

// PEELVIT_UNTIMED leaves the cycle model out of a C simulation, which then needs C++14 and no more (vitis_project).
#if defined(__SYNTHESIS__) || defined(PEELVIT_UNTIMED)

#define PIPELINE(first, interval, depth) PEELVIT_PRAGMA(HLS pipeline II = interval)
#define DATAFLOW(first) PEELVIT_PRAGMA(HLS dataflow)
#define STREAMING(first) PEELVIT_PRAGMA(HLS dataflow)
#define PROCESS(call) call
#define BESIDE(call) call
#define AHEAD(call, blocks) call
#define STOCKS(call, blocks, behind, iterations, words, room) call
#define COMPUTE(call) call
#define DRAWS(call, late, words, bursts, apart) call
#define FED(call, first, last) call
#define SIDES() PEELVIT_PRAGMA(HLS dataflow)
#define ONE_SIDE(call) call
#define OTHER_SIDE(call, runs) call
#define STRAIGHT(time)
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

#include "model.hpp"

#define PIPELINE(first, interval, depth)           \
    if (first) peelvit::cycles::start_loop(depth); \
    peelvit::cycles::iterations += (interval)
#define DATAFLOW(first) peelvit::cycles::Region region(first, false)
#define STREAMING(first) peelvit::cycles::Region region(first, true)
#define PROCESS(call)                                    \
    region.start(#call, peelvit::cycles::kVector, true); \
    call;                                                \
    region.end()
#define BESIDE(call)                                      \
    region.start(#call, peelvit::cycles::kVector, false); \
    call;                                                 \
    region.end()
#define AHEAD(call, blocks)                                      \
    region.start(#call, peelvit::cycles::kVector, true, blocks); \
    call;                                                        \
    region.end()
#define STOCKS(call, blocks, behind, iterations, words, room)    \
    region.start(#call, peelvit::cycles::kVector, true, blocks); \
    call;                                                        \
    region.stocks(behind, iterations);                           \
    region.fills(words, room);                                   \
    region.end()
#define COMPUTE(call)                                     \
    region.start(#call, peelvit::cycles::kCompute, true); \
    call;                                                 \
    region.end()
#define DRAWS(call, late, words, bursts, apart)           \
    region.start(#call, peelvit::cycles::kCompute, true); \
    call;                                                 \
    region.draws(late, words, bursts, apart);             \
    region.end()
#define FED(call, first, last)            \
    region.start_fed(#call, first, last); \
    call;                                 \
    region.end()
#define SIDES() peelvit::cycles::Sides sides
#define ONE_SIDE(call) \
    call;              \
    sides.end_one()
#define OTHER_SIDE(call, runs) \
    call;                      \
    sides.end_other(runs)
#define STRAIGHT(time) peelvit::cycles::straight(time)
#define MARK_START() peelvit::cycles::begin()
#define MARK_INSTRUCTION() peelvit::cycles::mark()

namespace peelvit {
#ifdef PEELVIT_BUS  // words go over a simulated bus (sim/rtl/shell)
static word_t bus_read(int port, unsigned address);
static void bus_write(int port, unsigned address, word_t value);

template <int kPort>
inline word_t read_word(const word_t*, unsigned address) {
    return bus_read(kPort, address);
}
template <int kPort>
inline void write_word(word_t*, unsigned address, word_t value) {
    bus_write(kPort, address, value);
}
#else
template <int kPort>
inline word_t read_word(const word_t* mem, unsigned address) {
    cycles::transfer(kPort, address);
    return mem[address];
}
template <int kPort>
inline void write_word(word_t* mem, unsigned address, word_t value) {
    cycles::transfer(kMasters + kPort, address);
    mem[address] = value;
}
#endif
}  // namespace peelvit

#endif

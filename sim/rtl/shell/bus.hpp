// The kernel behind the shell: a coroutine whose words go over the shell's AXI masters.
//
// A run executes the kernel's C++ as it is. Every `read_word` takes a word that came over a port, every `write_word`
// hands one to a port; there is no other memory. What has to be known before it happens is the length of a burst: the
// hardware's loops know their bounds when they ask for their first word. So at a loop's first read the kernel looks
// ahead: its stack is copied, the rest of the loop runs on zeros and only notes which words it reads, and the stack is
// put back. Consecutive words of the notes are requested as one run, which the master cuts into AXI bursts. A loop
// whose addresses depend on words that it reads itself is caught (`mispredicted`) and looked ahead again from there.
//
// Time inside the kernel is the modelled schedule (hls/include/model.hpp): a loop asks for and hands over words no
// earlier than the model starts it. Where the bus is later than the model expects, everything after it is as much later
// (`lag`).
//
// The simulator calls, every clock cycle: peelvit_arrive for each port, peelvit_clock, peelvit_offer for each port.
#pragma once

#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace peelvit {
namespace bus {

using cycles::count_t;

// Consecutive words that a port is to move.
struct Run {
    unsigned address, words;
    count_t begins;  // not before this cycle
};

struct Reads {
    std::vector<unsigned> noted;   // by the look ahead
    std::deque<unsigned> planned;  // requested and not yet read by the kernel
    std::deque<Run> runs;          // not yet taken by the master
    std::deque<word_t> arrived;
    count_t expected;  // words of runs taken by the master that have not arrived
    count_t skipped;   // words on their way that nobody wants any more
    count_t last;      // when the last word that was read arrived
};

struct Beat {
    word_t word;
    unsigned short strobe;
};

struct Writes {
    std::deque<Run> runs;
    bool open;     // the last run may grow
    count_t owed;  // words of runs taken by the master that it has not been given
    std::deque<Beat> beats;
    std::deque<unsigned> unanswered;  // addresses, oldest first
};

enum Phase { kIdle, kRunning, kReturned };
enum Yield { kWaits, kLooksAhead, kSeen, kEnds };

struct Counts {
    unsigned long long lookaheads, mispredicted, held, hazards;
};

static Reads reads[kMasters];
static Writes writes[kMasters];
static std::unordered_map<unsigned, unsigned> pending;  // writes without response, by word
static count_t last_response = 0;
static Phase phase = kIdle;
static count_t now = 0;  // clock cycles since the start
static count_t lag = 0;  // of the bus behind the model
static bool loop_reads = false;
static int awaited = -1;  // the port of which the kernel awaits a word, or -1: it awaits the responses to its writes
static Counts counts;
static unsigned window_words, program, result[4];  // status, failed instruction, hash low, hash high

constexpr std::size_t kStackBytes = std::size_t(64) << 20;
static std::unique_ptr<char, void (*)(void*)> stack(nullptr, std::free);
static ucontext_t simulator, kernel, kernel_before;
static std::vector<char> stack_before;
static char* stack_end = nullptr;
static char* stack_low = nullptr;  // of what the look ahead may change
static bool looking_ahead = false;
static Yield reason = kWaits;

void body();  // what a start runs

inline void yield(Yield why) {
    reason = why;
    swapcontext(&kernel, &simulator);
}

inline count_t at() { return cycles::clock() + lag; }  // when the present loop starts

inline void append(std::deque<Run>& runs, unsigned address, count_t begins, bool grows) {
    if (grows && !runs.empty() && runs.back().address + runs.back().words == address)
        ++runs.back().words;
    else
        runs.push_back(Run{address, 1, begins});
}

// Wait until all that was written is answered.
inline void drain() {
    awaited = -1;
    while (!pending.empty()) yield(kWaits);
}

// Note the reads of the rest of the loop and request them.
__attribute__((noinline)) static void look_ahead(int port, unsigned address) {
    ++counts.lookaheads;
    stack_low = static_cast<char*>(__builtin_frame_address(0)) - 1024;
    yield(kLooksAhead);
    if (looking_ahead) return;
    if (reads[port].noted.empty() || reads[port].noted.front() != address) std::abort();
    bool unanswered = false;
    for (const Reads& r : reads)
        for (unsigned word : r.noted) unanswered = unanswered || (!pending.empty() && pending.count(word) != 0);
    if (unanswered) {
        ++counts.held;
        drain();
    }
    for (Reads& r : reads) {
        for (std::size_t i = 0; i < r.noted.size(); ++i) append(r.runs, r.noted[i], at(), i != 0);
        r.planned.insert(r.planned.end(), r.noted.begin(), r.noted.end());
        r.noted.clear();
    }
}

// Forget what was requested: the words on their way are dropped as they arrive.
inline void forget() {
    for (Reads& r : reads) {
        r.planned.clear();
        r.runs.clear();
        r.arrived.clear();
        r.skipped = r.expected;
    }
}

inline word_t read(int port, unsigned address) {
    Reads& r = reads[port];
    if (!looking_ahead) {
        if (!r.planned.empty() && r.planned.front() != address) {
            ++counts.mispredicted;
            forget();
        }
        if (r.planned.empty()) look_ahead(port, address);
    }
    if (looking_ahead) {
        r.noted.push_back(address);
        return zero_word();
    }
    awaited = port;
    while (r.arrived.empty()) yield(kWaits);
    const word_t word = r.arrived.front();
    r.arrived.pop_front();
    r.planned.pop_front();
    if (!pending.empty() && pending.count(address) != 0) ++counts.hazards;  // written in this loop, after the request
    loop_reads = true;
    return word;
}

inline void write(int port, unsigned address, word_t value, unsigned strobe) {
    if (looking_ahead) return;
    Writes& w = writes[port];
    append(w.runs, address, at(), w.open);
    w.open = true;
    w.beats.push_back(Beat{value, static_cast<unsigned short>(strobe)});
    w.unanswered.push_back(address);
    ++pending[address];
}

inline void clear() {
    for (Reads& r : reads) r = Reads();
    for (Writes& w : writes) w = Writes();
    pending.clear();
    last_response = now = lag = 0;
    loop_reads = looking_ahead = false;
    counts = Counts();
    phase = kIdle;
}

static void enter() {
    body();
    yield(kEnds);
}

inline void start() {
    clear();
    cycles::reset();
    if (!stack) stack.reset(static_cast<char*>(std::malloc(kStackBytes)));
    getcontext(&kernel);
    kernel.uc_stack.ss_sp = stack.get();
    kernel.uc_stack.ss_size = kStackBytes;
    kernel.uc_link = nullptr;
    makecontext(&kernel, enter, 0);
    stack_end = stack.get() + kStackBytes;
    phase = kRunning;
}

// Let the kernel run on until it waits or ends.
inline void resume() {
    for (;;) {
        swapcontext(&simulator, &kernel);
        if (reason != kLooksAhead) break;
        const count_t iterations = cycles::iterations;
        kernel_before = kernel;
        stack_before.assign(stack_low, stack_end);
        looking_ahead = true;
        swapcontext(&simulator, &kernel);  // until the loop ends
        looking_ahead = false;
        std::memcpy(stack_low, stack_before.data(), stack_before.size());
        kernel = kernel_before;
        cycles::iterations = iterations;
    }
    if (reason == kEnds) phase = kReturned;
}

inline bool goes_on() { return awaited < 0 ? pending.empty() : !reads[awaited].arrived.empty(); }
}  // namespace bus

static word_t bus_read(int port, unsigned address) {
    const word_t word = bus::read(port, address);
    if (!bus::looking_ahead) cycles::transfer(port, address);
    return word;
}

static void bus_write(int port, unsigned address, word_t value) {
    bus::write(port, address, value, 0xFFFF);
    if (!bus::looking_ahead) cycles::transfer(kMasters + port, address);
}

namespace cycles {

static void bus_ends_loop() {
    if (bus::looking_ahead) bus::yield(bus::kSeen);  // and is not resumed
    for (bus::Writes& w : bus::writes) w.open = false;
    for (bus::Reads& r : bus::reads) {
        if (r.planned.empty()) continue;
        ++bus::counts.mispredicted;
        bus::forget();
        break;
    }
}

static void bus_booked_loop() {
    if (!bus::loop_reads) return;
    bus::loop_reads = false;
    for (const bus::Reads& r : bus::reads)
        if (r.last > clock() + bus::lag) bus::lag = r.last - clock();
}

static void bus_drains() {
    if (bus::pending.empty()) return;
    bus::drain();
    if (bus::last_response > clock() + bus::lag) bus::lag = bus::last_response - clock();
}

}  // namespace cycles
}  // namespace peelvit

// A word arrived (`valid`), or `answered` written words were answered.
EXPORT void peelvit_arrive(int port, unsigned char valid, const void* data, unsigned answered) {
    using namespace peelvit::bus;
    if (phase == kIdle) return;
    Reads& r = reads[port];
    Writes& w = writes[port];
    if (valid) {
        --r.expected;
        if (r.skipped != 0) {
            --r.skipped;
        } else {
            peelvit::word_t word;
            std::memcpy(&word, data, sizeof word);
            r.arrived.push_back(word);
            r.last = now;
        }
    }
    for (unsigned i = 0; i < answered && !w.unanswered.empty(); ++i) {
        const auto found = pending.find(w.unanswered.front());
        w.unanswered.pop_front();
        if (--found->second == 0) pending.erase(found);
        last_response = now;
    }
}

// A cycle: begin a run (`starts`), stop one (`stops`: reset), or go on. `failed` is the response with which
// the memory refused an access (2 SLVERR, 3 DECERR), or 0; `quiet` that no burst is under way. Returns whether the run
// ends with this cycle; `results` then holds status, failed instruction, hash low, hash high.
EXPORT unsigned char peelvit_clock(unsigned char stops, unsigned char starts, unsigned char failed, unsigned char quiet,
                                   unsigned words, unsigned at_program, unsigned* results) {
    using namespace peelvit::bus;
    if (stops) clear();
    if (starts && phase == kIdle) {
        window_words = words;
        program = at_program;
        start();
        return 0;
    }
    if (phase == kIdle) return 0;
    ++now;
    if (failed) {
        if (!quiet) return 0;  // the bursts that were begun end first
        result[0] = failed == 2 ? peelvit::kStatusBusSlaveError : peelvit::kStatusBusDecodeError;
        result[1] = unsigned(peelvit::cycles::marks.size());
    } else {
        if (phase == kRunning && (now == 1 || goes_on())) resume();
        if (phase == kRunning || now < at() || !quiet) return 0;
    }
    std::memcpy(results, result, sizeof result);
    phase = kIdle;
    return 1;
}

// What the kernel asks of a port: a run to read, a run to write, a word to write; each only where there is room.
EXPORT void peelvit_offer(int port, unsigned char read_room, unsigned char write_room, unsigned char word_room,
                          unsigned char* read_valid, unsigned* read_run, unsigned char* write_valid,
                          unsigned* write_run, unsigned char* word_valid, void* word, unsigned* strobe) {
    using namespace peelvit::bus;
    Reads& r = reads[port];
    Writes& w = writes[port];
    const auto take = [](std::deque<Run>& runs, unsigned* run) {
        run[0] = runs.front().address;
        run[1] = runs.front().words;
        runs.pop_front();
    };
    *read_valid = phase == kRunning && read_room && !r.runs.empty() && r.runs.front().begins <= now;
    if (*read_valid) {
        r.expected += r.runs.front().words;
        take(r.runs, read_run);
    }
    const bool grows = w.open && w.runs.size() == 1 && w.runs.front().words < unsigned(peelvit::kBurstWords);
    *write_valid = phase == kRunning && write_room && !w.runs.empty() && w.runs.front().begins <= now && !grows;
    if (*write_valid) {
        w.owed += w.runs.front().words;
        take(w.runs, write_run);
    }
    *word_valid = phase != kIdle && word_room && w.owed != 0;
    if (*word_valid) {
        --w.owed;
        std::memcpy(word, &w.beats.front().word, sizeof(peelvit::word_t));
        *strobe = w.beats.front().strobe;
        w.beats.pop_front();
    }
}

// Of the last run: modelled cycles; look-aheads, loops whose reads were not as foreseen, reads held for writes under
// way, words read in the loop that writes them; words by stream (read by port, written by port).
EXPORT void peelvit_counts(unsigned long long of[5 + peelvit::cycles::kStreams]) {
    using namespace peelvit::bus;
    of[0] = peelvit::cycles::total();
    of[1] = counts.lookaheads;
    of[2] = counts.mispredicted;
    of[3] = counts.held;
    of[4] = counts.hazards;
    for (int i = 0; i < peelvit::cycles::kStreams; ++i) of[5 + i] = peelvit::cycles::streams[i].words;
}

// What the schedule and the memory cost in C simulation: modelled clock cycles, and what they were spent on.
//
// Loop. A pipelined loop takes its iterations times the interval, or as long as its busiest port or the DDR memory
// needs for its words, whichever is longer; plus its depth; plus the response to its last write.
//
// Port. Each stream (read or write of one of kMasters ports) moves a word a cycle. Consecutive addresses of a loop
// make a burst of up to kBurstWords words. A port keeps kOutstanding bursts in flight, which hides the latency of long
// ones; a short one takes its stream at least latency / kOutstanding cycles. The loop's depth holds the latency of its
// first read. With `rows_wait` (the case that synthesis does not see bursts of the next row of a flattened nest coming)
// every further burst at another place makes the loop wait for the latency, and for the response where it writes.
//
// DDR. All streams together move kDdrWordsPerThousand words in a thousand cycles (a stated part of the peak), and the
// memory moves kDdrWords words at a time: a burst of one word costs as much as one of kDdrWords.
//
// Region. A task starts an iteration when the tasks before it ended that iteration, itself ended the one before, and
// the task after it ended the one before that (a channel holds two blocks, or as many as AHEAD says). So the first
// iteration costs the sum of its tasks (the fill), and each further one its slowest. Streams and the DDR memory serve
// the iterations one after the other, which holds up the tasks where several of them use the same one. In a region of
// FIFOs a task starts when the first loops of the tasks before it are filled, and ends when its own first loop has
// passed on their last element.
// A task that STOCKS a FIFO of whole iterations ends when the task that empties it has made room; so does one that
// fills a FIFO from which the multipliers draw. A task that is FED does both in the times that are stated, and the one
// before it ends no earlier than the FIFO between them, which is short, lets it.
//
// Cycles are booked as compute (loops of the multiply-accumulate array), memory (in other loops: the busiest stream, or
// the DDR memory, is moving words), vector (the rest of those) and stall (fill and drain of pipelines and regions,
// latencies, straight code). Those of an iteration of a region go to what its slowest task spent them on, or to memory
// where a stream that several tasks use is slower; the rest is stall.
#pragma once

#ifndef __SYNTHESIS__

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config.hpp"

namespace peelvit {
namespace cycles {

using count_t = std::uint64_t;

enum Kind { kCompute, kVector, kMemory, kStall, kKinds };

constexpr int kStreams = 2 * kMasters;  // read ports, then write ports
constexpr int kServers = kStreams + 1;  // the streams and the DDR memory
constexpr int kTasks = 32;              // at most, of a region
constexpr int kBlocks = 4;              // at most, of a channel, less one
constexpr int kLevels = 4;              // regions inside tasks of regions
constexpr unsigned kHandshake = 2;      // start and end of a task
constexpr unsigned kShortestBurst[2] = {(kReadLatency + kOutstanding - 1) / kOutstanding,
                                        (kWriteLatency + kOutstanding - 1) / kOutstanding};

// One direction of one port.
struct Stream {
    unsigned next;  // address that goes on with the burst
    unsigned beat;  // words of the burst so far
    unsigned rows;  // bursts of the present loop that do not go on from the one before
    std::uint32_t words;
    count_t busy;
};

static Stream streams[kStreams];
static bool rows_wait = false;
static count_t ddr_words = 0;     // as the memory moves them
static count_t iterations = 0;    // of the present loop, times their interval
static count_t latency = 0;       // of the present loop
static count_t fill = 0;          // depth of the first loop of the present task
static Kind kind = kVector;       // of the present task
static count_t spent[kKinds];     // until the start of the present loop
static count_t served[kServers];  // busy cycles of streams and memory until then

inline count_t larger_count(count_t a, count_t b) { return a > b ? a : b; }
inline count_t smaller_count(count_t a, count_t b) { return a < b ? a : b; }
inline count_t total() { return spent[kCompute] + spent[kVector] + spent[kMemory] + spent[kStall]; }

inline void transfer(int stream, unsigned address) {
    Stream& s = streams[stream];
    const unsigned shortest = kShortestBurst[stream / kMasters];
    if (address != s.next) ++s.rows;
    if (address != s.next || s.beat == unsigned(kBurstWords)) {
        s.beat = 0;
        s.busy += shortest;
    }
    if (s.beat >= shortest) ++s.busy;
    if (s.beat % kDdrWords == 0) ddr_words += kDdrWords;
    ++s.beat;
    ++s.words;
    s.next = address + 1;
}

inline count_t busy(int server) {
    return server < kStreams ? streams[server].busy : ddr_words * 1000 / kDdrWordsPerThousand;
}

constexpr unsigned kNowhere = ~0u;

// A burst ends with its loop. Returns the rows after the first, of which depth and response hold the latency.
inline count_t end_loop(Stream& s) {
    const unsigned rows = s.rows;
    s.rows = 0;
    s.next = kNowhere;
    return rows > 1 ? rows - 1 : 0;
}

#ifdef PEELVIT_BUS
static void bus_ends_loop();    // before the loop is booked
static void bus_booked_loop();  // after it
static void bus_drains();       // what follows waits for all that was written
#else
inline void bus_ends_loop() {}
inline void bus_booked_loop() {}
inline void bus_drains() {}
#endif

// Book the loop that has ended.
__attribute__((noinline)) static void settle() {
    bus_ends_loop();
    count_t memory = 0;
    count_t rows[2] = {0, 0};
    bool writes = false;
    for (int i = 0; i < kServers; ++i) {
        const count_t now = busy(i);
        memory = larger_count(memory, now - served[i]);
        if (i >= kMasters && i < kStreams) writes = writes || now != served[i];
        if (i < kStreams) rows[i / kMasters] = larger_count(rows[i / kMasters], end_loop(streams[i]));
        served[i] = now;
    }
    const count_t took = larger_count(iterations, memory);
    const count_t own = kind == kCompute ? iterations : took - memory;
    spent[kind] += own;
    spent[kMemory] += took - own;
    spent[kStall] += latency + (writes ? kWriteLatency : 0);
    if (rows_wait) spent[kStall] += rows[0] * kReadLatency + rows[1] * kWriteLatency;
    iterations = 0;
    latency = 0;
    bus_booked_loop();
}

static int level = 0;          // of the present region
static std::int64_t lead = 0;  // of the present task's clock over total(), which runs the tasks one after the other

inline count_t clock() { return count_t(std::int64_t(total()) + lead); }

// Code that is not in a dataflow region follows what was before it.
inline void follow() {
    if (level == 0) bus_drains();
}

inline void start_loop(unsigned depth) {
    settle();
    follow();
    latency = depth;
    if (fill == 0) fill = depth;
}

inline void straight(unsigned cycles) {
    settle();
    follow();
    spent[kStall] += cycles;
}

// Cycles by what bounded them (a task, a stream, the DDR memory), of the present instruction.
struct Bound {
    const char* name;
    count_t cycles;
};
static std::vector<Bound> bounds;

inline void bound(const char* name, count_t cycles) {
    for (Bound& b : bounds) {
        if (b.name == name) {
            b.cycles += cycles;
            return;
        }
    }
    bounds.push_back(Bound{name, cycles});
}

// State after an instruction.
struct Mark {
    count_t spent[kKinds];
    std::uint32_t words[kStreams];
    const char* bound;  // what bounded most cycles of its regions
    count_t hidden;     // cycles that the instruction ran behind others, beside which it ran
};
static Mark origin;              // before the first instruction
static std::vector<Mark> marks;  // after every instruction

inline Mark now() {
    settle();
    follow();
    Mark mark;
    for (int i = 0; i < kKinds; ++i) mark.spent[i] = spent[i];
    for (int i = 0; i < kStreams; ++i) mark.words[i] = streams[i].words;
    Bound most{"", 0};
    for (const Bound& b : bounds) most = b.cycles > most.cycles ? b : most;
    mark.bound = most.name;
    mark.hidden = 0;
    bounds.clear();
    return mark;
}

inline void mark() { marks.push_back(now()); }
inline void begin() { origin = now(); }

// How an iteration of a task empties a FIFO: so many words, one a cycle, in bursts that begin so many cycles apart.
struct Draw {
    count_t began;
    count_t words, bursts, apart;

    count_t all() const { return words * bursts; }
    count_t when(count_t taken) const {  // so many words have left
        const count_t before = (taken - 1) / words;
        return began + before * apart + taken - before * words;
    }
};

// Where the tasks of a region stand, in cycles since the region began.
struct Schedule {
    count_t began;                         // by the clock
    count_t last[kTasks + 1];              // end of the present or last iteration of each task
    count_t earlier[kBlocks][kTasks + 1];  // ends of the iterations before it, the latest first
    Draw draws[2];                         // of the last iterations, the latest first
    count_t server[kServers];              // when each stream, and the memory, has served all iterations so far
    count_t ended;
};
static Schedule schedules[kLevels];

static const char* const kServerNames[] = {"read port 0",  "read port 1",  "read port 2",  "read port 3",
                                           "read port 4",  "write port 0", "write port 1", "write port 2",
                                           "write port 3", "write port 4", "DDR"};
static_assert(sizeof(kServerNames) / sizeof(kServerNames[0]) == kServers, "a name for each stream");

// One iteration of a dataflow region. In C simulation the tasks run one after the other; the clock moves on when the
// iteration ends.
class Region {
  public:
    Region(bool first, bool streams) : schedule_(schedules[level]), streams_(streams) {
        settle();
        if (first) follow();
        ++level;
        copy(spent, before_);
        for (int i = 0; i < kServers; ++i) served_before_[i] = served[i];
        if (first) {
            schedule_ = Schedule();
            schedule_.began = total();
        }
    }

    void start(const char* name, Kind task_kind, bool waits, int blocks = 2) {
        name_ = name;
        blocks_ = blocks;
        kind = task_kind;
        fill = 0;
        if (waits) {
            ready_ = streams_ ? filled_ : latest_;
            handed_ = latest_;
        }
        for (int i = 0; i < kServers; ++i) task_served_[i] = served[i];
        const count_t free = streams_ ? 0 : schedule_.earlier[blocks_ - 2][task_ + 1];
        begins_ = larger_count(larger_count(ready_, schedule_.last[task_]), free);
        lead = lead_before_ + std::int64_t(schedule_.began + begins_ - total());
    }

    // A task that the one before it feeds, after `first` cycles, and that needs `last` cycles after its last element.
    void start_fed(const char* name, count_t first, count_t last) {
        ready_ = begins_ + first;
        handed_ = latest_;
        tail_[task_] = last;
        start(name, kVector, false);
    }

    // The present task ends no earlier than the task `behind` places behind it ended the iteration so long ago.
    void stocks(int behind, int iterations) {
        stocked_ = iterations > 1 ? schedule_.earlier[iterations - 2][task_ + behind] : 0;
    }

    // The present task fills a FIFO of so much room that another one draws from: it ends no earlier than that has room.
    void fills(count_t words, count_t room) {
        count_t waiting = words;
        for (const Draw& draw : schedule_.draws) {
            if (words == 0 || draw.all() == 0) continue;
            if (waiting + draw.all() > room)
                stocked_ = larger_count(stocked_, draw.when(smaller_count(draw.all(), waiting + draw.all() - room)));
            waiting += draw.all();
        }
    }

    void draws(count_t late, count_t words, count_t bursts, count_t apart) {
        schedule_.draws[1] = schedule_.draws[0];
        schedule_.draws[0] = Draw{begins_ + late, words, bursts, apart};
    }

    void end() {
        settle();
        kind = kVector;
        count_t costs[kKinds];
        count_t cost = 0;
        for (int i = 0; i < kKinds; ++i) {
            costs[i] = spent[i] - before_[i];
            cost += costs[i];
        }
        copy(before_, spent);
        if (cost > cost_) {
            cost_ = cost;
            copy(costs, costs_);
            slowest_ = name_;
        }
        count_t ended = begins_ + cost + (cost != 0 ? kHandshake : 0);
        if (tail_[task_] != 0 && cost != 0) ended = larger_count(ended, handed_ + tail_[task_]);
        ended = larger_count(ended, stocked_);
        stocked_ = 0;
        for (int i = kBlocks - 1; i > 0; --i) schedule_.earlier[i][task_] = schedule_.earlier[i - 1][task_];
        schedule_.earlier[0][task_] = schedule_.last[task_];
        schedule_.last[task_] = streams_ ? larger_count(ended, handed_ + fill) : ended;
        for (int i = task_; tail_[i] != 0 && schedule_.last[i] > tail_[i]; --i) {
            schedule_.last[i - 1] = larger_count(schedule_.last[i - 1], schedule_.last[i] - tail_[i]);
        }
        filled_ = larger_count(filled_, begins_ + fill);
        latest_ = larger_count(latest_, schedule_.last[task_]);
        use_servers(begins_, schedule_.last[task_]);
        ++task_;
    }

    ~Region() {
        --level;
        hold_up();
        const count_t ended = larger_count(latest_, schedule_.ended);
        const count_t advance = ended - schedule_.ended;
        schedule_.ended = ended;
        book(advance);
        lead = lead_before_;
    }

  private:
    static void copy(const count_t (&from)[kKinds], count_t (&to)[kKinds]) {
        for (int i = 0; i < kKinds; ++i) to[i] = from[i];
    }

    void use_servers(count_t start, count_t end) {
        for (int i = 0; i < kServers; ++i) {
            if (served[i] == task_served_[i]) continue;
            if (!used_[i]) first_use_[i] = start;
            used_[i] = true;
            last_use_[i] = larger_count(last_use_[i], end);
        }
    }

    // The last task that uses a stream ends when the stream has served the iteration.
    void hold_up() {
        count_t delay = 0;
        for (int i = 0; i < kServers; ++i) {
            if (!used_[i]) continue;
            const count_t work = served[i] - served_before_[i];
            schedule_.server[i] = larger_count(schedule_.server[i], first_use_[i]) + work;
            if (schedule_.server[i] > last_use_[i]) delay = larger_count(delay, schedule_.server[i] - last_use_[i]);
            if (work > cost_) {
                cost_ = work;
                for (count_t& cost : costs_) cost = 0;
                costs_[kMemory] = work;
                slowest_ = kServerNames[i];
            }
        }
        for (int i = 0; i < task_; ++i) schedule_.last[i] += delay;
        latest_ += delay;
    }

    void book(count_t advance) {
        count_t rest = advance;
        for (int i = 0; i < kKinds; ++i) {
            const count_t part = smaller_count(rest, costs_[i]);
            spent[i] += part;
            rest -= part;
        }
        spent[kStall] += rest;
        bound(slowest_, advance - rest);
        bound("fill", rest);
    }

    Schedule& schedule_;
    bool streams_;
    const std::int64_t lead_before_ = lead;
    count_t before_[kKinds];  // cycles spent when the iteration began
    count_t served_before_[kServers];
    count_t task_served_[kServers] = {};
    count_t first_use_[kServers] = {}, last_use_[kServers] = {};
    bool used_[kServers] = {};
    count_t ready_ = 0;                // when the tasks before the present one let it start
    count_t begins_ = 0;               // when it starts
    count_t filled_ = 0, latest_ = 0;  // when the first loops of the tasks so far are filled, and all tasks so far end
    count_t handed_ = 0;               // when the tasks before the present one end
    count_t tail_[kTasks] = {};        // of a task that is fed: cycles from the last element to its end
    count_t cost_ = 0, costs_[kKinds] = {};  // of the slowest task
    const char* slowest_ = "";
    const char* name_ = "";
    int task_ = 0;
    int blocks_ = 2;       // that a channel of the present task holds
    count_t stocked_ = 0;  // when the FIFO of the present task has room for all of its words
};

// Two sides that run beside each other. In C simulation the other one follows the first, which runs the instructions
// behind it: a program that lets anything run beside what it depends on ends otherwise than the golden model does. The
// ports are apart, the DDR memory serves both. What the other side takes longer is its instruction's time.
class Sides {
  public:
    Sides() : first_mark_(marks.size()) {
        settle();
        follow();
        before_ = state();
        served_ = busy(kStreams);
    }

    void end_one() {
        settle();
        one_ = state();
    }

    void end_other(bool runs) {
        if (!runs) return;
        const Mark end = now();
        const count_t of_one = between(before_, one_);
        const count_t memory = busy(kStreams) - served_;
        const count_t both = larger_count(larger_count(of_one, between(one_, end)), memory);
        Mark other = before_;
        other.bound = end.bound;
        count_t rest = both - of_one;  // not hidden behind the first side
        const count_t of_other = between(one_, end);
        other.hidden = of_other - smaller_count(of_other, rest);
        for (int kind = 0; kind < kKinds; ++kind) {
            const count_t part = smaller_count(rest, end.spent[kind] - one_.spent[kind]);
            other.spent[kind] += part;
            rest -= part;
        }
        other.spent[kStall] += rest;
        for (int i = 0; i < kStreams; ++i) other.words[i] += end.words[i] - one_.words[i];
        for (std::size_t i = first_mark_; i < marks.size(); ++i) put_behind(other, marks[i]);
        put_behind(other, one_);
        for (int kind = 0; kind < kKinds; ++kind) spent[kind] = one_.spent[kind];
        marks.insert(marks.begin() + std::ptrdiff_t(first_mark_), other);
    }

  private:
    static Mark state() {
        Mark mark;
        for (int i = 0; i < kKinds; ++i) mark.spent[i] = spent[i];
        for (int i = 0; i < kStreams; ++i) mark.words[i] = streams[i].words;
        mark.bound = "";
        mark.hidden = 0;
        return mark;
    }

    static count_t between(const Mark& start, const Mark& end) {
        count_t cycles = 0;
        for (int kind = 0; kind < kKinds; ++kind) cycles += end.spent[kind] - start.spent[kind];
        return cycles;
    }

    // `mark` as it is where the time and the words of `other` come first.
    void put_behind(const Mark& other, Mark& mark) const {
        for (int kind = 0; kind < kKinds; ++kind) mark.spent[kind] += other.spent[kind] - before_.spent[kind];
        for (int i = 0; i < kStreams; ++i) mark.words[i] += other.words[i] - before_.words[i];
    }

    const std::size_t first_mark_;
    Mark before_, one_;
    count_t served_;
};

inline void reset() {
    for (Stream& s : streams) s = Stream{kNowhere, 0, 0, 0, 0};
    for (count_t& count : spent) count = 0;
    for (count_t& count : served) count = 0;
    ddr_words = iterations = latency = 0;
    kind = kVector;
    level = 0;
    lead = 0;
    marks.clear();
    bounds.clear();
}

}  // namespace cycles
}  // namespace peelvit

#endif

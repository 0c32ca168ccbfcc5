// Small loops and regions whose cycles are counted by hand in test_cycles.py. Prints one line a case: its name, and the
// cycles of compute, vector, memory and stall.
#include <cstdio>

#include "cycles.hpp"

using namespace peelvit;

static word_t memory[4096];

static void work(int trips, int interval, int depth) {
    for (int i = 0; i < trips; ++i) { PIPELINE(i == 0, interval, depth); }
}

template <int kPort>
static void load(unsigned address, int words, int pitch = 1, int interval = 1) {
    for (int i = 0; i < words; ++i) {
        PIPELINE(i == 0, interval, kReadLatency);
        read_word<kPort>(memory, address + unsigned(i * pitch));
    }
}

template <int kPort>
static void save(unsigned address, int words) {
    for (int i = 0; i < words; ++i) {
        PIPELINE(i == 0, 1, 4);
        write_word<kPort>(memory, address + unsigned(i), zero_word());
    }
}

static void load_four(int words, int pitch) {
    for (int i = 0; i < words; ++i) {
        PIPELINE(i == 0, 1, kReadLatency);
        read_word<0>(memory, unsigned(i * pitch));
        read_word<1>(memory, unsigned(1024 + i * pitch));
        read_word<2>(memory, unsigned(2048 + i * pitch));
        read_word<3>(memory, unsigned(3072 + i * pitch));
    }
}

static void load_rows(int rows, int words) {
    for (int row = 0; row < rows; ++row) {
        for (int w = 0; w < words; ++w) {
            PIPELINE((row | w) == 0, 1, kReadLatency);
            read_word<0>(memory, unsigned(100 * row + w));
        }
    }
}

static void steady_region(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        PROCESS(work(10, 1, 0));
        COMPUTE(work(30, 1, 0));
        PROCESS(work(20, 1, 0));
    }
}

static void streaming_region(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        STREAMING(i == 0);
        PROCESS(work(10, 1, 5));
        PROCESS(work(30, 1, 6));
        PROCESS(work(20, 1, 7));
    }
}

static void uneven_region() {
    const int produced[4] = {10, 10, 90, 10};
    const int consumed[4] = {100, 10, 10, 10};
    for (int i = 0; i < 4; ++i) {
        DATAFLOW(i == 0);
        PROCESS(work(produced[i], 1, 0));
        PROCESS(work(consumed[i], 1, 0));
    }
}

static void loads_in_turn() {
    DATAFLOW(true);
    PROCESS(load<0>(0, 20));
    PROCESS(load<1>(0, 20));
    PROCESS(work(30, 1, 0));
}

static void loads_side_by_side() {
    DATAFLOW(true);
    PROCESS(load<0>(0, 20));
    BESIDE(load<1>(0, 20));
    PROCESS(work(30, 1, 0));
}

static void fed_region(int iterations, int made, int taken) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        PROCESS(work(made, 1, 0));
        FED(work(taken, 1, 0), 10, 20);
    }
}

static void loads_on_one_port() {
    DATAFLOW(true);
    PROCESS(load<0>(0, 200));
    BESIDE(load<0>(1000, 200));
    PROCESS(work(30, 1, 0));
}

static void shared_port(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        PROCESS(load<1>(0, 64));
        PROCESS(work(10, 1, 0));
        PROCESS(load<1>(1000, 64));
    }
}

static void outer_region(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        PROCESS(work(50, 1, 0));
        PROCESS(steady_region(1));
    }
}

static void two_sides(int trips, int other_trips) {
    SIDES();
    ONE_SIDE(work(trips, 1, 5));
    OTHER_SIDE(work(other_trips, 1, 5), true);
}

static void sides_on_one_memory() {
    SIDES();
    ONE_SIDE(load_four(64, 1));
    OTHER_SIDE(load<4>(0, 100), true);
}

static void one_side() {
    SIDES();
    ONE_SIDE(work(40, 1, 5));
    OTHER_SIDE(work(0, 1, 5), false);
}

static void stocking_region(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        STOCKS(work(10, 1, 0), 4, 2, 2, 0, 0);
        PROCESS(work(10, 1, 0));
        PROCESS(work(100, 1, 0));
    }
}

static void drawing_region(int iterations) {
    for (int i = 0; i < iterations; ++i) {
        DATAFLOW(i == 0);
        STOCKS(work(10, 1, 0), 4, 1, 0, 30, 40);
        DRAWS(work(100, 1, 0), 3, 15, 2, 150);
    }
}

#define CASE(name, code)                                                                                       \
    cycles::reset();                                                                                           \
    code;                                                                                                      \
    cycles::settle();                                                                                          \
    std::printf("%s %d %d %d %d\n", name, int(cycles::spent[0]), int(cycles::spent[1]), int(cycles::spent[2]), \
                int(cycles::spent[3]))

int main() {
    CASE("loop", work(10, 2, 5));
    CASE("two loops", work(10, 2, 5); work(7, 1, 3));
    CASE("straight code", work(10, 2, 5); STRAIGHT(9));
    CASE("burst", load<0>(0, 100));
    CASE("strided words", load<0>(0, 10, 2));
    CASE("slow loop", load<0>(0, 16, 1, 4));
    CASE("store", save<2>(0, 32));
    CASE("loop after loop", load<0>(0, 8); load<0>(8, 8));
    CASE("all ports", load_four(32, 1));
    CASE("all ports strided", load_four(10, 7));
    cycles::rows_wait = true;
    CASE("rows that wait", load_rows(5, 20); save<2>(0, 32));
    cycles::rows_wait = false;
    CASE("rows", load_rows(5, 20));
    CASE("region", steady_region(4));
    CASE("streaming region", streaming_region(4));
    CASE("uneven region", uneven_region());
    CASE("loads in turn", loads_in_turn());
    CASE("loads side by side", loads_side_by_side());
    CASE("loads on one port", loads_on_one_port());
    CASE("shared port", shared_port(10));
    CASE("region in a task", outer_region(3));
    CASE("task that is fed", fed_region(3, 100, 30));
    CASE("slow task that is fed", fed_region(3, 30, 100));
    CASE("a short other side", two_sides(100, 40));
    CASE("a long other side", two_sides(40, 100));
    CASE("sides on one memory", sides_on_one_memory());
    CASE("one side alone", one_side());
    CASE("stocking region", stocking_region(4));
    CASE("drawing region", drawing_region(4));
}

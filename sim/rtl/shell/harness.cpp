// The shell's simulation as a library: a clock, AXI-Lite accesses, and a DDR memory behind the masters. Every
// byte that the kernel moves passes the simulated signals; the memory model stands here.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>

#include "Vpeelvit_bench.h"
#include "verilated.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT void peelvit_use_kernel(const char* path);

namespace {

constexpr int kPorts = 5;  // the masters of hls/spec/system.py
constexpr unsigned kDecodeError = 3;
constexpr std::uint64_t kNever = ~std::uint64_t(0);
constexpr std::int64_t kMostCredit = 16000;

// The signals of a master.
struct Signals {
    CData &awvalid, &awready;
    QData& awaddr;
    CData& awlen;
    CData &wvalid, &wready;
    VlWide<4>& wdata;
    SData& wstrb;
    CData& wlast;
    CData &bvalid, &bready, &bresp;
    CData &arvalid, &arready;
    QData& araddr;
    CData& arlen;
    CData &rvalid, &rready;
    VlWide<4>& rdata;
    CData &rresp, &rlast;
};

#define SIGNAL(port, name) top.m_axi_gmem##port##_##name
#define SIGNALS(port)                                                                                                  \
    Signals {                                                                                                          \
        SIGNAL(port, AWVALID), SIGNAL(port, AWREADY), SIGNAL(port, AWADDR), SIGNAL(port, AWLEN), SIGNAL(port, WVALID), \
            SIGNAL(port, WREADY), SIGNAL(port, WDATA), SIGNAL(port, WSTRB), SIGNAL(port, WLAST), SIGNAL(port, BVALID), \
            SIGNAL(port, BREADY), SIGNAL(port, BRESP), SIGNAL(port, ARVALID), SIGNAL(port, ARREADY),                   \
            SIGNAL(port, ARADDR), SIGNAL(port, ARLEN), SIGNAL(port, RVALID), SIGNAL(port, RREADY),                     \
            SIGNAL(port, RDATA), SIGNAL(port, RRESP), SIGNAL(port, RLAST)                                              \
    }

struct Burst {
    std::uint64_t address;
    unsigned beats;
    std::uint64_t ready;  // cycle from which it is answered
    unsigned response;
};

// What a memory does: latencies in cycles, and how many words a thousand cycles it moves on all ports together.
struct Timing {
    unsigned read_latency = 1, write_latency = 1, words_per_thousand = 2000 * kPorts, stalls_per_thousand = 0;
};

// The `at`-th burst from now on, counted over all ports and both ways, is answered with `response`, or never (hangs).
struct Fault {
    std::uint64_t at = 0;
    unsigned response = 0;
    bool hangs = false;
};

struct Simulation {
    VerilatedContext context;
    Vpeelvit_bench top{&context};
    Signals ports[kPorts] = {SIGNALS(0), SIGNALS(1), SIGNALS(2), SIGNALS(3), SIGNALS(4)};
    std::deque<Burst> reading[kPorts], writing[kPorts], answering[kPorts];
    bool answered_read[kPorts] = {}, answered_write[kPorts] = {};  // at the last edge
    Timing timing;
    Fault fault;
    std::minstd_rand random;
    std::uint8_t* memory = nullptr;
    std::uint64_t base = 0, size = 0, cycle = 0, bursts = 0, bytes = 0;
    std::int64_t credit = 0;  // thousandths of words that the memory may move

    std::uint8_t* at(std::uint64_t address) {
        return address >= base && address + 16 <= base + size ? memory + (address - base) : nullptr;
    }

    bool stalls() { return timing.stalls_per_thousand != 0 && random() % 1000 < timing.stalls_per_thousand; }

    Burst begin(std::uint64_t address, unsigned length, unsigned latency) {
        Burst burst{address, length + 1, cycle + latency, 0};
        if (++bursts == fault.at) {
            burst.response = fault.response;
            if (fault.hangs) burst.ready = kNever;
        }
        return burst;
    }

    // What the memory sees at the rising edge: the signals before it.
    void take(int port) {
        Signals& s = ports[port];
        answered_read[port] = s.rvalid && s.rready;
        answered_write[port] = s.bvalid && s.bready;
        if (s.arvalid && s.arready) reading[port].push_back(begin(s.araddr, s.arlen, timing.read_latency));
        if (s.awvalid && s.awready) writing[port].push_back(begin(s.awaddr, s.awlen, 0));
        if (answered_read[port]) {
            Burst& burst = reading[port].front();
            burst.address += 16;
            if (--burst.beats == 0) reading[port].pop_front();
        }
        if (answered_write[port]) answering[port].pop_front();
        if (s.wvalid && s.wready) write_word(port);
    }

    void write_word(int port) {
        const Signals& s = ports[port];
        Burst& burst = writing[port].front();
        std::uint8_t* to = at(burst.address);
        if (to == nullptr) burst.response = kDecodeError;
        for (int lane = 0; lane < 16 && burst.response == 0; ++lane)
            if (s.wstrb >> lane & 1) to[lane] = std::uint8_t(s.wdata[lane / 4] >> (8 * (lane % 4)));
        pay();
        burst.address += 16;
        if (--burst.beats != 0) return;
        if (burst.ready != kNever) burst.ready = cycle + timing.write_latency;
        answering[port].push_back(burst);
        writing[port].pop_front();
    }

    // What it shows after the edge. Words wait for their address.
    void show(int port) {
        Signals& s = ports[port];
        if (answered_read[port]) s.rvalid = 0;
        if (answered_write[port]) s.bvalid = 0;
        s.arready = !stalls();
        s.awready = !stalls();
        s.wready = !writing[port].empty() && credit > 0 && !stalls();
        if (!s.rvalid && !reading[port].empty() && reading[port].front().ready <= cycle && credit > 0 && !stalls()) {
            const Burst& burst = reading[port].front();
            const std::uint8_t* from = at(burst.address);
            s.rresp = burst.response != 0 ? burst.response : (from == nullptr ? kDecodeError : 0);
            if (s.rresp == 0) std::memcpy(&s.rdata[0], from, 16);
            s.rlast = burst.beats == 1;
            s.rvalid = 1;
            pay();
        }
        if (!s.bvalid && !answering[port].empty() && answering[port].front().ready <= cycle && !stalls()) {
            s.bresp = answering[port].front().response;
            s.bvalid = 1;
        }
    }

    // The memory owes at most what one cycle of all ports takes too much.
    void pay() {
        credit -= 1000;
        bytes += 16;
    }

    void clock() {
        for (int port = 0; port < kPorts; ++port) take(port);
        top.ap_clk = 1;
        top.eval();
        ++cycle;
        credit = std::min<std::int64_t>(credit + timing.words_per_thousand, kMostCredit);
        for (int port = 0; port < kPorts; ++port) show(port);
        top.ap_clk = 0;
        top.eval();
    }

    void reset() {
        for (int port = 0; port < kPorts; ++port) {
            reading[port].clear();
            writing[port].clear();
            answering[port].clear();
            ports[port].rvalid = ports[port].bvalid = 0;
        }
        top.ap_rst_n = 0;
        for (int i = 0; i < 4; ++i) clock();
        top.ap_rst_n = 1;
        clock();
    }

    void write_register(unsigned offset, unsigned value) {
        top.s_axi_control_AWADDR = offset;
        top.s_axi_control_WDATA = value;
        top.s_axi_control_WSTRB = 15;
        top.s_axi_control_AWVALID = top.s_axi_control_WVALID = 1;
        top.eval();
        while (!top.s_axi_control_AWREADY) clock();
        clock();
        top.s_axi_control_AWVALID = top.s_axi_control_WVALID = 0;
        top.s_axi_control_BREADY = 1;
        while (!top.s_axi_control_BVALID) clock();
        clock();
        top.s_axi_control_BREADY = 0;
    }

    unsigned read_register(unsigned offset) {
        top.s_axi_control_ARADDR = offset;
        top.s_axi_control_ARVALID = 1;
        top.eval();
        while (!top.s_axi_control_ARREADY) clock();
        clock();
        top.s_axi_control_ARVALID = 0;
        top.s_axi_control_RREADY = 1;
        while (!top.s_axi_control_RVALID) clock();
        const unsigned value = top.s_axi_control_RDATA;
        clock();
        top.s_axi_control_RREADY = 0;
        return value;
    }
};

}  // namespace

EXPORT void* shell_open(const char* kernel) {
    peelvit_use_kernel(kernel);
    auto* simulation = new Simulation;
    simulation->reset();
    return simulation;
}

EXPORT void shell_close(void* handle) { delete static_cast<Simulation*>(handle); }

// The memory: `size` bytes that the masters see from byte address `base` on.
EXPORT void shell_memory(void* handle, void* bytes, std::uint64_t base, std::uint64_t size) {
    auto& s = *static_cast<Simulation*>(handle);
    s.memory = static_cast<std::uint8_t*>(bytes);
    s.top.window = s.base = base;
    s.top.window_bytes = s.size = size;
}

// Latencies in cycles, words that all ports together move in a thousand cycles, and in how many of a thousand cycles a
// channel waits without a reason (drawn from `seed`).
EXPORT void shell_timing(void* handle, unsigned read_latency, unsigned write_latency, unsigned words, unsigned stalls,
                         unsigned seed) {
    auto& s = *static_cast<Simulation*>(handle);
    s.timing = Timing{read_latency, write_latency, words, stalls};
    s.random.seed(seed);
}

// The `at`-th burst from now on, over all ports and both ways, is answered with `response`, or never.
EXPORT void shell_fault(void* handle, std::uint64_t at, unsigned response, int hangs) {
    auto& s = *static_cast<Simulation*>(handle);
    s.fault = Fault{s.bursts + at, response, hangs != 0};
}

EXPORT void shell_reset(void* handle) { static_cast<Simulation*>(handle)->reset(); }

EXPORT void shell_write(void* handle, unsigned offset, unsigned value) {
    static_cast<Simulation*>(handle)->write_register(offset, value);
}

EXPORT unsigned shell_read(void* handle, unsigned offset) {
    return static_cast<Simulation*>(handle)->read_register(offset);
}

// Clock at most `cycles` times, until the interrupt line is high; returns whether it is.
EXPORT int shell_clock(void* handle, std::uint64_t cycles) {
    auto& s = *static_cast<Simulation*>(handle);
    for (std::uint64_t i = 0; i < cycles && !s.top.irq; ++i) s.clock();
    return s.top.irq;
}

// Cycles, bursts and bytes since the simulation began.
EXPORT void shell_counts(void* handle, std::uint64_t of[3]) {
    const auto& s = *static_cast<Simulation*>(handle);
    of[0] = s.cycle;
    of[1] = s.bursts;
    of[2] = s.bytes;
}

// Whether a checker saw a breach: bits by port and rule, in words of 32.
EXPORT void shell_breaches(void* handle, std::uint32_t* of) {
    const auto& breaches = static_cast<Simulation*>(handle)->top.breaches;
    for (std::size_t word = 0; word < sizeof(breaches) / sizeof(*of); ++word) of[word] = breaches[word];
}

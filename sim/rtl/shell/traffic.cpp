// A kernel for the benches: copies words between addresses as descriptors in memory say, so that every length,
// alignment and byte strobe comes by.
#define PEELVIT_BUS
#include "cycles.hpp"
#include "instruction.hpp"
//
#include "bus.hpp"

namespace peelvit::bus {

// A descriptor is a word of four fields: how, words, source, target. `how`: bits 0 to 2 the port that reads, 3 to 5
// the one that writes, 6 all ports instead (each its own part, one behind the other), 7 each word is written as it
// comes (and not in a loop of its own), 16 to 31 the byte strobes.
struct Descriptor {
    unsigned how, words, source, target;
    bool all() const { return (how & 64u) != 0; }
    bool interleaved() const { return (how & 128u) != 0; }
    bool reads(int port) const { return all() || port == int(how & 7u); }
    bool writes(int port) const { return all() || port == int(how >> 3 & 7u); }
    unsigned place(int port, unsigned i) const { return (all() ? unsigned(port) * words : 0) + i; }
};

constexpr unsigned kMost = 1 << 16;  // words of a descriptor
static word_t held[kMasters][kMost];

inline void read_next(const Descriptor& d, unsigned i) {
    for (int port = 0; port < kMasters; ++port)
        if (d.reads(port)) held[port][i] = bus_read(port, d.source + d.place(port, i));
}

inline void write_next(const Descriptor& d, unsigned i) {
    for (int port = 0; port < kMasters; ++port) {
        if (!d.writes(port)) continue;
        const unsigned address = d.target + d.place(port, i);
        if (!looking_ahead) cycles::transfer(kMasters + port, address);
        write(port, address, held[d.all() ? port : int(d.how & 7u)][i], d.how >> 16);
    }
}

inline void copy_words(const Descriptor& d) {
    for (unsigned i = 0; i < d.words; ++i) {
        PIPELINE(i == 0, 1, kReadLatency);
        read_next(d, i);
        if (d.interleaved()) write_next(d, i);
    }
    for (unsigned i = 0; i < d.words && !d.interleaved(); ++i) {
        PIPELINE(i == 0, 1, 4);
        write_next(d, i);
    }
}

inline unsigned field(const word_t& word, int lane) { return unsigned(u32(get32(word, lane))); }

// `program` is the address of a word whose first field counts the descriptors behind it.
void body() {
    result[0] = kStatusOk;
    result[2] = kHashLow;
    result[3] = kHashHigh;
    cycles::begin();
    const unsigned count = field(bus_read(0, program), 0);
    for (unsigned i = 0; i < count; ++i) {
        cycles::straight(8);
        const word_t word = bus_read(0, program + 1 + i);
        copy_words(Descriptor{field(word, 0), field(word, 1) % kMost, field(word, 2), field(word, 3)});
        cycles::mark();
    }
    result[1] = 0;
    cycles::now();
}

}  // namespace peelvit::bus

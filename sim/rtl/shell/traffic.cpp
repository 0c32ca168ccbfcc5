// A kernel for the benches: copies words between addresses as descriptors in memory say, so that every length,
// alignment and byte strobe comes by. Each descriptor (a word: see kFields) is a loop of reads and a loop of writes.
#define PEELVIT_BUS
#include "bus.hpp"
#include "cycles.hpp"
#include "instruction.hpp"

namespace peelvit::bus {

// 32-bit lanes of a descriptor.
enum Fields {
    kHow,
    kWords,
    kFrom,
    kTo
};  // how: bits 0..1 read port, 2..3 write port, 4 all ports, 16..31 byte strobes

constexpr int kMost = 1 << 16;  // words of a descriptor
static word_t held[kPorts][kMost];

inline void copy_words(const word_t& descriptor) {
    const unsigned how = unsigned(u32(get32(descriptor, kHow)));
    const unsigned words = unsigned(u32(get32(descriptor, kWords))) % kMost;
    const unsigned from = unsigned(u32(get32(descriptor, kFrom)));
    const unsigned to = unsigned(u32(get32(descriptor, kTo)));
    const bool all = (how & 16u) != 0;
    for (unsigned i = 0; i < words; ++i) {
        PIPELINE(i == 0, 1, kReadLatency);
        for (int port = 0; port < kPorts; ++port)
            if (all || port == int(how & 3u)) held[port][i] = bus_read(port, from + (all ? port * words : 0) + i);
    }
    for (unsigned i = 0; i < words; ++i) {
        PIPELINE(i == 0, 1, 4);
        for (int port = 0; port < kPorts; ++port) {
            if (!all && port != int(how >> 2 & 3u)) continue;
            cycles::transfer(kPorts + port, to + (all ? port * words : 0) + i);
            write(port, to + (all ? port * words : 0) + i, held[all ? port : how & 3u][i], how >> 16);
        }
    }
}

// `program` is the address of a word whose first lane counts the descriptors behind it.
void body() {
    result[0] = kStatusOk;
    result[2] = kHashLow;
    result[3] = kHashHigh;
    cycles::begin();
    const unsigned count = unsigned(u32(get32(bus_read(0, program), 0)));
    for (result[1] = 0; result[1] < count; ++result[1]) {
        cycles::straight(8);
        const word_t descriptor = bus_read(0, program + 1 + result[1]);
        copy_words(descriptor);
        cycles::mark();
    }
    result[1] = 0;
    cycles::now();
}

}  // namespace peelvit::bus

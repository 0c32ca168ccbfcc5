// What the selection unit works on: rows of the attention map in groups of three, one row through each port.
#pragma once

#include "list.hpp"

namespace peelvit {

constexpr int kSelectPorts = 3;  // rows are read side by side, one through each port
constexpr int kSelectRows = 80;
constexpr int kSelectGroups = (kSelectRows + kSelectPorts - 1) / kSelectPorts;
constexpr int kPatchMask = 127;

// What is chosen in each row: `keep` of `candidates` columns; with `includes_own`, column q of row q is always kept.
struct Selection {
    Matrix lists;
    unsigned first_list;
    int rows, map_words, candidates, keep;
    bool includes_own;
};

// Word addresses of the map rows, by port; row q is read through port q % kSelectPorts.
struct MapRows {
    unsigned address[kSelectGroups];
};

inline int rows_of_group(const Selection& job, int group) {
    return smaller(kSelectPorts, (job.rows & kPatchMask) - kSelectPorts * (group & kPatchMask));
}
inline int chunks_of(const Selection& job) { return ((job.candidates & kPatchMask) + kLanes - 1) / kLanes; }

// Which candidate is the own one of the first row of a group; that of the next row is the next one. Below them all if
// there are none.
inline int first_own(const Selection& job, int group) {
    return job.includes_own ? kSelectPorts * (group & kPatchMask) : -kSelectPorts;
}

// Where the next row is entered: one after the other, by port.
struct RowPlace {
    u8 port;
    u16 index;
};

inline RowPlace first_map_place() {
    RowPlace place;
    place.port = 0;
    place.index = 0;
    return place;
}

inline void place_row(MapRows rows[kSelectPorts], RowPlace& place, unsigned address) {
    for (int port = 0; port < kSelectPorts; ++port) {
#pragma HLS unroll
        if (port == int(place.port)) rows[port].address[place.index] = address;
    }
    const bool is_last = int(place.port) == kSelectPorts - 1;
    place.port = is_last ? u8(0) : u8(place.port + 1);
    if (is_last) place.index = u16(place.index + 1);
}

}  // namespace peelvit

// The selection unit: exact top-k of rows of the attention map, the lowest index winning ties, kept indices ascending.
#pragma once

#include "../slots.hpp"
#include "pack.hpp"

namespace peelvit {

inline void select_in_rows(const word_t* mem0, const word_t* mem1, word_t* mem2, const Selection& job, int groups,
                           const patch_t columns[kIndices], const MapRows rows[kSelectPorts]) {
#pragma HLS inline off
select_groups:
    for (int group = 0; group < groups; ++group) {
#pragma HLS loop_tripcount max = 27
        DATAFLOW(group == 0);
        MapRow first;
        MapRow second;
        MapRow third;
        BitPlanes planes;
        Choice choices[kSelectPorts];
#pragma HLS bind_storage variable=first type=ram_2p impl=lutram  // 300 LUTs; else four block RAMs, which are scarcer
#pragma HLS bind_storage variable=second type=ram_2p impl=lutram  // 300 LUTs; else four block RAMs, which are scarcer
#pragma HLS bind_storage variable=third type=ram_2p impl=lutram  // 300 LUTs; else four block RAMs, which are scarcer
#pragma HLS array_partition variable=planes type=complete dim=1
#pragma HLS array_reshape variable=planes type=complete dim=3
#pragma HLS aggregate variable=choices
#pragma HLS stream variable=choices type=fifo depth=2
        PROCESS(load_map_row<0>(mem0, job, group, rows[0], first));
        BESIDE(load_map_row<1>(mem1, job, group, rows[1], second));
        BESIDE(load_map_row<2>(mem2, job, group, rows[2], third));
        PROCESS(gather_columns(first, second, third, job, group, columns, planes));
        PROCESS(select_largest(planes, job, group, choices));
        PROCESS(store_lists(mem2, choices, job, group));
    }
}

}  // namespace peelvit

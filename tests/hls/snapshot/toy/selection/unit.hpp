// The selection unit: exact top-k of rows of the attention map, the lowest index winning ties, kept indices ascending.
#pragma once

#include "../slots.hpp"
#include "pack.hpp"

namespace peelvit {

inline void select_in_rows(const word_t* mem0, const word_t* mem1, word_t* mem2, const Selection& job, int groups,
                           const patch_t columns[kMaxPatches], const MapRows rows[kSelectPorts]) {
#pragma HLS inline off
select_groups:
    for (int group = 0; group < groups; ++group) {
#pragma HLS loop_tripcount max = 27
        DATAFLOW(group == 0);
        RowCopies first;
        RowCopies second;
        RowCopies third;
        BitPlanes planes;
        Choice choices[kSelectPorts];
        word_t lists[kSelectPorts * kIndexWords];
#pragma HLS array_partition variable=first type=complete dim=1
#pragma HLS array_partition variable=second type=complete dim=1
#pragma HLS array_partition variable=third type=complete dim=1
#pragma HLS bind_storage variable=first type=ram_2p impl=lutram  // 600 LUTs; else eight block RAMs, which are scarcer
#pragma HLS bind_storage variable=second type=ram_2p impl=lutram  // 600 LUTs; else eight block RAMs, which are scarcer
#pragma HLS bind_storage variable=third type=ram_2p impl=lutram  // 600 LUTs; else eight block RAMs, which are scarcer
#pragma HLS array_partition variable=planes type=complete dim=1
#pragma HLS array_partition variable=planes type=complete dim=2
#pragma HLS aggregate variable=choices
#pragma HLS stream variable=choices type=fifo depth=2
#pragma HLS stream variable=lists type=fifo depth=8
        PROCESS(load_map_row<0>(mem0, job, group, rows[0], first));
        BESIDE(load_map_row<1>(mem1, job, group, rows[1], second));
        BESIDE(load_map_row<2>(mem2, job, group, rows[2], third));
        PROCESS(gather_columns(first, second, third, job, columns, planes));
        PROCESS(select_largest(planes, job, group, choices));
        PROCESS(pack_lists(choices, job, group, lists));
        PROCESS(store_lists(mem2, job, group, lists));
    }
}

}  // namespace peelvit

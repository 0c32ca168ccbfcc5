// kept[b] = the `keep` patches with largest map[b * map_rows][1 + i], lowest index first in ties, ascending.
#pragma once

#include "../selection/unit.hpp"

namespace peelvit {

inline void select_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that the one unit is shared
    const Matrix map = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int map_rows = natural<7>(in.dimension[2]);
    const int keep = natural<7>(in.dimension[3]);

    Selection job;
    job.lists = kept;
    job.first_list = 0;
    job.rows = batch;
    job.map_words = patches / kWideLanes + 1;
    job.candidates = patches;
    job.keep = keep;
    job.includes_own = false;
    patch_t columns[kIndices];
    MapRows rows[kSelectPorts];
#pragma HLS array_partition variable=columns type=cyclic factor=8
#pragma HLS array_partition variable=rows type=complete
    list_all(patches, columns);
    const unsigned image_pitch = unsigned(multiply(u17(unsigned(map_rows)), u17(unsigned(map.pitch))));
    unsigned address = map.address;
    RowPlace place = first_map_place();
place_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        PIPELINE(image == 0, 1, 6);
        place_row(rows, place, address);
        address += image_pitch;
    }
    select_in_rows(mem0, mem1, mem2, job, (batch + kSelectPorts - 1) / kSelectPorts, columns, rows);
}

}  // namespace peelvit

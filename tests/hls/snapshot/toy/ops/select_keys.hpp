// keys[b * keep + i] = i and the `key_count - 1` other kept j with the largest map[b * (1 + patches) + 1 + kept[i]][1 + kept[j]], the lowest j winning ties, ascending.
#pragma once

#include "../selection/unit.hpp"

namespace peelvit {

inline void select_keys(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that the one unit is shared
    const Matrix map = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix keys = operand(in, 2);
    const int batch = natural<4>(in.dimension[0]);
    const int patches = natural<7>(in.dimension[1]);
    const int keep = natural<7>(in.dimension[2]);
    const int key_count = natural<7>(in.dimension[3]);

    Selection job;
    job.lists = keys;
    job.rows = keep;
    job.map_words = patches / kWideLanes + 1;
    job.candidates = keep;
    job.keep = key_count;
    job.includes_own = true;
select_key_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        patch_t columns[kIndices];
        MapRows rows[kSelectPorts];
#pragma HLS array_partition variable=columns type=cyclic factor=8
#pragma HLS array_partition variable=rows type=complete
        load_list(mem0, row_address(kept, unsigned(image)), keep, patches, columns);
        const unsigned first_map_row = unsigned(image * (1 + patches) + 1);
        RowPlace place = first_map_place();
    place_rows:
        for (int i = 0; i < keep; ++i) {
#pragma HLS loop_tripcount max = 80
            PIPELINE(i == 0, 1, 6);
            place_row(rows, place, row_address(map, first_map_row + unsigned(int(columns[i]))));
        }
        job.first_list = unsigned(image * keep);
        select_in_rows(mem0, mem1, mem2, job, (keep + kSelectPorts - 1) / kSelectPorts, columns, rows);
    }
}

}  // namespace peelvit

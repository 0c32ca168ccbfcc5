// kept[b] = the `keep` patches with largest map[b * map_rows][1 + i], lowest index first in ties, ascending.
#pragma once

#include "../selection.hpp"

namespace peelvit {

// The patches of the class token's row.
inline void load_class_row(const word_t* mem1, const Matrix& map, int image, int map_rows, int patches,
                           Candidates& candidates) {
    candidates.count = patches;
    candidates.forced = -1;
    const int words = words32(1 + patches);
load_class_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word =
            read_word<1>(mem1, map.address + unsigned(image * map_rows) * unsigned(map.pitch) + unsigned(w));
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            const int patch = kWideLanes * w + lane - 1;
            if (patch >= 0 && patch < patches)
                candidates.value[patch / kSelectLanes][patch % kSelectLanes] = get32(word, lane);
        }
    }
}

inline void store_kept(word_t* mem2, const Matrix& kept, int image, int keep, const word_t (&list)[kIndexWords]) {
    store_list(mem2, kept.address + unsigned(image) * unsigned(kept.pitch), keep, list);
}

inline void select_in_images(const word_t* mem1, word_t* mem2, const Matrix& map, const Matrix& kept, int batch,
                             int patches, int map_rows, int keep) {
#pragma HLS inline off
select_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        DATAFLOW(image == 0);
        Candidates candidates;
        word_t list[kIndexWords];
#pragma HLS array_partition variable = candidates.value type = complete dim = 2
        PROCESS(load_class_row(mem1, map, image, map_rows, patches, candidates));
        PROCESS(select_largest(candidates, keep, list));
        PROCESS(store_kept(mem2, kept, image, keep, list));
    }
}

inline void select_tokens(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix map = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const int batch = int(in.dimension[0]);
    const int patches = int(in.dimension[1]);
    const int map_rows = int(in.dimension[2]);
    const int keep = int(in.dimension[3]);

    select_in_images(mem1, mem2, map, kept, batch, patches, map_rows, keep);
}

}  // namespace peelvit

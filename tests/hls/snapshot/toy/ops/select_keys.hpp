// keys[b * keep + i] = i and the `key_count - 1` other kept j with the largest map[b * (1 + patches) + 1 + kept[i]][1 + kept[j]], the lowest j winning ties, ascending.
#pragma once

#include "../selection.hpp"

namespace peelvit {

constexpr int kMapRowWords = (kMaxTokens + kLanes - 1) / kLanes * 2;

struct KeySelection {
    Matrix map, keys;
    int patches, keep, key_count;
    unsigned first_map_row;  // of the image's patches
    unsigned first_list;
};

inline void load_map_row(const word_t* mem1, const KeySelection& job, int query, const i16 (&kept)[kMaxPatches],
                         word_t (&row)[kMapRowWords]) {
    const unsigned address =
        job.map.address + (job.first_map_row + unsigned(int(kept[query]))) * unsigned(job.map.pitch);
    const int words = words32(1 + job.patches);
load_map_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 22
        PIPELINE(w == 0, 1, kReadLatency);
        row[w] = read_word<1>(mem1, address + unsigned(w));
    }
}

// The kept columns of the row; the query itself counts first.
inline void gather_columns(const KeySelection& job, int query, const i16 (&kept)[kMaxPatches],
                           const word_t (&row)[kMapRowWords], Candidates& candidates) {
    candidates.count = job.keep;
    candidates.forced = query;
gather_columns:
    for (int i = 0; i < job.keep; ++i) {
#pragma HLS loop_tripcount max = 80
        PIPELINE(i == 0, 1, 4);
        const int column = 1 + int(kept[i]);
        candidates.value[i / kSelectLanes][i % kSelectLanes] = get32(row[column / kWideLanes], column % kWideLanes);
    }
}

inline void store_keys(word_t* mem2, const KeySelection& job, int query, const word_t (&list)[kIndexWords]) {
    store_list(mem2, job.keys.address + (job.first_list + unsigned(query)) * unsigned(job.keys.pitch), job.key_count,
               list);
}

inline void select_in_rows(const word_t* mem1, word_t* mem2, const KeySelection& job, int queries, int key_count,
                           const i16 (&kept_rows)[kMaxPatches], const i16 (&kept_columns)[kMaxPatches]) {
#pragma HLS inline off
select_rows:
    for (int query = 0; query < queries; ++query) {
#pragma HLS loop_tripcount max = 80
        DATAFLOW(query == 0);
        word_t row[kMapRowWords];
        Candidates candidates;
        word_t list[kIndexWords];
#pragma HLS array_partition variable = candidates.value type = complete dim = 2
        PROCESS(load_map_row(mem1, job, query, kept_rows, row));
        PROCESS(gather_columns(job, query, kept_columns, row, candidates));
        PROCESS(select_largest(candidates, key_count, list));
        PROCESS(store_keys(mem2, job, query, list));
    }
}

inline void select_keys(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix map = operand(in, 0);
    const Matrix kept = operand(in, 1);
    const Matrix keys = operand(in, 2);
    const int batch = int(in.dimension[0]);
    const int patches = int(in.dimension[1]);
    const int keep = int(in.dimension[2]);
    const int key_count = int(in.dimension[3]);

    KeySelection job;
    job.map = map;
    job.keys = keys;
    job.patches = patches;
    job.keep = keep;
    job.key_count = key_count;
select_key_images:
    for (int image = 0; image < batch; ++image) {
#pragma HLS loop_tripcount max = 8
        i16 kept_rows[kMaxPatches];
        i16 kept_columns[kMaxPatches];
#pragma HLS array_partition variable = kept_rows type = cyclic factor = 8
#pragma HLS array_partition variable = kept_columns type = cyclic factor = 8
        const unsigned address = kept.address + unsigned(image) * unsigned(kept.pitch);
        load_list(mem0, address, keep, patches, kept_rows);
        load_list(mem0, address, keep, patches, kept_columns);
        job.first_map_row = unsigned(image * (1 + patches) + 1);
        job.first_list = unsigned(image * keep);
        select_in_rows(mem1, mem2, job, keep, key_count, kept_rows, kept_columns);
    }
}

}  // namespace peelvit

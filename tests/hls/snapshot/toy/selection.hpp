// The selection unit: exact top-k of rows of the attention map, the lowest index winning ties, kept indices ascending.
//
// The k-th largest value is found digit by digit, from the highest on, by counting: all candidates are looked at at
// once. Those above it are kept, and as many of those equal to it as are still wanted.
#pragma once

#include "instruction.hpp"
#include "slots.hpp"

namespace peelvit {

constexpr int kSelectPorts = 3;  // rows are read side by side, one through each port
constexpr int kSelectChunks = (kMaxPatches + kLanes - 1) / kLanes;
constexpr int kSelectRows = 80;
constexpr int kSelectGroups = (kSelectRows + kSelectPorts - 1) / kSelectPorts;
constexpr int kDigitBits = 2;
constexpr int kDigits = 32 / kDigitBits;
constexpr int kDigitInterval = 2;  // chunks that are taken in while a digit is looked at
constexpr int kPatchMask = 127;  // no index of a patch
constexpr int kTakenAtOnce = kDigitInterval * kLanes;
constexpr int kTaken = kDigits * kTakenAtOnce;
constexpr int kDigitDepth = 8;
constexpr int kMapRowWords = kMaxPatches / kWideLanes + 1;
constexpr int kIndexWords = (kMaxPatches + kLanes - 1) / kLanes;

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

// A row of the map, a copy for each lane of the gathering.
using RowCopies = word_t[kLanes][kMapRowWords];

struct Candidates {
    i32 value[kLanes];
};

// Kept candidates, and those of which the first `ties` are kept as well.
struct Choice {
    bool chosen[kMaxPatches];
    bool tied[kMaxPatches];
    int ties;
};

inline int rows_of_group(const Selection& job, int group) {
    return smaller(kSelectPorts, job.rows - kSelectPorts * group);
}
inline int chunks_of(const Selection& job) { return (job.candidates + kLanes - 1) / kLanes; }

template <int kPort>
inline void load_map_row(const word_t* mem, const Selection& job, int group, const MapRows& rows, RowCopies& copies) {
    const int words = kPort < rows_of_group(job, group) ? job.map_words : 0;
load_map_row:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 21
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<kPort>(mem, rows.address[group] + unsigned(w));
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            copies[lane][w] = word;
        }
    }
}

// The candidates of each row, eight a cycle, in the order of `columns`.
inline void gather_columns(const RowCopies& first, const RowCopies& second, const RowCopies& third,
                           const Selection& job, int group, const i16 columns[kMaxPatches],
                           Candidates chunks[kSelectPorts * kSelectChunks]) {
    const int count = chunks_of(job);
    int row = 0;
    int chunk = 0;
gather_columns:
    for (int i = 0; i < rows_of_group(job, group) * count; ++i) {
#pragma HLS loop_tripcount max = 30
        PIPELINE(i == 0, 1, 4);
        Candidates gathered;
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int candidate = kLanes * chunk + lane;
            const int column = candidate < job.candidates ? 1 + int(columns[candidate]) : 0;
            const int w = column / kWideLanes;
            const word_t word = row == 0 ? first[lane][w] : row == 1 ? second[lane][w] : third[lane][w];
            gathered.value[lane] = get32(word, column % kWideLanes);
        }
        chunks[i] = gathered;
        ++chunk;
        if (chunk == count) {
            chunk = 0;
            ++row;
        }
    }
}

// The candidates in question (`tied`) are told apart by their next digits: those above the digit of the last one that
// is wanted are chosen, those with this digit stay in question.
inline void look_at_digits(const int (&digits)[kMaxPatches], Choice& choice) {
#pragma HLS inline
    int at_least[5] = {0, 0, 0, 0, 0};  // candidates in question with such a digit or a larger one
#pragma HLS array_partition variable=at_least type=complete
    for (int c = 0; c < kMaxPatches; ++c) {
#pragma HLS unroll
        const int digit = choice.tied[c] ? digits[c] : 0;
        at_least[1] += digit >= 1 ? 1 : 0;
        at_least[2] += digit >= 2 ? 1 : 0;
        at_least[3] += digit >= 3 ? 1 : 0;
    }
    int threshold = 0;
    int above = at_least[1];
    for (int d = 1; d < 4; ++d) {
#pragma HLS unroll
        if (at_least[d] >= choice.ties) {
            threshold = d;
            above = at_least[d + 1];
        }
    }
    choice.ties -= above;
    for (int c = 0; c < kMaxPatches; ++c) {
#pragma HLS unroll
        choice.chosen[c] = choice.chosen[c] || (choice.tied[c] && digits[c] > threshold);
        choice.tied[c] = choice.tied[c] && digits[c] == threshold;
    }
}

// A digit an iteration, of one row, while the candidates of the next row come in. What goes on before the first row is
// complete, and behind the last one, has no effect: registers that always move need no multiplexers.
inline void select_largest(const Candidates chunks[kSelectPorts * kSelectChunks], const Selection& job, int group,
                           Choice choices[kSelectPorts]) {
    u32 incoming[kTaken];    // shifted in; with the sign bit inverted, so that they compare as unsigned
    u32 value[kMaxPatches];  // the digit that is looked at on top
    Choice choice;
#pragma HLS array_partition variable=incoming type=complete
#pragma HLS array_partition variable=value type=complete
#pragma HLS array_partition variable=choice.chosen type=complete
#pragma HLS array_partition variable=choice.tied type=complete
    for (int c = 0; c < kTaken; ++c) {
#pragma HLS unroll
        incoming[c] = 0;
    }
    const int rows = rows_of_group(job, group);
    const int count = chunks_of(job);
    const int candidates = job.candidates & kPatchMask;
    int place = 0;
select_digits:
    for (int i = 0; i < (rows + 1) * kDigits; ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 2, kDigitDepth);
        const int row = i / kDigits;  // that comes in
        const int digit = i % kDigits;
        if (digit == 0) {
            const int own = job.includes_own ? (kSelectPorts * group + row - 1) & kPatchMask : kPatchMask;
            choice.ties = job.keep - (job.includes_own ? 1 : 0);
            for (int c = 0; c < kMaxPatches; ++c) {
#pragma HLS unroll
                choice.chosen[c] = c == own;
                choice.tied[c] = c < candidates && c != own;
            }
        }
        int digits[kMaxPatches];
#pragma HLS array_partition variable=digits type=complete
        for (int c = 0; c < kMaxPatches; ++c) {
#pragma HLS unroll
            value[c] = digit == 0 ? incoming[c] : u32(value[c] << kDigitBits);
            digits[c] = int(u32(value[c] >> (32 - kDigitBits)));
        }
        look_at_digits(digits, choice);
        if (row > 0 && digit == kDigits - 1) choices[row - 1] = choice;
        for (int c = 0; c < kTaken - kTakenAtOnce; ++c) {
#pragma HLS unroll
            incoming[c] = incoming[c + kTakenAtOnce];
        }
        for (int part = 0; part < kDigitInterval; ++part) {
#pragma HLS unroll
            Candidates taken;
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                taken.value[lane] = 0;
            }
            if (row < rows && kDigitInterval * digit + part < count) {
                taken = chunks[place];
                ++place;
            }
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const int c = kTaken - kTakenAtOnce + kLanes * part + lane;
                incoming[c] = u32(taken.value[lane]) ^ u32(0x80000000u);
            }
        }
    }
}

// Kept indices, packed eight a word: eight candidates a cycle, and one more cycle for the last word of a row.
inline void pack_lists(const Choice choices[kSelectPorts], const Selection& job, int group,
                       word_t lists[kSelectPorts * kIndexWords]) {
    const int steps = chunks_of(job) + 1;
    Choice choice;  // its next candidates in front
    i16 line[2 * kLanes];
#pragma HLS array_partition variable=choice.chosen type=complete
#pragma HLS array_partition variable=choice.tied type=complete
#pragma HLS array_partition variable=line type=complete
    int row = 0;
    int step = 0;
    int waiting = 0;  // indices in `line`
    int place = 0;
pack_lists:
    for (int i = 0; i < rows_of_group(job, group) * steps; ++i) {
#pragma HLS loop_tripcount max = 33
        PIPELINE(i == 0, 1, 6);
        if (step == 0) {
            choice = choices[row];
            waiting = 0;
        }
        bool kept[kLanes];
        int target[kLanes];  // where in `line`
#pragma HLS array_partition variable=kept type=complete
#pragma HLS array_partition variable=target type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const bool is_first_tie = choice.tied[lane] && choice.ties > 0;
            if (is_first_tie) --choice.ties;
            kept[lane] = choice.chosen[lane] || is_first_tie;
            target[lane] = waiting;
            if (kept[lane]) waiting = (waiting + 1) & (2 * kLanes - 1);
        }
        for (int t = 0; t < 2 * kLanes; ++t) {
#pragma HLS unroll
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                if (kept[lane] && target[lane] == t) line[t] = i16(kLanes * step + lane);
            }
        }
        for (int c = 0; c < kMaxPatches; ++c) {
#pragma HLS unroll
            choice.chosen[c] = c + kLanes < kMaxPatches ? choice.chosen[c + kLanes] : false;
            choice.tied[c] = c + kLanes < kMaxPatches ? choice.tied[c + kLanes] : false;
        }
        if (waiting >= kLanes || (step == steps - 1 && waiting > 0)) {
            word_t word = zero_word();
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                if (lane < waiting) put16(word, lane, line[lane]);
                line[lane] = line[kLanes + lane];
            }
            lists[place] = word;
            ++place;
            waiting -= smaller(waiting, kLanes);
        }
        ++step;
        if (step == steps) {
            step = 0;
            ++row;
        }
    }
}

inline void store_lists(word_t* mem2, const Selection& job, int group, const word_t lists[kSelectPorts * kIndexWords]) {
    const int words = words16(job.keep);
    int place = 0;
store_lists:
    for (int row = 0; row < rows_of_group(job, group); ++row) {
#pragma HLS loop_tripcount max = 3
        const unsigned list = job.first_list + unsigned(kSelectPorts * group + row);
        const unsigned address = job.lists.address + list * unsigned(job.lists.pitch);
    store_list:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
            PIPELINE(w == 0, 1, 4);
            write_word<2>(mem2, address + unsigned(w), lists[place + w]);
        }
        place += words;
    }
}

inline void select_in_rows(const word_t* mem0, const word_t* mem1, word_t* mem2, const Selection& job, int groups,
                           const i16 columns[kMaxPatches], const MapRows rows[kSelectPorts]) {
#pragma HLS inline off
select_groups:
    for (int group = 0; group < groups; ++group) {
#pragma HLS loop_tripcount max = 27
        DATAFLOW(group == 0);
        RowCopies first;
        RowCopies second;
        RowCopies third;
        Candidates chunks[kSelectPorts * kSelectChunks];
        Choice choices[kSelectPorts];
        word_t lists[kSelectPorts * kIndexWords];
#pragma HLS array_partition variable=first type=complete dim=1
#pragma HLS array_partition variable=second type=complete dim=1
#pragma HLS array_partition variable=third type=complete dim=1
#pragma HLS aggregate variable=chunks
#pragma HLS aggregate variable=choices
#pragma HLS stream variable=chunks type=fifo depth=10
#pragma HLS stream variable=choices type=fifo depth=2
#pragma HLS stream variable=lists type=fifo depth=8
        PROCESS(load_map_row<0>(mem0, job, group, rows[0], first));
        BESIDE(load_map_row<1>(mem1, job, group, rows[1], second));
        BESIDE(load_map_row<2>(mem2, job, group, rows[2], third));
        PROCESS(gather_columns(first, second, third, job, group, columns, chunks));
        PROCESS(select_largest(chunks, job, group, choices));
        PROCESS(pack_lists(choices, job, group, lists));
        PROCESS(store_lists(mem2, job, group, lists));
    }
}

// Row q of the selection is the map row at `first` + index of q * `pitch`.
inline void place_row(MapRows rows[kSelectPorts], int q, unsigned address) {
    rows[q % kSelectPorts].address[q / kSelectPorts] = address;
}

// A list of indices below `limit`; larger ones are clamped.
inline void load_list(const word_t* mem, unsigned address, int count, int limit, i16 (&list)[kMaxPatches]) {
    const int words = words16(count);
load_list:
    for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem, address + unsigned(w));
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const int index = int(get16(word, lane)) & 0xFFFF;
            if (kLanes * w + lane < count) list[kLanes * w + lane] = i16(smaller(index, limit - 1));
        }
    }
}

}  // namespace peelvit

// Copies rows from any places to places that follow each other: a third of them through each port, a burst for each run
// of rows that follow each other where they come from.
#pragma once

#include "selection/list.hpp"
#include "streams.hpp"

namespace peelvit {

constexpr int kCopyPorts = 3;
constexpr int kNoRow = -1;
constexpr int kWordBits = 6;  // of a row's words
constexpr int kPlaceBits = 9;        // of a place in a stream
constexpr int kCopyRows = 27;  // of a block, through a port

// Row i of `to`, counted from `first_to`, is row source[i] of `from`, counted from `first_from`; kNoRow gives zeros.
struct RowCopy {
    Matrix from, to;
    unsigned first_from, first_to;
    int rows, words;
    Blocks blocks;  // of a third of the rows: what a stream holds
};

inline void set_rows(RowCopy& job, int rows) {
    job.rows = rows;
    const int each = (natural<kIndexBits>(unsigned(rows)) + kCopyPorts - 1) / kCopyPorts;
    job.blocks = cut_streams(each, kLanes * natural<kWordBits>(unsigned(job.words)), kCutWords);
}

// The first `rows` rows of one matrix, those of the other.
inline RowCopy first_rows(const Matrix& from, const Matrix& to, int rows, int words) {
    RowCopy job;
    job.from = from;
    job.to = to;
    job.first_from = 0;
    job.first_to = 0;
    job.words = words;
    set_rows(job, rows);
    return job;
}

// What one port reads: runs of rows that follow each other.
struct Runs {
    u16 count;
    patch_t start[kCopyRows];
    patch_t rows[kCopyRows];
};

// What it writes: rows that follow each other, some of them zeros.
struct Target {
    Part rows;
    bool is_zero[kCopyRows];
};

inline void find_runs(const RowCopy& job, int first, int rows, const patch_t source[kIndices], Runs& runs,
                      Target& target) {
    const bool may_join = job.from.pitch == job.words;
    target.rows.first = int(job.first_to) + first;
    target.rows.rows = rows;
    int count = 0;
    patch_t start = 0;
    patch_t length = 0;
find_runs:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 3);
        const patch_t row = source[natural<kIndexBits>(unsigned(first + i))];
        const bool is_row = int(row) != kNoRow;
        const bool begins = !may_join || int(length) == 0 || int(row) != int(start) + int(length);
        target.is_zero[i] = !is_row;
        if (is_row) {
            start = begins ? row : start;
            length = begins ? patch_t(1) : patch_t(length + 1);
            count = natural<kIndexBits>(unsigned(begins ? count + 1 : count));
            const int run = natural<kIndexBits>(unsigned(count - 1));
            runs.start[run] = start;
            runs.rows[run] = length;
        }
    }
    runs.count = u16(count);
}

template <int kPort>
inline void load_runs(const word_t* mem, const RowCopy& job, const Runs& runs, word_t stream[kStreamWords]) {
    int place = 0;
load_runs:
    for (int run = 0; run < runs.count; ++run) {
#pragma HLS loop_tripcount max = 256
        const unsigned first = job.first_from + unsigned(int(runs.start[run]));
        const unsigned address = row_address(job.from, first);
        const int words = short_product(int(runs.rows[run]), job.words);
    load_run_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kReadLatency);
            stream[place] = read_word<kPort>(mem, address + unsigned(w));
            place = natural<kPlaceBits>(unsigned(place + 1));
        }
    }
}

template <int kPort>
inline void store_copies(word_t* mem, const RowCopy& job, const Target& target, const word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(job.to, target.rows, job.words);
    const int words = natural<kWordBits>(unsigned(job.words));
    unsigned address = bursts.address;
    patch_t row = 0;
    u16 word_of_row = 0;
    u16 place = 0;
store_copy_bursts:
    for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 256
    store_copy_words:
        for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
            PIPELINE(w == 0, 1, kCopyDepth);
            word_t word = zero_word();
            if (!target.is_zero[int(row)]) {
                word = stream[place];
                place = u16(natural<kPlaceBits>(unsigned(place + 1)));
            }
            write_word<kPort>(mem, address + unsigned(w), word);
            const int next = natural<kWordBits>(unsigned(word_of_row + 1));
            const bool is_last = next == words;
            word_of_row = is_last ? u16(0) : u16(next);
            if (is_last) row = patch_t(row + 1);
        }
        address += bursts.pitch;
    }
}

inline void copy_parts(word_t* mem0, word_t* mem1, word_t* mem2, const RowCopy& job, const Runs runs[kCopyPorts],
                       const Target targets[kCopyPorts]) {
    STREAMING(true);
    word_t first[kStreamWords];
    word_t second[kStreamWords];
    word_t third[kStreamWords];
#pragma HLS stream variable=first type=fifo depth=16
#pragma HLS stream variable=second type=fifo depth=16
#pragma HLS stream variable=third type=fifo depth=16
    PROCESS(load_runs<0>(mem0, job, runs[0], first));
    BESIDE(load_runs<1>(mem1, job, runs[1], second));
    BESIDE(load_runs<2>(mem2, job, runs[2], third));
    PROCESS(store_copies<0>(mem0, job, targets[0], first));
    BESIDE(store_copies<1>(mem1, job, targets[1], second));
    BESIDE(store_copies<2>(mem2, job, targets[2], third));
}

inline void copy_listed_rows(word_t* mem0, word_t* mem1, word_t* mem2, const RowCopy& job,
                             const patch_t source[kIndices]) {
#pragma HLS inline off
    const int all = natural<kIndexBits>(unsigned(job.rows));
    const int rows = smaller(job.blocks.rows, 1 << natural<4>(unsigned(job.blocks.row_bits)));
    Runs runs[kCopyPorts];
    Target targets[kCopyPorts];
#pragma HLS array_partition variable=runs type=complete
#pragma HLS array_partition variable=targets type=complete
#pragma HLS bind_storage variable=runs type=ram_2p impl=bram
copy_blocks:
    for (int b = 0; b < job.blocks.count; ++b) {
#pragma HLS loop_tripcount max = 80
        for (int port = 0; port < kCopyPorts; ++port) {
            const int first = short_product(kCopyPorts * b + port, rows);
            find_runs(job, first, larger(0, smaller(rows, all - first)), source, runs[port], targets[port]);
        }
        copy_parts(mem0, mem1, mem2, job, runs, targets);
    }
}

}  // namespace peelvit

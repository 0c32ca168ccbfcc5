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

// Row i of `to`, counted from `first_to`, is row source[i] of `from`, counted from `first_from`; kNoRow gives zeros.
struct RowCopy {
    Matrix from, to;
    unsigned first_from, first_to;
    int rows, words;
};

// What one port reads: runs of rows that follow each other.
struct Runs {
    u16 count;
    patch_t start[kStreamRows];
    patch_t rows[kStreamRows];
};

// What it writes: rows that follow each other, some of them zeros.
struct Target {
    Part rows;
    bool is_zero[kStreamRows];
};

inline void find_runs(const RowCopy& job, int first, int rows, const patch_t source[kMaxPatches], Runs& runs,
                      Target& target) {
    const bool may_join = job.from.pitch == job.words;
    target.rows.first = int(job.first_to) + first;
    target.rows.rows = rows;
    runs.count = 0;
    patch_t start = 0;
    patch_t length = 0;
find_runs:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 3);
        const patch_t row = source[natural<kPatchBits>(unsigned(first + i))];
        const bool is_row = int(row) != kNoRow;
        const bool begins = !may_join || int(length) == 0 || int(row) != int(start) + int(length);
        target.is_zero[i] = !is_row;
        if (is_row) {
            start = begins ? row : start;
            length = begins ? patch_t(1) : patch_t(length + 1);
            runs.count = begins ? u16(runs.count + 1) : runs.count;
            runs.start[runs.count - 1] = start;
            runs.rows[runs.count - 1] = length;
        }
    }
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
            stream[place + w] = read_word<kPort>(mem, address + unsigned(w));
        }
        place = natural<kPlaceBits>(unsigned(place + words));
    }
}

template <int kPort>
inline void store_copies(word_t* mem, const RowCopy& job, const Target& target, const word_t stream[kStreamWords]) {
    const Bursts bursts = bursts_of(job.to, target.rows, job.words);
    unsigned address = bursts.address;
    u16 row = 0;
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
            if (!target.is_zero[row]) {
                word = stream[place];
                place = u16(place + 1);
            }
            write_word<kPort>(mem, address + unsigned(w), word);
            const bool is_last = int(word_of_row) + 1 == job.words;
            word_of_row = is_last ? u16(0) : u16(word_of_row + 1);
            if (is_last) row = u16(row + 1);
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
                             const patch_t source[kMaxPatches]) {
#pragma HLS inline off
    const int all = natural<kPatchBits>(unsigned(job.rows));
    const int each = (all + kCopyPorts - 1) / kCopyPorts;
    const Blocks blocks = cut_streams(each, kLanes * natural<kWordBits>(unsigned(job.words)));  // what a stream holds
    const int rows = smaller(each, 1 << natural<4>(unsigned(blocks.row_bits)));
    Runs runs[kCopyPorts];
    Target targets[kCopyPorts];
#pragma HLS array_partition variable=runs type=complete
#pragma HLS array_partition variable=targets type=complete
copy_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 80
        for (int port = 0; port < kCopyPorts; ++port) {
            const int first = short_product(kCopyPorts * b + port, rows);
            find_runs(job, first, larger(0, smaller(rows, all - first)), source, runs[port], targets[port]);
        }
        copy_parts(mem0, mem1, mem2, job, runs, targets);
    }
}

// The first `rows` rows of x, as they are.
inline void copy_first_rows(const word_t* mem1, word_t* mem2, const Matrix& x, const Matrix& y, int rows, int words) {
    unsigned from = x.address;
    unsigned to = y.address;
copy_first_rows:
    for (int row = 0; row < rows; ++row) {
#pragma HLS loop_tripcount max = 8
    copy_first_words:
        for (int w = 0; w < words; ++w) {
#pragma HLS loop_tripcount max = 32
            PIPELINE(w == 0, 1, kReadLatency);
            const word_t word = read_word<1>(mem1, from + unsigned(w));
            write_word<2>(mem2, to + unsigned(w), word);
        }
        from += unsigned(x.pitch);
        to += unsigned(y.pitch);
    }
}

}  // namespace peelvit

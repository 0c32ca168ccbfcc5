// dw[p][j] (+)= sum over rows r with r % period == p of dy[r][j]. The gradient of the class token (period 1) and of the position embedding (period: patches, no class rows).
#pragma once

#include "../streams.hpp"
#include "../sums.hpp"

namespace peelvit {

// Row by row, a short row stretched to kSumDistance cycles so that additions to one sum stay apart.
inline void add_rows(const word_t stream[kStreamWords], const Blocks& blocks, int b, int split, ColumnSums& sums) {
    const int steps = larger(blocks.words, kSumDistance);
    const int first = first_row(blocks, b);
    const int cycles = short_product(rows_in(blocks, b), steps);
    Cursor at = start_of_block();
    int place = 0;
add_rows:
    for (int i = 0; i < cycles; ++i) {
#pragma HLS loop_tripcount max = 192
        PIPELINE(i == 0, 1, kCopyDepth);
#pragma HLS dependence variable=sums type=inter direction=raw distance=4 dependent=true
        if (at.word < blocks.words) {
            const int sums_of = place_of(row_kind(first + at.row, split), at.word);
            const word_t dy = stream[place];
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                sums[sums_of][lane] = acc_t(i33(sums[sums_of][lane]) + get16(dy, lane));
            }
            place = natural<8>(unsigned(place + 1));
        }
        advance(at, steps);
    }
}

inline void sum_rows(const word_t* mem1, const Matrix& dy, const Blocks& blocks, int split, ColumnSums& sums) {
sum_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t stream[kStreamWords];
#pragma HLS stream variable=stream type=fifo depth=16
        PROCESS(load_stream<1>(mem1, dy, blocks, b, stream));
        PROCESS(add_rows(stream, blocks, b, split, sums));
    }
}

// `count` whole periods of `period` rows, and the rows that are left.
struct Periods {
    int count;
    int rest;
};

inline Periods whole_periods(int rows, int period) {
    Periods periods;
    periods.count = 0;
    periods.rest = rows;
    u34 part = u34(u34(unsigned(period)) << 16);
whole_periods:
    for (int i = 0; i <= 16; ++i) {
        PIPELINE(i == 0, 1, 1);
        const bool is_in = u34(unsigned(periods.rest)) >= part;
        if (is_in) periods.rest = natural<17>(unsigned(periods.rest) - unsigned(part));
        periods.count = natural<17>(unsigned(periods.count) << 1 | unsigned(is_in));
        part = part >> 1;
    }
    return periods;
}

// Output rows summed at once: as many as the sums hold when their rows lie next to each other. Those rows of a period
// are then one long row.
inline int rows_at_once(const Matrix& dy, int period, int words) {
    int count = 1;
rows_at_once:
    for (int bits = 1; bits <= kBlockRowBits; ++bits) {
#pragma HLS unroll
        if (dy.pitch == words && words << bits <= kMaxWords) count = 1 << bits;
    }
    return smaller(count, period);
}

inline void column_sum(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that the unit that stores sums is shared
    const Matrix dy = operand(in, 0);
    const Matrix dw = operand(in, 1);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<13>(in.dimension[1]);
    const int n = natural<9>(in.dimension[2]);
    const int period = natural<13>(in.dimension[3]);
    const bool has_accumulate = (in.flags & 1u) != 0;

    const int f_dw = slots.f[dw.slot];
    const Contraction joined = contraction(rows, split, slots.f[dy.slot], slots.f[dy.slot + 1]);
    const int words = words16(n);
    const Periods periods = whole_periods(rows, period);
    const int group = rows_at_once(dy, period, words);
    ColumnSums sums;
#pragma HLS array_partition variable=sums type=complete dim=2
    Statistics statistics = no_statistics();
output_rows:
    for (int p = 0; p < period; p += group) {
#pragma HLS loop_tripcount max = 4096
        const int width = smaller(group, narrow<18>(period - p));
        const int row_words = short_product(width, words);
        Matrix long_rows = dy;  // one from each period
        long_rows.address = row_address(dy, unsigned(p));
        long_rows.pitch = period == 1 ? dy.pitch : int(unsigned(multiply(u20(unsigned(period)), u17(unsigned(dy.pitch)))));
        clear(sums, row_words);
        sum_rows(mem1, long_rows, cut_streams(periods.count, kLanes * row_words), split, sums);
        const int rest = larger(0, smaller(width, narrow<18>(periods.rest - p)));
        Matrix last_row = long_rows;  // of the period that the rows do not fill
        last_row.address = long_rows.address + unsigned(multiply(u17(unsigned(periods.count)), u32(unsigned(long_rows.pitch))));
        if (rest > 0) sum_rows(mem1, last_row, one_row(short_product(rest, words), n), 0, sums);
        store_sums(mem0, mem2, dw, p, width, n, sums, joined, has_accumulate, f_dw, statistics);
    }
    record(slots, dw.slot, statistics, joined.fraction);
}

}  // namespace peelvit

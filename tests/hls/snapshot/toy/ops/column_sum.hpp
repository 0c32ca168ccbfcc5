// dw[p][j] (+)= sum over rows r with r % period == p of dy[r][j]. The gradient of the class token (period 1) and of the position embedding (period: patches, no class rows).
#pragma once

#include "../streams.hpp"
#include "../sums.hpp"

namespace peelvit {

// Row by row, a short row stretched to kSumDistance cycles so that additions to one sum stay apart. 2^16 rows fit 32 bits.
inline void add_rows(const word_t stream[kStreamWords], const Blocks& blocks, int b, int split, ColumnSums& sums) {
#pragma HLS inline
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
            const bool opens = opens_sums(first + at.row, split);
            const word_t dy = stream[place];
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                sums[sums_of][lane] = acc_t((opens ? i32(0) : i32(sums[sums_of][lane])) + get16(dy, lane));
            }
            place = natural<8>(unsigned(place + 1));
        }
        advance(at, steps);
    }
}

// Where rows go that are each a sum of their own: one behind the other.
struct Widening {
    bool is_all;  // that there is to do
    unsigned address;
    int places;  // to the left
};

// From int16 to int32, four elements a cycle. Only the lowest number of 16 bits may not fit.
inline void widen_rows(const word_t stream[kStreamWords], const Blocks& blocks, int b, const Widening& widening,
                       word_t* mem2, Statistics& statistics) {
#pragma HLS inline
    const int words = words_in(blocks, b);
    const unsigned first = unsigned(multiply(u17(unsigned(first_row(blocks, b))), u16(unsigned(blocks.words))));
    const unsigned address = widening.address + 2 * first;
    const u17 power = u17(u17(1) << natural<5>(unsigned(widening.places)));
    word_t second = zero_word();  // half of a word
widen_rows:
    for (int w = 0; w < 2 * words; ++w) {
#pragma HLS loop_tripcount max = 384
        PIPELINE(w == 0, 1, kCopyDepth + 4);
        const word_t values = w % 2 == 0 ? stream[w / 2] : second;
        word_t wide = zero_word();
        u16 seen = 0;
        unsigned saturations = 0;
        for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
            const i16 value = get16(values, lane);
            const bool saturates = value == i16(-32768) && widening.places == 16;
            put32(wide, lane, i32(i32(multiply(value, power)) | (saturates ? 1 : 0)));
            put16(second, lane, get16(values, kWideLanes + lane));
            seen |= u16(unsigned(value ^ (value >> 15)) & 0x7FFFu);
            saturations += saturates ? 1u : 0u;
        }
        statistics.bits |= uwide_t(seen);
        statistics.saturations += saturations & 7u;
        write_word<2>(mem2, address + unsigned(w), wide);
    }
}

inline void take_rows(const word_t stream[kStreamWords], const Blocks& blocks, int b, int split, const Widening& widening,
                      word_t* mem2, ColumnSums& sums, Statistics& statistics) {
    if (widening.is_all) {
        widen_rows(stream, blocks, b, widening, mem2, statistics);
    } else {
        add_rows(stream, blocks, b, split, sums);
    }
}

inline void sum_rows(const word_t* mem1, word_t* mem2, const Matrix& dy, const Blocks& blocks, int split,
                     const Widening& widening, ColumnSums& sums, Statistics& statistics) {
sum_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t stream[kStreamWords];
#pragma HLS stream variable=stream type=fifo depth=16
        PROCESS(load_stream<1>(mem1, dy, blocks, b, stream));
        PROCESS(take_rows(stream, blocks, b, split, widening, mem2, sums, statistics));
    }
}

// `count` whole periods of `period` rows, and the rows that are left.
struct Periods {
    int count;
    int rest;
};

// A bit of the quotient a cycle, the highest first.
inline Periods whole_periods(int rows, int period) {
    Periods periods;
    periods.count = 0;
    periods.rest = 0;
    u17 left = u17(unsigned(rows));
whole_periods:
    for (int i = 0; i <= 16; ++i) {
        PIPELINE(i == 0, 1, 1);
        const int part = natural<18>(unsigned(periods.rest) << 1 | (unsigned(left) >> 16 & 1u));
        const int less = narrow<19>(part - period);
        left = u17(unsigned(left) << 1 & 0x1FFFFu);
        periods.rest = natural<17>(unsigned(less < 0 ? part : less));
        periods.count = natural<17>(unsigned(periods.count) << 1 | (less < 0 ? 0u : 1u));
    }
    return periods;
}

// Output rows summed at once: as many as the sums hold when their rows lie next to each other. Those rows of a period
// are then one long row. A block holds kCutWords / kMaxWords times as much as the sums.
inline int rows_at_once(const Matrix& dy, int period, int words) {
    const Blocks longest = cut_streams(period, kLanes * (kCutWords / kMaxWords) * natural<10>(unsigned(words)), kCutWords);
    return dy.pitch == words ? 1 << natural<4>(unsigned(longest.row_bits)) : 1;
}

// A row a period, stored with more fraction bits than it has, up to those of an int32, is a copy.
inline Widening widening_of(const Matrix& dw, int rows, int columns, int period, int from, int to, bool accumulates) {
    const int places = narrow<9>(to - from);
    const bool is_dense = dw.pitch == words32(columns);
    Widening widening;
    widening.is_all = rows == period && is_dense && !accumulates && places >= 0 && places <= 16;
    widening.address = dw.address;
    widening.places = places;
    return widening;
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
    const Widening widening = widening_of(dw, rows, n, period, joined.fraction, f_dw, has_accumulate);
    const int group = widening.is_all ? period : rows_at_once(dy, period, words);
    ColumnSums sums;
#pragma HLS array_reshape variable=sums type=complete dim=2
#pragma HLS bind_storage variable=sums type=ram_s2p impl=bram
    Statistics statistics = no_statistics();
    int width = 0;  // output rows
output_rows:
    for (int p = 0; p < period; p += width) {
#pragma HLS loop_tripcount max = 4096
        const bool has_rest = p < periods.rest;  // one row more
        const int end = has_rest ? periods.rest : period;
        width = smaller(group, narrow<18>(end - p));
        const int height = natural<17>(unsigned(periods.count + (has_rest ? 1 : 0)));
        const int held = widening.is_all ? 0 : width;
        const int row_words = short_product(held, words);
        Matrix long_rows = dy;  // one from each period
        long_rows.address = row_address(dy, unsigned(p));
        const bool is_next = period == 1 || widening.is_all;
        long_rows.pitch = is_next ? dy.pitch : int(unsigned(multiply(u20(unsigned(period)), u17(unsigned(dy.pitch)))));
        const Blocks blocks = cut_streams(widening.is_all ? rows : height, widening.is_all ? n : kLanes * row_words, kCutWords);
        sum_rows(mem1, mem2, long_rows, blocks, split, widening, sums, statistics);
        store_sums(mem0, mem2, dw, p, held, n, sums, joined, has_accumulate, f_dw, statistics);
    }
    record(slots, dw.slot, statistics, joined.fraction);
}

}  // namespace peelvit

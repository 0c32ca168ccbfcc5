// s = sum x, N = n * sum x^2 - s^2 + eps, normalised = round((n * x - s) / sqrt(N)), y = round(gamma * normalised + beta); with SAVE, for the backward pass, saved keeps normalised and rstd 1 / sqrt(N) as ``e << 20 | mantissa``.
#pragma once

#include "../functions.hpp"
#include "../streams.hpp"

namespace peelvit {

constexpr int kRsqrtDepth = 32;
constexpr int kMomentsInterval = 4;  // rows are longer
constexpr int kRstdShift = 20;  // rstd = exponent << 20 | mantissa

// Of a row: sum x and sum x^2.
struct PowerSums {
    i32 sum;
    acc_t square;
};

// Of a row, for (n * x - sum x) / sqrt(N) = (scale * (x << lift) - offset) * 2^-fraction.
struct Moments {
    u26 scale;
    i44 offset;
    u6 fraction;
};

// Offsets of y at the fraction of gamma * normalised, by word and lane.
using MovedBetas = acc_t[kMaxWords][kLanes];

struct LayerNormJob {
    Matrix x, y, saved, rstd;
    Blocks blocks;
    int lift;  // 2 where n is a multiple of 4: n * mantissa then has two bits less
    bool saves;
    wide_t epsilon;
    int f_normalised, f_gamma, f_y;
};

// rstd of the last rows, on its way to a whole word.
struct RstdLine {
    word_t word;
};

// One element on its way: normalised, then scaled and moved. A row is at most 2^11 long, so 44 bits hold the first.
inline i44 centred(i18 lifted, u26 scale, i44 offset) { return i44(multiply(lifted, scale) - wide_t(offset)); }
inline acc_t affine(i16 gamma, i16 normalised, acc_t beta) { return acc_t(multiply(gamma, normalised) + wide_t(beta)); }

inline void layernorm_sums(const word_t in[kStreamWords], const LayerNormJob& job, int b, word_t kept[kStreamWords],
                           PowerSums sums[kStreamRows]) {
    const int words = words_in(job.blocks, b);
    Cursor at = start_of_block();
    PowerSums running;
layernorm_sums:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 8);
        const word_t x = in[i];
        kept[i] = x;
        wide_t sum = at.word == 0 ? wide_t(0) : wide_t(running.sum);
        wide_t square = at.word == 0 ? wide_t(0) : wide_t(running.square);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const i16 value = lane < lanes_in(job.blocks, at.word) ? get16(x, lane) : i16(0);
            sum += value;
            square += multiply(value, value);
        }
        running.sum = i32(sum);
        running.square = acc_t(square);
        if (ends_row(at, job.blocks)) sums[at.row] = running;
        advance(at, job.blocks.words);
    }
}

inline void layernorm_moments(const PowerSums sums[kStreamRows], const LayerNormJob& job, int b,
                              Moments moments[kStreamRows], i32 rstd[kStreamRows]) {
    const u17 columns = u17(unsigned(job.blocks.columns));
    const u17 few_columns = u17(columns >> job.lift);
layernorm_moments:
    for (int row = 0; row < rows_in(job.blocks, b); ++row) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(row == 0, kMomentsInterval, job.blocks.words + kRsqrtDepth);  // the first row is complete after so many words
        const PowerSums own = sums[row];
        const wide_t spread = multiply(columns, own.square) - multiply(own.sum, own.sum);
        const Rsqrt root = rsqrt(spread + job.epsilon);
        const u17 mantissa = u17(unsigned(root.mantissa));
        Moments result;
        result.scale = u26(unsigned(multiply(few_columns, mantissa)));
        result.offset = i44(multiply(own.sum, mantissa));
        result.fraction = u6(unsigned(16 + root.exponent));
        moments[row] = result;
        if (job.saves) rstd[row] = i32(root.exponent << kRstdShift | root.mantissa);
    }
}

inline void layernorm_rows(const word_t kept[kStreamWords], const Moments moments[kStreamRows],
                           const LayerNormJob& job, int b, const word_t gammas[kMaxWords], const MovedBetas& betas,
                           word_t y_out[kStreamWords], word_t saved_out[kStreamWords], Observed& normalised_observed,
                           Statistics& y_statistics) {
    const int words = words_in(job.blocks, b);
    const Fit16 to_y = fit16_of(narrow<11>(job.f_gamma + job.f_normalised - job.f_y));
    Cursor at = start_of_block();
    Moments row;
    Statistics statistics;
layernorm_rows:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 2 * kVectorDepth);
        if (at.word == 0) {
            row = moments[at.row];
            statistics = no_statistics();
        }
        const word_t x = kept[i];
        const word_t gamma = gammas[at.word];
        const int lanes = lanes_in(job.blocks, at.word);
        const int fraction = int(row.fraction);
        const Fit16 to_normalised = fit16_of(narrow<10>(fraction - job.f_normalised));
        acc_t acc[kLanes];
        acc_t scaled[kLanes];
#pragma HLS array_partition variable=acc type=complete
#pragma HLS array_partition variable=scaled type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            acc[lane] = centred(i18(i18(get16(x, lane)) << job.lift), row.scale, row.offset);
        }
        const word_t normalised = fit_word(acc, lanes, to_normalised, statistics);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            scaled[lane] = affine(get16(gamma, lane), get16(normalised, lane), betas[at.word][lane]);
        }
        y_out[i] = fit_word(scaled, lanes, to_y, y_statistics);
        if (job.saves) saved_out[i] = normalised;
        if (ends_row(at, job.blocks)) observe(normalised_observed, statistics, fraction, 0);
        advance(at, job.blocks.words);
    }
}

inline void store_saved(word_t* mem2, const LayerNormJob& job, int b, const word_t stream[kStreamWords]) {
    if (job.saves) store_stream<2>(mem2, job.saved, job.blocks, b, stream);
}

inline void store_rstd(word_t* mem0, const LayerNormJob& job, int b, const i32 rstd[kStreamRows], RstdLine& line) {
    const int first = first_row(job.blocks, b);
    const int last = narrow<18>(job.blocks.rows - 1);
store_rstd:
    for (int i = 0; i < (job.saves ? rows_in(job.blocks, b) : 0); ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kCopyDepth);
        const unsigned row = unsigned(natural<17>(unsigned(first + i)));
        const unsigned lane = row % kWideLanes;
        if (lane == 0) line.word = zero_word();
        put32(line.word, int(lane), rstd[i]);
        if (lane == kWideLanes - 1 || int(row) == last) {
            write_word<0>(mem0, job.rstd.address + row / kWideLanes, line.word);
        }
    }
}

inline void layernorm_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const LayerNormJob& job, int blocks,
                             const word_t gammas[kMaxWords], const MovedBetas& betas, Observed& normalised_observed,
                             Statistics& y_statistics) {
    RstdLine line;
    line.word = zero_word();
layernorm_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t in[kStreamWords];
        word_t kept[kStreamWords];
        word_t y_out[kStreamWords];
        word_t saved_out[kStreamWords];
        PowerSums sums[kStreamRows];
        Moments moments[kStreamRows];
        i32 rstd[kStreamRows];
#pragma HLS stream variable=in type=fifo depth=16
        // A row waits here until its moments are known.
#pragma HLS stream variable=kept type=fifo depth=32
#pragma HLS stream variable=y_out type=fifo depth=16
#pragma HLS stream variable=saved_out type=fifo depth=16
#pragma HLS stream variable=sums type=fifo depth=4
#pragma HLS stream variable=moments type=fifo depth=4
#pragma HLS stream variable=rstd type=fifo depth=4
#pragma HLS aggregate variable=sums
#pragma HLS aggregate variable=moments
        PROCESS(load_stream<1>(mem1, job.x, job.blocks, b, in));
        PROCESS(layernorm_sums(in, job, b, kept, sums));
        PROCESS(layernorm_moments(sums, job, b, moments, rstd));
        PROCESS(layernorm_rows(kept, moments, job, b, gammas, betas, y_out, saved_out, normalised_observed,
                               y_statistics));
        PROCESS(store_stream<1>(mem1, job.y, job.blocks, b, y_out));
        BESIDE(store_saved(mem2, job, b, saved_out));
        BESIDE(store_rstd(mem0, job, b, rstd, line));
    }
}

// Once an instruction, so one unit does it.
inline void move_betas(const word_t betas[kMaxWords], int words, int shift, MovedBetas& moved) {
move_betas:
    for (int i = 0; i < kLanes * words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kVectorDepth);
        const unsigned element = unsigned(natural<14>(unsigned(i)));
        const unsigned lane = element % kLanes;
        moved[element / kLanes][lane] = acc_t(round_from<kMaxAlign>(get16(betas[element / kLanes], int(lane)), shift));
    }
}

inline void layernorm(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix x = operand(in, 0);
    const Matrix gamma = operand(in, 1);
    const Matrix beta = operand(in, 2);
    const Matrix normalised = operand(in, 3);
    const Matrix y = operand(in, 4);
    const Matrix saved = operand(in, 5);
    const Matrix rstd = operand(in, 6);
    const int rows = natural<13>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);
    const bool has_save = (in.flags & 1u) != 0;
    const int epsilon_mantissa = int(in.immediate[0]);
    const int epsilon_shift = int(in.immediate[1]);

    const int epsilon_right = narrow<11>(larger(-256, smaller(256, epsilon_shift)) - 2 * slots.f[x.slot]);
    const wide_t rounded = round_from<kMaxAlign>(wide_t(epsilon_mantissa), epsilon_right);
    LayerNormJob job;
    job.x = x;
    job.y = y;
    job.saved = saved;
    job.rstd = rstd;
    job.lift = n % 4 == 0 ? 2 : 0;
    job.saves = has_save;
    job.blocks = cut_streams(rows, n);
    job.epsilon = rounded > 1 ? rounded : wide_t(1);
    job.f_normalised = slots.f[normalised.slot];
    job.f_gamma = slots.f[gamma.slot];
    job.f_y = slots.f[y.slot];
    word_t gammas[kMaxWords];
    word_t betas[kMaxWords];
    MovedBetas moved;
#pragma HLS array_partition variable=moved type=complete dim=2
    load_two_rows(mem0, gamma.address, mem1, beta.address, job.blocks.words, gammas, betas);
    move_betas(betas, job.blocks.words, slots.f[beta.slot] - job.f_gamma - job.f_normalised, moved);
    Observed normalised_observed = nothing_observed();
    Statistics y_statistics = no_statistics();
    layernorm_blocks(mem0, mem1, mem2, job, job.blocks.count, gammas, moved, normalised_observed, y_statistics);
    if (has_save && (rows + kWideLanes - 1) / kWideLanes % 2 == 1) {
        write_word<0>(mem0, rstd.address + unsigned(words32(rows) - 1), zero_word());
    }
    record(slots, normalised.slot, normalised_observed);
    record(slots, y.slot, y_statistics, job.f_gamma + job.f_normalised);
}

}  // namespace peelvit

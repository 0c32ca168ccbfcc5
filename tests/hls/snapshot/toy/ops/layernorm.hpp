// s = sum x, N = n * sum x^2 - s^2 + eps, normalised = round((n * x - s) / sqrt(N)), y = round(gamma * normalised + beta); with SAVE, for the backward pass, saved keeps normalised and rstd 1 / sqrt(N) as ``e << 20 | mantissa``.
//
// Two rows at a time, one of each half of a block: x comes over two ports and y leaves over two. With SAVE the two
// results of a row take both write ports, so rows go one at a time.
#pragma once

#include "../functions.hpp"
#include "../streams.hpp"

namespace peelvit {

constexpr int kRsqrtDepth = 32;
constexpr int kMomentsInterval = 4;  // rows are longer
constexpr int kRstdShift = 20;  // rstd = exponent << 20 | mantissa

// Of a row of each part: sum x and sum x^2.
struct PowerSums {
    i32 sum[2];
    acc_t square[2];
};

// Of a row of each part, for (n * x - sum x) / sqrt(N) = (scale * (x << lift) - offset) * 2^-fraction.
struct Moments {
    u26 scale[2];
    acc_t offset[2];
    int fraction[2];
};

struct LayerNormJob {
    Matrix x, y, second, rstd;  // `second` leaves over port 2: the other part of y, or what is saved
    Blocks blocks;
    int parts, second_part;
    int lift;  // 2 where n is a multiple of 4: n * mantissa then has two bits less
    bool saves;
    wide_t epsilon;
    int f_normalised, f_gamma, f_beta, f_y;
};

// rstd of the last rows, on its way to a whole word.
struct RstdLine {
    word_t word;
};

// One element on its way: normalised, then scaled and moved.
inline acc_t centred(i18 lifted, u26 scale, acc_t offset) { return acc_t(multiply(lifted, scale) - wide_t(offset)); }
inline acc_t affine(i16 gamma, i16 normalised, acc_t beta) { return acc_t(multiply(gamma, normalised) + wide_t(beta)); }

inline bool has_row(const Part& part, int row) { return row < part.rows; }

inline void layernorm_sums(const word_t first_in[kStreamWords], const word_t second_in[kStreamWords],
                           const LayerNormJob& job, int b, word_t first_kept[kStreamWords],
                           word_t second_kept[kStreamWords], PowerSums sums[kStreamRows]) {
    const Part first = part_of(job.blocks, b, job.parts, 0);
    const Part second = part_of(job.blocks, b, job.parts, 1);
    const int words = short_product(first.rows, job.blocks.words);
    Cursor at = start_of_block();
    PowerSums running;
layernorm_sums:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 8);
        word_t x[2] = {first_in[i], zero_word()};
        if (has_row(second, at.row)) {
            x[1] = second_in[i];
            second_kept[i] = x[1];
        }
        first_kept[i] = x[0];
        for (int part = 0; part < 2; ++part) {
#pragma HLS unroll
            wide_t sum = at.word == 0 ? wide_t(0) : wide_t(running.sum[part]);
            wide_t square = at.word == 0 ? wide_t(0) : wide_t(running.square[part]);
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const i16 value = lane < lanes_in(job.blocks, at.word) ? get16(x[part], lane) : i16(0);
                sum += value;
                square += multiply(value, value);
            }
            running.sum[part] = i32(sum);
            running.square[part] = acc_t(square);
        }
        if (at.word == job.blocks.words - 1) sums[at.row] = running;
        advance(at, job.blocks.words);
    }
}

inline void layernorm_moments(const PowerSums sums[kStreamRows], const LayerNormJob& job, int b,
                              Moments moments[kStreamRows], i32 rstd[kStreamRows]) {
    const Part first = part_of(job.blocks, b, job.parts, 0);
    const u17 columns = u17(unsigned(job.blocks.columns));
    const u17 few_columns = u17(columns >> job.lift);
layernorm_moments:
    for (int row = 0; row < first.rows; ++row) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(row == 0, kMomentsInterval, job.blocks.words + kRsqrtDepth);  // the first row is complete after so many words
        const PowerSums own = sums[row];
        Moments result;
        for (int part = 0; part < 2; ++part) {
#pragma HLS unroll
            const wide_t spread = multiply(columns, own.square[part]) - multiply(own.sum[part], own.sum[part]);
            const Rsqrt root = rsqrt(spread + job.epsilon);
            const u17 mantissa = u17(unsigned(root.mantissa));
            result.scale[part] = u26(unsigned(multiply(few_columns, mantissa)));
            result.offset[part] = acc_t(multiply(own.sum[part], mantissa));
            result.fraction[part] = narrow<7>(16 + root.exponent);
            if (part == 0 && job.saves) rstd[row] = i32(root.exponent << kRstdShift | root.mantissa);
        }
        moments[row] = result;
    }
}

// The second result is the other part's y, or what is saved.
inline void layernorm_rows(const word_t first_kept[kStreamWords], const word_t second_kept[kStreamWords],
                           const Moments moments[kStreamRows], const LayerNormJob& job, int b,
                           const word_t gammas[kMaxWords], const word_t betas[kMaxWords],
                           word_t first_out[kStreamWords], word_t second_out[kStreamWords],
                           Observed& normalised_observed, Statistics& y_statistics) {
    const Part first = part_of(job.blocks, b, job.parts, 0);
    const Part second = part_of(job.blocks, b, job.parts, 1);
    const int words = short_product(first.rows, job.blocks.words);
    const int f_product = job.f_gamma + job.f_normalised;
    const Fit16 to_y = fit16_of(f_product - job.f_y);
    Cursor at = start_of_block();
    Moments row;
    Statistics statistics[2];
#pragma HLS array_partition variable=statistics type=complete
layernorm_rows:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 2 * kVectorDepth);
        const bool has_second = has_row(second, at.row);
        if (at.word == 0) row = moments[at.row];
        word_t x[2] = {first_kept[i], zero_word()};
        if (has_second) x[1] = second_kept[i];
        const int row_lanes[2] = {lanes_in(job.blocks, at.word), has_second ? lanes_in(job.blocks, at.word) : 0};
        const word_t gamma = gammas[at.word];
        const word_t beta = betas[at.word];
        acc_t moved[kLanes];
#pragma HLS array_partition variable=moved type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            moved[lane] = acc_t(round_from<kMaxAlign>(get16(beta, lane), job.f_beta - f_product));
        }
        word_t normalised[2];
        word_t y[2];
        for (int part = 0; part < 2; ++part) {
#pragma HLS unroll
            acc_t acc[kLanes];
            acc_t scaled[kLanes];
#pragma HLS array_partition variable=acc type=complete
#pragma HLS array_partition variable=scaled type=complete
            if (at.word == 0) statistics[part] = no_statistics();
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                acc[lane] = centred(i18(i18(get16(x[part], lane)) << job.lift), row.scale[part], row.offset[part]);
            }
            const Fit16 to_normalised = fit16_of(row.fraction[part] - job.f_normalised);
            normalised[part] = fit_word(acc, row_lanes[part], to_normalised, statistics[part]);
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                scaled[lane] = affine(get16(gamma, lane), get16(normalised[part], lane), moved[lane]);
            }
            y[part] = fit_word(scaled, row_lanes[part], to_y, y_statistics);
            if (at.word == job.blocks.words - 1) observe(normalised_observed, statistics[part], row.fraction[part]);
        }
        first_out[i] = y[0];
        if (job.saves || has_second) second_out[i] = job.saves ? normalised[0] : y[1];
        advance(at, job.blocks.words);
    }
}

inline void store_rstd(word_t* mem0, const LayerNormJob& job, int b, const i32 rstd[kStreamRows], RstdLine& line) {
    const Part rows = part_of(job.blocks, b, job.parts, 0);
store_rstd:
    for (int i = 0; i < (job.saves ? rows.rows : 0); ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kCopyDepth);
        const int row = rows.first + i;
        const int lane = row % kWideLanes;
        if (lane == 0) line.word = zero_word();
        put32(line.word, lane, rstd[i]);
        if (lane == kWideLanes - 1 || row == job.blocks.rows - 1) {
            write_word<0>(mem0, job.rstd.address + unsigned(row / kWideLanes), line.word);
        }
    }
}

inline void layernorm_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const LayerNormJob& job, int blocks,
                             const word_t gammas[kMaxWords], const word_t betas[kMaxWords],
                             Observed& normalised_observed, Statistics& y_statistics) {
    RstdLine line;
    line.word = zero_word();
layernorm_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t first_in[kStreamWords];
        word_t second_in[kStreamWords];
        word_t first_kept[kStreamWords];
        word_t second_kept[kStreamWords];
        word_t first_out[kStreamWords];
        word_t second_out[kStreamWords];
        PowerSums sums[kStreamRows];
        Moments moments[kStreamRows];
        i32 rstd[kStreamRows];
#pragma HLS stream variable=first_in type=fifo depth=16
#pragma HLS stream variable=second_in type=fifo depth=16
        // A row waits here until its moments are known.
#pragma HLS stream variable=first_kept type=fifo depth=32
#pragma HLS stream variable=second_kept type=fifo depth=32
#pragma HLS stream variable=first_out type=fifo depth=16
#pragma HLS stream variable=second_out type=fifo depth=16
#pragma HLS stream variable=sums type=fifo depth=4
#pragma HLS stream variable=moments type=fifo depth=4
#pragma HLS stream variable=rstd type=fifo depth=4
#pragma HLS aggregate variable=sums
#pragma HLS aggregate variable=moments
        PROCESS(load_stream<0>(mem0, job.x, job.blocks, b, job.parts, 0, first_in));
        BESIDE(load_stream<1>(mem1, job.x, job.blocks, b, job.parts, 1, second_in));
        PROCESS(layernorm_sums(first_in, second_in, job, b, first_kept, second_kept, sums));
        PROCESS(layernorm_moments(sums, job, b, moments, rstd));
        PROCESS(layernorm_rows(first_kept, second_kept, moments, job, b, gammas, betas, first_out, second_out,
                               normalised_observed, y_statistics));
        PROCESS(store_stream<1>(mem1, job.y, job.blocks, b, job.parts, 0, first_out));
        BESIDE(store_stream<2>(mem2, job.second, job.blocks, b, job.parts, job.second_part, second_out));
        BESIDE(store_rstd(mem0, job, b, rstd, line));
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

    const int epsilon_right = larger(-256, smaller(256, epsilon_shift)) - 2 * slots.f[x.slot];
    const wide_t rounded = round_shift(wide_t(epsilon_mantissa), epsilon_right);
    LayerNormJob job;
    job.x = x;
    job.y = y;
    job.second = has_save ? saved : y;
    job.rstd = rstd;
    job.parts = has_save ? 1 : 2;
    job.lift = n % 4 == 0 ? 2 : 0;
    job.second_part = job.parts - 1;
    job.saves = has_save;
    job.blocks = cut_streams(rows, n, job.parts);
    job.epsilon = rounded > 1 ? rounded : wide_t(1);
    job.f_normalised = slots.f[normalised.slot];
    job.f_gamma = slots.f[gamma.slot];
    job.f_beta = slots.f[beta.slot];
    job.f_y = slots.f[y.slot];
    word_t gammas[kMaxWords];
    word_t betas[kMaxWords];
    load_two_rows(mem0, gamma.address, mem1, beta.address, job.blocks.words, gammas, betas);
    Observed normalised_observed = nothing_observed();
    Statistics y_statistics = no_statistics();
    layernorm_blocks(mem0, mem1, mem2, job, job.blocks.count, gammas, betas, normalised_observed, y_statistics);
    if (has_save && (rows + kWideLanes - 1) / kWideLanes % 2 == 1) {
        write_word<0>(mem0, rstd.address + unsigned(words32(rows) - 1), zero_word());
    }
    record(slots, normalised.slot, normalised_observed);
    record(slots, y.slot, y_statistics, job.f_gamma + job.f_normalised);
}

}  // namespace peelvit

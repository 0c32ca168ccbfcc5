// s = sum x, N = n * sum x^2 - s^2 + eps, normalised = round((n * x - s) / sqrt(N)), y = round(gamma * normalised + beta); rstd keeps 1 / sqrt(N) as ``e << 20 | mantissa``.
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

constexpr int kRsqrtDepth = 32;
constexpr int kRstdShift = 20;  // rstd = exponent << 20 | mantissa

// Sum of a row and 1 / sqrt(n^2 variance + eps).
struct Moments {
    wide_t sum;
    Rsqrt rstd;
};

// rstd of the last rows, on its way to a whole word.
struct RstdLine {
    word_t word;
};

struct LayerNormFractions {
    int normalised, gamma, beta, y;
};

inline void layernorm_moments(const word_t block[kBlockWords], const Blocks& blocks, int b, wide_t epsilon,
                              word_t kept[kBlockWords], Moments moments[kBlockRows], i32 rstd[kBlockRows]) {
    wide_t sums[kBlockRows];
    wide_t squares[kBlockRows];
    Cursor at = start_of_block();
    wide_t sum = 0;
    wide_t square = 0;
layernorm_sums:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 8);
        const word_t x = block[i];
        if (at.word == 0) {
            sum = 0;
            square = 0;
        }
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t value = lane < lanes_in(blocks, at.word) ? wide_t(get16(x, lane)) : wide_t(0);
            sum += value;
            square += value * value;
        }
        kept[i] = x;
        sums[at.row] = sum;
        squares[at.row] = square;
        advance(at, blocks.words);
    }
layernorm_rstd:
    for (int row = 0; row < rows_in(blocks, b); ++row) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(row == 0, 1, kRsqrtDepth);
        const wide_t variance = wide_t(blocks.columns) * squares[row] - sums[row] * sums[row] + epsilon;
        const Rsqrt root = rsqrt(variance);
        moments[row].sum = sums[row];
        moments[row].rstd = root;
        rstd[row] = i32(root.exponent << kRstdShift | root.mantissa);
    }
}

inline void layernorm_rows(const word_t block[kBlockWords], const Moments moments[kBlockRows], const Blocks& blocks,
                           int b, const word_t gammas[kMaxWords], const word_t betas[kMaxWords],
                           const LayerNormFractions& f, word_t normalised_block[kBlockWords],
                           word_t y_block[kBlockWords], Observed& normalised_observed, Statistics& y_statistics) {
    const int f_product = f.gamma + f.normalised;
    Cursor at = start_of_block();
    Statistics statistics = no_statistics();
layernorm_rows:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 2 * kVectorDepth);
        const word_t x = block[i];
        const Moments row = moments[at.row];
        const int fraction = 16 + row.rstd.exponent;
        const int lanes = lanes_in(blocks, at.word);
        if (at.word == 0) statistics = no_statistics();
        wide_t acc[kLanes];
        wide_t scaled[kLanes];
#pragma HLS array_partition variable=acc type=complete
#pragma HLS array_partition variable=scaled type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t centred = wide_t(blocks.columns) * wide_t(get16(x, lane)) - row.sum;
            acc[lane] = centred * wide_t(row.rstd.mantissa);
        }
        const word_t normalised = store_word(acc, lanes, fraction - f.normalised, statistics);
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t product = wide_t(get16(gammas[at.word], lane)) * wide_t(get16(normalised, lane));
            scaled[lane] = product + align(wide_t(get16(betas[at.word], lane)), f.beta, f_product);
        }
        normalised_block[i] = normalised;
        y_block[i] = store_word(scaled, lanes, f_product - f.y, y_statistics);
        if (at.word == blocks.words - 1) observe(normalised_observed, statistics, fraction);
        advance(at, blocks.words);
    }
}

inline void store_rstd(word_t* mem0, const Matrix& matrix, const Blocks& blocks, int b, const i32 rstd[kBlockRows],
                       RstdLine& line) {
store_rstd:
    for (int i = 0; i < rows_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, kCopyDepth);
        const int row = first_row(blocks, b) + i;
        const int lane = row % kWideLanes;
        if (lane == 0) line.word = zero_word();
        put32(line.word, lane, rstd[i]);
        if (lane == kWideLanes - 1 || row == blocks.rows - 1) {
            write_word<0>(mem0, matrix.address + unsigned(row / kWideLanes), line.word);
        }
    }
}

inline void layernorm_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& x, const Matrix& normalised,
                             const Matrix& y, const Matrix& rstd, const Blocks& blocks, wide_t epsilon,
                             const word_t gammas[kMaxWords], const word_t betas[kMaxWords], const LayerNormFractions& f,
                             Observed& normalised_observed, Statistics& y_statistics) {
    RstdLine line;
    line.word = zero_word();
layernorm_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t in_block[kBlockWords];
        word_t kept[kBlockWords];
        word_t normalised_block[kBlockWords];
        word_t y_block[kBlockWords];
        Moments moments[kBlockRows];
        i32 rstd_block[kBlockRows];
        PROCESS(load_block<1>(mem1, x, blocks, b, in_block));
        PROCESS(layernorm_moments(in_block, blocks, b, epsilon, kept, moments, rstd_block));
        PROCESS(layernorm_rows(kept, moments, blocks, b, gammas, betas, f, normalised_block, y_block,
                               normalised_observed, y_statistics));
        PROCESS(store_block<2>(mem2, normalised, blocks, b, normalised_block));
        PROCESS(store_block<1>(mem1, y, blocks, b, y_block));
        PROCESS(store_rstd(mem0, rstd, blocks, b, rstd_block, line));
    }
}

inline void layernorm(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix x = operand(in, 0);
    const Matrix gamma = operand(in, 1);
    const Matrix beta = operand(in, 2);
    const Matrix normalised = operand(in, 3);
    const Matrix y = operand(in, 4);
    const Matrix rstd = operand(in, 5);
    const int rows = int(in.dimension[0]);
    const int n = int(in.dimension[1]);
    const int epsilon_mantissa = int(in.immediate[0]);
    const int epsilon_shift = int(in.immediate[1]);

    const Blocks blocks = cut(rows, n);
    const int epsilon_right = larger(-256, smaller(256, epsilon_shift)) - 2 * slots.f[x.slot];
    const wide_t rounded = round_shift(wide_t(epsilon_mantissa), epsilon_right);
    const wide_t epsilon = rounded > 1 ? rounded : wide_t(1);
    LayerNormFractions f;
    f.normalised = slots.f[normalised.slot];
    f.gamma = slots.f[gamma.slot];
    f.beta = slots.f[beta.slot];
    f.y = slots.f[y.slot];
    word_t gammas[kMaxWords];
    word_t betas[kMaxWords];
    load_row<0>(mem0, gamma.address, blocks.words, gammas);
    load_row<0>(mem0, beta.address, blocks.words, betas);
    Observed normalised_observed = nothing_observed();
    Statistics y_statistics = no_statistics();
    layernorm_blocks(mem0, mem1, mem2, x, normalised, y, rstd, blocks, epsilon, gammas, betas, f, normalised_observed,
                     y_statistics);
    if ((rows + kWideLanes - 1) / kWideLanes % 2 == 1) {
        write_word<0>(mem0, rstd.address + unsigned(words32(rows) - 1), zero_word());
    }
    record(slots, normalised.slot, normalised_observed);
    record(slots, y.slot, y_statistics, f.gamma + f.normalised);
}

}  // namespace peelvit

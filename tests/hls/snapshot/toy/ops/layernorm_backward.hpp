// g = dy * gamma; dx = round(rstd * (g - mean(g) - normalised * mean(g * normalised)) + residual); dgamma (+)= sum_rows dy * normalised; dbeta (+)= sum_rows dy. The slot of `rstd` is that of the input x.
#pragma once

#include "../functions.hpp"
#include "../sums.hpp"

namespace peelvit {

constexpr int kRstdReadWords = kBlockRows / kWideLanes;

// Sums over a row: of g, and of g * normalised at the fraction of g.
struct RowSums {
    wide_t plain;
    wide_t weighted;
};

// Fractions, by row kind where there are two.
struct LayerNormBackwardFractions {
    int dy[2], residual[2], dx[2];
    int gamma, normalised, x;
};

// The block of `normalised` and the words that hold its rows' rstd.
inline void load_normalised(const word_t* mem0, const Matrix& normalised, const Matrix& rstd, const Blocks& blocks,
                            int b, word_t block[kBlockWords], word_t rstd_words[kRstdReadWords]) {
    load_block<0>(mem0, normalised, blocks, b, block);
    const int first = first_row(blocks, b) / kWideLanes;
    const int last = (first_row(blocks, b) + rows_in(blocks, b) - 1) / kWideLanes;
load_rstd:
    for (int w = 0; w <= last - first; ++w) {
#pragma HLS loop_tripcount max = 16
        PIPELINE(w == 0, 1, kReadLatency);
        rstd_words[w] = read_word<0>(mem0, rstd.address + unsigned(first + w));
    }
}

inline void load_residual(const word_t* mem2, const Matrix& residual, bool has_residual, const Blocks& blocks, int b,
                          word_t block[kBlockWords]) {
    if (has_residual) load_block<2>(mem2, residual, blocks, b, block);
}

// Sums by row and by column; a short row is stretched to kSumDistance cycles so that additions to one sum stay apart.
inline void layernorm_backward_sums(const word_t gradients[kBlockWords], const word_t normals[kBlockWords],
                                    const word_t gammas[kMaxWords], const Blocks& blocks, int b, int split,
                                    int f_normalised, word_t kept_gradients[kBlockWords],
                                    word_t kept_normals[kBlockWords], RowSums row_sums[kBlockRows],
                                    ColumnSums& gamma_sums, ColumnSums& beta_sums) {
    const int steps = larger(blocks.words, kSumDistance);
    Cursor at = start_of_block();
    int place = 0;
    wide_t plain = 0;
    wide_t weighted = 0;
layernorm_backward_sums:
    for (int i = 0; i < rows_in(blocks, b) * steps; ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 16);
#pragma HLS dependence variable=gamma_sums type=inter direction=raw distance=4 dependent=true
#pragma HLS dependence variable=beta_sums type=inter direction=raw distance=4 dependent=true
        if (at.word < blocks.words) {
            const int kind = row_kind(first_row(blocks, b) + at.row, split);
            const word_t dy = gradients[place];
            const word_t normalised = normals[place];
            if (at.word == 0) {
                plain = 0;
                weighted = 0;
            }
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const bool is_padding = lane >= lanes_in(blocks, at.word);
                const wide_t gradient = is_padding ? wide_t(0) : wide_t(get16(dy, lane));
                const wide_t normal = get16(normalised, lane);
                const wide_t g = gradient * wide_t(get16(gammas[at.word], lane));
                plain += g;
                weighted += g * normal;
                gamma_sums[kind][at.word][lane] += gradient * normal;
                beta_sums[kind][at.word][lane] += gradient;
            }
            kept_gradients[place] = dy;
            kept_normals[place] = normalised;
            row_sums[at.row].plain = plain;
            row_sums[at.row].weighted = round_shift(weighted, f_normalised);
            ++place;
        }
        advance(at, steps);
    }
}

inline void layernorm_backward_rows(const word_t gradients[kBlockWords], const word_t normals[kBlockWords],
                                    const word_t residuals[kBlockWords], const word_t rstd_words[kRstdReadWords],
                                    const RowSums row_sums[kBlockRows], const word_t gammas[kMaxWords],
                                    const Blocks& blocks, int b, int split, bool has_residual,
                                    const LayerNormBackwardFractions& f, word_t dx_block[kBlockWords],
                                    Observed observed[2]) {
    const int rstd_start = first_row(blocks, b) / kWideLanes;
    Cursor at = start_of_block();
    Statistics statistics = no_statistics();
layernorm_backward_rows:
    for (int i = 0; i < words_in(blocks, b); ++i) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(i == 0, 1, 2 * kVectorDepth);
        const int row = first_row(blocks, b) + at.row;
        const int kind = row_kind(row, split);
        const int rstd = int(get32(rstd_words[row / kWideLanes - rstd_start], row % kWideLanes));
        const int exponent = larger(0, smaller(31, rstd >> 20));
        const int own_fraction = f.dy[kind] + f.gamma + 16 + exponent - f.x;
        const int fraction = has_residual ? reference_fraction(own_fraction, f.residual[kind]) : own_fraction;
        const RowSums sums = row_sums[at.row];
        const word_t dy = gradients[i];
        const word_t normalised = normals[i];
        if (at.word == 0) statistics = no_statistics();
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const wide_t g = wide_t(get16(dy, lane)) * wide_t(get16(gammas[at.word], lane));
            const wide_t projection = wide_t(get16(normalised, lane)) * sums.weighted;
            const wide_t centred = wide_t(blocks.columns) * g - sums.plain - round_shift(projection, f.normalised);
            const wide_t own = centred * wide_t(rstd & 0xFFFFF);
            const wide_t residual = has_residual ? wide_t(get16(residuals[i], lane)) : wide_t(0);
            acc[lane] = align(own, own_fraction, fraction) + align(residual, f.residual[kind], fraction);
        }
        dx_block[i] = store_word(acc, lanes_in(blocks, at.word), fraction - f.dx[kind], statistics);
        if (at.word == blocks.words - 1) observe(observed[kind], statistics, fraction);
        advance(at, blocks.words);
    }
}

// Where the operands that are streamed lie.
struct LayerNormBackwardOperands {
    Matrix dy, normalised, rstd, residual, dx;
    bool has_residual;
};

// `gammas` are there twice, one copy for each process that reads them.
inline void layernorm_backward_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const LayerNormBackwardOperands& at,
                                      const Blocks& blocks, int split, const word_t gammas[kMaxWords],
                                      const word_t gammas_again[kMaxWords], const LayerNormBackwardFractions& f,
                                      ColumnSums& gamma_sums, ColumnSums& beta_sums, Observed observed[2]) {
layernorm_backward_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        DATAFLOW(b == 0);
        word_t gradients[kBlockWords];
        word_t normals[kBlockWords];
        word_t kept_gradients[kBlockWords];
        word_t kept_normals[kBlockWords];
        word_t residuals[kBlockWords];
        word_t rstd_words[kRstdReadWords];
        word_t dx_block[kBlockWords];
        RowSums row_sums[kBlockRows];
        // These two skip a process, so a third copy keeps their loads from waiting.
#pragma HLS stream variable=residuals type=pipo depth=3
#pragma HLS stream variable=rstd_words type=pipo depth=3
        PROCESS(load_block<1>(mem1, at.dy, blocks, b, gradients));
        PROCESS(load_normalised(mem0, at.normalised, at.rstd, blocks, b, normals, rstd_words));
        PROCESS(load_residual(mem2, at.residual, at.has_residual, blocks, b, residuals));
        PROCESS(layernorm_backward_sums(gradients, normals, gammas, blocks, b, split, f.normalised, kept_gradients,
                                        kept_normals, row_sums, gamma_sums, beta_sums));
        PROCESS(layernorm_backward_rows(kept_gradients, kept_normals, residuals, rstd_words, row_sums, gammas_again,
                                        blocks, b, split, at.has_residual, f, dx_block, observed));
        PROCESS(store_block<2>(mem2, at.dx, blocks, b, dx_block));
    }
}

inline void layernorm_backward(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
    const Matrix dy = operand(in, 0);
    const Matrix normalised = operand(in, 1);
    const Matrix rstd = operand(in, 2);
    const Matrix gamma = operand(in, 3);
    const Matrix residual = operand(in, 4);
    const Matrix dx = operand(in, 5);
    const Matrix dgamma = operand(in, 6);
    const Matrix dbeta = operand(in, 7);
    const int rows = int(in.dimension[0]);
    const int split = int(in.dimension[1]);
    const int n = int(in.dimension[2]);
    const bool has_residual = (in.flags & 1u) != 0;
    const bool has_accumulate = (in.flags & 2u) != 0;

    const Blocks blocks = cut(rows, n);
    LayerNormBackwardFractions f;
    f.gamma = slots.f[gamma.slot];
    f.normalised = slots.f[normalised.slot];
    f.x = slots.f[rstd.slot];
    Observed observed[2];
#pragma HLS array_partition variable=observed type=complete
row_kinds:
    for (int kind = 0; kind < 2; ++kind) {
#pragma HLS unroll
        f.dy[kind] = slots.f[dy.slot + kind];
        f.residual[kind] = slots.f[residual.slot + kind];
        f.dx[kind] = slots.f[dx.slot + kind];
        observed[kind] = nothing_observed();
    }
    LayerNormBackwardOperands streamed;
    streamed.dy = dy;
    streamed.normalised = normalised;
    streamed.rstd = rstd;
    streamed.residual = residual;
    streamed.dx = dx;
    streamed.has_residual = has_residual;
    word_t gammas[kMaxWords];
    word_t gammas_again[kMaxWords];
    load_row<0>(mem0, gamma.address, blocks.words, gammas);
    load_row<0>(mem0, gamma.address, blocks.words, gammas_again);
    ColumnSums gamma_sums;
    ColumnSums beta_sums;
#pragma HLS array_partition variable=gamma_sums type=complete dim=1
#pragma HLS array_partition variable=gamma_sums type=complete dim=3
#pragma HLS array_partition variable=beta_sums type=complete dim=1
#pragma HLS array_partition variable=beta_sums type=complete dim=3
    clear(gamma_sums, blocks.words);
    clear(beta_sums, blocks.words);
    layernorm_backward_blocks(mem0, mem1, mem2, streamed, blocks, split, gammas, gammas_again, f, gamma_sums, beta_sums,
                              observed);
    record(slots, dx.slot, observed[0]);
    record(slots, dx.slot + 1, observed[1]);

    const Contraction to_gamma = contraction(rows, split, f.dy[0] + f.normalised, f.dy[1] + f.normalised);
    const Contraction to_beta = contraction(rows, split, f.dy[0], f.dy[1]);
    const int f_dgamma = slots.f[dgamma.slot];
    const int f_dbeta = slots.f[dbeta.slot];
    Statistics gamma_statistics = no_statistics();
    Statistics beta_statistics = no_statistics();
    store_sums(mem0, mem2, dgamma, 0, 1, n, gamma_sums, to_gamma, has_accumulate, f_dgamma, gamma_statistics);
    store_sums(mem0, mem2, dbeta, 0, 1, n, beta_sums, to_beta, has_accumulate, f_dbeta, beta_statistics);
    record(slots, dgamma.slot, gamma_statistics, to_gamma.fraction);
    record(slots, dbeta.slot, beta_statistics, to_beta.fraction);
}

}  // namespace peelvit

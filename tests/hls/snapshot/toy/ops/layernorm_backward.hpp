// g = dy * gamma; dx = round(rstd * (g - mean(g) - normalised * mean(g * normalised)) + residual); dgamma (+)= sum_rows dy * normalised; dbeta (+)= sum_rows dy. The slot of `rstd` is that of the input x.
#pragma once

#include "../functions.hpp"
#include "../gemm/panel.hpp"
#include "../streams.hpp"
#include "../sums.hpp"

namespace peelvit {

constexpr int kRstdReadWords = kStreamRows / kWideLanes;

// Sums over a row: of g, and of g * normalised at the fraction of g.
struct RowSums {
    acc_t plain;
    acc_t weighted;
};

// Fractions, by row kind where there are two.
struct LayerNormBackwardFractions {
    i9 dy[2], residual[2], dx[2];
    i9 gamma, normalised, x;
};

// A sum with `normalised` brought back to the other factor's fraction; `places` is 0 to 31.
inline acc_t without_fraction(wide_t sum, int places) {
    return low48(places > 0 ? round_right(sum, places) : sum);
}

// The weighted sum of a row at 31 bits more than `normalised` has, cut for the operands of multipliers. The projection
// on the normalised row is then 31 bits above the product's end whatever the fraction: no lane shifts.
struct Projection {
    u26 low, middle;
    i27 high;
};

inline Projection projection_of(acc_t weighted, int places) {
    const uwide_t mask = (1 << 26) - 1;
    const uwide_t raised = uwide_t(wide_t(wide_t(weighted) << (31 - places)));
    Projection by;
    by.low = u26(uwide_t(raised & mask));
    by.middle = u26(uwide_t(uwide_t(raised >> 26) & mask));
    by.high = i27(wide_t(weighted) >> (21 + places));
    return by;
}

inline acc_t projected(i16 normalised, const Projection& by) {
    const acc_t low = acc_t(multiply(normalised, by.low) + wide_t(1 << 30));
    const acc_t middle = acc_t(multiply(normalised, by.middle) + wide_t(low >> 26));
    const acc_t high = acc_t(multiply(normalised, by.high) + wide_t(middle >> 26));
    return low48(wide_t(wide_t(high) << 21) | wide_t(wide_t(middle & ((1 << 26) - 1)) >> 5));
}

// How a row's own gradient and its residual are joined: rounded both to the fraction of their sum, which reads
//     round(own * 2^-s) + residual * 2^16    where own is finer by 16 + s bits, s > 0,
//     own + residual * 2^d                   where it is finer by d bits,
//     own * 2^k + round(residual * 2^-j)     where it is coarser by k + j bits, k at most 16.
// The first is kept with the last bits of s below it, `places` of them, so that own is shifted by whole sixteens only;
// a power of two in a multiplier does all other shifts.
struct Joining {
    i34 factor;  // of own: rstd's mantissa, times 2^k
    int sixteens;
    int places;
    u17 power;  // of the residual
    bool is_finer, is_coarser;
    int half;      // that rounds own where it is finer
    int fraction;  // of the sum
};

inline Joining joining_of(u17 mantissa, int own, int residual, bool has_residual) {
    const int distance = narrow<11>(own - residual);
    Joining by;
    by.is_finer = has_residual && distance > kMaxSegmentSpread;
    by.is_coarser = has_residual && distance < 0;
    const int drop = narrow<11>(distance - kMaxSegmentSpread);
    const int beyond = natural<6>(unsigned(smaller(drop, 62) - 1));
    by.sixteens = by.is_finer ? beyond >> 4 : 0;
    by.places = by.is_finer ? (beyond & 15) + 1 : 0;
    by.half = (1 << by.places) >> 1;
    const int lift = by.is_coarser ? smaller(-distance, kMaxSegmentSpread) : 0;
    by.factor = i34(by.is_finer && drop > 62 ? wide_t(0) : wide_t(wide_t(mantissa) << narrow<6>(lift)));
    const int rest = larger(0, smaller(16, distance + 2 * kMaxSegmentSpread));
    const int power = by.is_finer ? by.places : (by.is_coarser ? rest : distance);
    by.power = u17(1) << u6(unsigned(natural<5>(unsigned(has_residual ? power : 0))));
    by.fraction = narrow<11>(own + lift - (by.is_finer ? drop : 0));
    return by;
}

inline wide_t joined(acc_t centred, i16 residual, const Joining& by) {
    const wide_t own = wide_t(multiply(centred, by.factor)) >> (by.sixteens << 4);
    const i34 moved = i34(multiply(residual, by.power) + wide_t(by.is_coarser ? 1 << 15 : 0));
    const wide_t finer = wide_t(wide_t(moved) << 16) | wide_t(by.half);
    return own + (by.is_finer ? finer : (by.is_coarser ? wide_t(moved >> 16) : wide_t(moved)));
}

// How a sum of 64 bits is stored whose last `places` bits are below those of the accumulator that counts: they take part
// in the rounding of a right shift, not in a left shift, which is a product.
struct FitJoined {
    u6 right;
    u17 left;         // two to its power, behind it
    uwide_t outside;  // magnitude from which on a value does not fit
};

inline FitJoined fit_joined_of(int shift, int places) {
    const int from = narrow<7>(smaller(larger(shift, -15), 63));
    const int right = narrow<8>(from > 0 ? from - 1 + places : places);
    FitJoined by;
    by.right = u6(unsigned(from > 62 ? 63 : smaller(right, 63)));
    by.left = u17(1) << u6(unsigned(narrow<6>(from > 0 ? 0 : 1 - from)));
    by.outside = uwide_t(1) << u6(unsigned(narrow<7>(smaller(from + 15 + places, 63))));
    return by;
}

inline i16 fit16(wide_t value, const FitJoined& by, Statistics& seen) {
    const bool is_negative = value < 0;
    const uwide_t magnitude = magnitude_of(value);
    const i18 near = i18(value >> by.right);
    const i18 twice = i18(multiply(near, by.left));
    const i18 rounded = i18((twice + 1) >> 1);
    const bool saturates = magnitude >= by.outside || rounded > 32767 || rounded < -32767;
    seen.bits |= magnitude;
    seen.saturations += saturates ? 1 : 0;
    return saturates ? (is_negative ? i16(-32767) : i16(32767)) : i16(rounded);
}

// The lanes of padding hold zeros.
inline word_t fit_joined(const wide_t sums[kLanes], const FitJoined& by, Statistics& statistics) {
    word_t word = zero_word();
    Statistics seen = no_statistics();
    for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
        put16(word, lane, fit16(sums[lane], by, seen));
    }
    statistics.bits |= seen.bits;
    statistics.saturations += seen.saturations & 15u;
    return word;
}

// The words that hold the rows' rstd, then the block of `normalised`. A block begins at a whole word of rstd.
inline void load_normalised(const word_t* mem0, const Matrix& normalised, const Matrix& rstd, const Blocks& blocks,
                            int b, word_t stream[kStreamWords], word_t rstd_words[kRstdReadWords]) {
    const unsigned first = rstd.address + unsigned(first_row(blocks, b) / kWideLanes);
load_rstd:
    for (int w = 0; w < (rows_in(blocks, b) + kWideLanes - 1) / kWideLanes; ++w) {
#pragma HLS loop_tripcount max = 64
        PIPELINE(w == 0, 1, kReadLatency);
        rstd_words[w] = read_word<0>(mem0, first + unsigned(w));
    }
    load_stream<0>(mem0, normalised, blocks, b, stream);
}

inline void load_residual(const word_t* mem2, const Matrix& residual, bool has_residual, const Blocks& blocks, int b,
                          word_t stream[kStreamWords]) {
    if (has_residual) load_stream<2>(mem2, residual, blocks, b, stream);
}

// Sums by row and by column; a short row is stretched to kSumDistance cycles so that additions to one sum stay apart.
inline void layernorm_backward_sums(const word_t gradients[kStreamWords], const word_t normals[kStreamWords],
                                    const word_t gammas[kMaxWords], const Blocks& blocks, int b, int split,
                                    int f_normalised, word_t kept_gradients[kStreamWords],
                                    word_t kept_normals[kStreamWords], RowSums row_sums[kStreamRows],
                                    ColumnSums& gamma_sums, ColumnSums& beta_sums) {
    const int steps = larger(blocks.words, kSumDistance);
    const int cycles = short_product(rows_in(blocks, b), steps);
    Cursor at = start_of_block();
    int place = 0;
    acc_t plain = 0;
    acc_t weighted[2] = {0, 0};  // its first factor's lower and upper 16 bits
#pragma HLS array_partition variable=weighted type=complete
layernorm_backward_sums:
    for (int i = 0; i < cycles; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 16);
#pragma HLS dependence variable=gamma_sums type=inter direction=raw distance=4 dependent=true
#pragma HLS dependence variable=beta_sums type=inter direction=raw distance=4 dependent=true
        if (at.word < blocks.words) {
            const int row = first_row(blocks, b) + at.row;
            const int sums_of = place_of(row_kind(row, split), at.word);
            const bool opens = opens_sums(row, split);
            const word_t dy = gradients[place];
            const word_t normalised = normals[place];
            if (at.word == 0) {
                plain = 0;
                weighted[0] = 0;
                weighted[1] = 0;
            }
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const bool is_padding = lane >= lanes_in(blocks, at.word);
                const i16 gradient = is_padding ? i16(0) : get16(dy, lane);
                const i16 gamma = get16(gammas[at.word], lane);
                const i32 to_gamma = i32(multiply(gradient, get16(normalised, lane)));
                plain += multiply(gradient, gamma);
                weighted[0] += multiply(u17(unsigned(to_gamma) & 0xFFFF), gamma);
                weighted[1] += multiply(i16(to_gamma >> 16), gamma);
                gamma_sums[sums_of][lane] = (opens ? acc_t(0) : gamma_sums[sums_of][lane]) + to_gamma;
                beta_sums[sums_of][lane] = acc_t((opens ? i33(0) : i33(beta_sums[sums_of][lane])) + gradient);
            }
            kept_gradients[place] = dy;
            kept_normals[place] = normalised;
            if (ends_row(at, blocks)) {
                RowSums sums;
                sums.plain = plain;
                sums.weighted = without_fraction(wide_t(wide_t(weighted[1]) << 16) + weighted[0], f_normalised);
                row_sums[at.row] = sums;
            }
            place = natural<13>(unsigned(place + 1));
        }
        advance(at, steps);
    }
}

inline void layernorm_backward_rows(const word_t gradients[kStreamWords], const word_t normals[kStreamWords],
                                    const word_t residuals[kStreamWords], const word_t rstd_words[kRstdReadWords],
                                    const RowSums row_sums[kStreamRows], const word_t gammas[kMaxWords],
                                    const Blocks& blocks, int b, int split, bool has_residual, bool keeps,
                                    const LayerNormBackwardFractions& f, word_t dx_stream[kStreamWords],
                                    RowPanel& panel, Observed observed[2]) {
    const i18 columns = i18(narrow<13>(blocks.columns));
    const int words = words_in(blocks, b);
    Cursor at = start_of_block();
    Statistics statistics = no_statistics();
    RowSums sums;
    word_t rstd_word = zero_word();
    PanelPlace kept = place_of_row(0);
layernorm_backward_rows:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, blocks.words + 2 * kVectorDepth);  // the first row's sums are known after so many words
// Two steps of a word that are in one memory lie apart there.
#pragma HLS dependence variable=panel type=intra dependent=false
#pragma HLS dependence variable=panel type=inter dependent=false
        if (at.word == 0) {
            kept = place_of_row(first_row(blocks, b) + at.row);
            sums = row_sums[at.row];
            statistics = no_statistics();
            if (at.row % kWideLanes == 0) rstd_word = rstd_words[at.row / kWideLanes];
        }
        const int kind = row_kind(first_row(blocks, b) + at.row, split);
        const int rstd = int(get32(rstd_word, at.row % kWideLanes));
        const u17 mantissa = u17(unsigned(rstd & 0x1FFFF));
        const int exponent = narrow<6>(larger(0, smaller(31, rstd >> 20)));
        const int own_fraction = narrow<10>(f.dy[kind] + f.gamma + 16 + exponent - f.x);
        const Joining joining = joining_of(mantissa, own_fraction, f.residual[kind], has_residual);
        const FitJoined to_dx = fit_joined_of(joining.fraction - f.dx[kind], joining.places);
        const Projection projection = projection_of(sums.weighted, f.normalised);
        const word_t dy = gradients[i];
        const word_t normalised = normals[i];
        const word_t residual = has_residual ? residuals[i] : zero_word();
        const word_t gamma = gammas[at.word];
        wide_t acc[kLanes];
#pragma HLS array_partition variable=acc type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            const bool is_padding = lane >= lanes_in(blocks, at.word);
            const i27 wide_gamma = i27(multiply(columns, get16(gamma, lane)));
            const acc_t scaled = acc_t(multiply(get16(dy, lane), wide_gamma) - wide_t(sums.plain));
            const acc_t centred = low48(wide_t(scaled) - wide_t(projected(get16(normalised, lane), projection)));
            acc[lane] = joined(is_padding ? acc_t(0) : centred, get16(residual, lane), joining);
        }
        const word_t dx = fit_joined(acc, to_dx, statistics);
        dx_stream[i] = dx;
        keep_row(panel, dx, kept, keeps);
        advance(kept);
        if (ends_row(at, blocks)) observe(observed[kind], statistics, joining.fraction, joining.places);
        advance(at, blocks.words);
    }
}

// Where the operands that are streamed lie.
struct LayerNormBackwardOperands {
    Matrix dy, normalised, rstd, residual, dx;
    bool has_residual;
    bool keeps;  // dx on chip as well: the next GEMM may read it
};

// `gammas` are there twice, one copy for each process that reads them.
inline void layernorm_backward_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const LayerNormBackwardOperands& at,
                                      const Blocks& blocks, int split, const word_t gammas[kMaxWords],
                                      const word_t gammas_again[kMaxWords], const LayerNormBackwardFractions& f,
                                      RowPanel& panel, ColumnSums& gamma_sums, ColumnSums& beta_sums, Observed observed[2]) {
layernorm_backward_blocks:
    for (int b = 0; b < blocks.count; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t gradients[kStreamWords];
        word_t normals[kStreamWords];
        word_t kept_gradients[kStreamWords];
        word_t kept_normals[kStreamWords];
        word_t residuals[kStreamWords];
        word_t rstd_words[kRstdReadWords];
        word_t dx_stream[kStreamWords];
        RowSums row_sums[kStreamRows];
#pragma HLS stream variable=gradients type=fifo depth=16
#pragma HLS bind_storage variable=gradients type=fifo impl=bram
#pragma HLS stream variable=normals type=fifo depth=16
#pragma HLS bind_storage variable=normals type=fifo impl=bram
        // A row waits here until its sums are known.
#pragma HLS stream variable=kept_gradients type=fifo depth=32
#pragma HLS stream variable=kept_normals type=fifo depth=32
#pragma HLS stream variable=residuals type=fifo depth=16
#pragma HLS bind_storage variable=residuals type=fifo impl=bram
#pragma HLS stream variable=rstd_words type=fifo depth=64
#pragma HLS stream variable=dx_stream type=fifo depth=16
#pragma HLS bind_storage variable=dx_stream type=fifo impl=bram
#pragma HLS stream variable=row_sums type=fifo depth=4
#pragma HLS aggregate variable=row_sums
        PROCESS(load_stream<1>(mem1, at.dy, blocks, b, gradients));
        BESIDE(load_normalised(mem0, at.normalised, at.rstd, blocks, b, normals, rstd_words));
        BESIDE(load_residual(mem2, at.residual, at.has_residual, blocks, b, residuals));
        PROCESS(layernorm_backward_sums(gradients, normals, gammas, blocks, b, split, f.normalised, kept_gradients,
                                        kept_normals, row_sums, gamma_sums, beta_sums));
        PROCESS(layernorm_backward_rows(kept_gradients, kept_normals, residuals, rstd_words, row_sums, gammas_again,
                                        blocks, b, split, at.has_residual, at.keeps, f, dx_stream, panel, observed));
        PROCESS(store_stream<2>(mem2, at.dx, blocks, b, dx_stream));
    }
}

inline void layernorm_backward(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, Held& held,
                               Slots& slots) {
    const Matrix dy = operand(in, 0);
    const Matrix normalised = operand(in, 1);
    const Matrix rstd = operand(in, 2);
    const Matrix gamma = operand(in, 3);
    const Matrix residual = operand(in, 4);
    const Matrix dx = operand(in, 5);
    const Matrix dgamma = operand(in, 6);
    const Matrix dbeta = operand(in, 7);
    const int rows = natural<13>(in.dimension[0]);
    const int split = natural<13>(in.dimension[1]);
    const int n = natural<9>(in.dimension[2]);
    const bool has_residual = (in.flags & 1u) != 0;
    const bool has_accumulate = (in.flags & 2u) != 0;

    const Blocks blocks = cut_streams(rows, n, kCutWords);
    LayerNormBackwardFractions f;
    f.gamma = slots.f[gamma.slot];
    const int f_normalised = slots.f[normalised.slot];
    f.normalised = narrow<6>(larger(0, smaller(31, f_normalised)));
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
    streamed.keeps = fits_panel(rows, n);
    word_t gammas[kMaxWords];
    word_t gammas_again[kMaxWords];
    load_two_rows(mem0, gamma.address, mem1, gamma.address, blocks.words, gammas, gammas_again);
    ColumnSums gamma_sums;
    ColumnSums beta_sums;
#pragma HLS array_reshape variable=gamma_sums type=complete dim=2
#pragma HLS bind_storage variable=gamma_sums type=ram_s2p impl=bram
#pragma HLS array_reshape variable=beta_sums type=complete dim=2
#pragma HLS bind_storage variable=beta_sums type=ram_s2p impl=bram
    layernorm_backward_blocks(mem0, mem1, mem2, streamed, blocks, split, gammas, gammas_again, f, panel, gamma_sums,
                              beta_sums, observed);
    held.rows = held_matrix(streamed.keeps, dx, rows, n);
    record(slots, dx.slot, observed[0]);
    record(slots, dx.slot + 1, observed[1]);

    const Contraction to_gamma = contraction(rows, split, f.dy[0] + f_normalised, f.dy[1] + f_normalised);
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

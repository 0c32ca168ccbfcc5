// s = sum x, N = n * sum x^2 - s^2 + eps, normalised = round((n * x - s) / sqrt(N)), y = round(gamma * normalised + beta); with SAVE, for the backward pass, saved keeps normalised and rstd 1 / sqrt(N) as ``e << 20 | mantissa``.
#pragma once

#include "../functions.hpp"
#include "../gemm/panel.hpp"
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

// Two rows at once, one of each share of a block. With the saved rows there are four streams for three ports: those of
// the first share have one each, those of the second, which is a third then, the last one, one after the other.
constexpr int kNormWays = 2;

struct LayerNormJob {
    Matrix x, y, saved, rstd;
    Blocks blocks;
    Shares shares;
    bool lifts;  // by two bits, where n is a multiple of 4: n * mantissa then has two bits less
    bool saves;
    bool keeps;  // y on chip as well: the next GEMM may read it
    wide_t epsilon;
    int f_normalised, f_gamma, f_y;
    PowerShift beta;  // to the fraction of gamma * normalised
};

// rstd of the last rows, on its way to a whole word.
struct RstdLine {
    word_t word;
};

// One element on its way: normalised, then scaled and moved. A row is at most 2^11 long, so 44 bits hold the first.
inline i44 centred(i18 lifted, u26 scale, i44 offset) { return i44(multiply(lifted, scale) - wide_t(offset)); }
inline acc_t affine(i16 gamma, i16 normalised, acc_t beta) { return acc_t(multiply(gamma, normalised) + wide_t(beta)); }

inline void layernorm_sums(const word_t first[kStreamWords], const word_t second[kStreamWords], const LayerNormJob& job,
                           int b, word_t kept_first[kStreamWords], word_t kept_second[kStreamWords],
                           PowerSums sums_first[kStreamRows], PowerSums sums_second[kStreamRows]) {
    const int words = short_product(first_part_of(job.shares, b).rows, job.blocks.words);
    const int second_words = short_product(second_rows(job.shares, b), job.blocks.words);
    Cursor at = start_of_block();
    PowerSums running[kNormWays];
#pragma HLS array_partition variable=running type=complete
layernorm_sums:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 8);
        const bool has_second = i < second_words;
        word_t x[kNormWays];
#pragma HLS array_partition variable=x type=complete
        x[0] = first[i];
        x[1] = zero_word();
        kept_first[i] = x[0];
        if (has_second) {
            x[1] = second[i];
            kept_second[i] = x[1];
        }
        for (int way = 0; way < kNormWays; ++way) {
#pragma HLS unroll
            wide_t sum = at.word == 0 ? wide_t(0) : wide_t(running[way].sum);
            wide_t square = at.word == 0 ? wide_t(0) : wide_t(running[way].square);
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const i16 value = lane < lanes_in(job.blocks, at.word) ? get16(x[way], lane) : i16(0);
                sum += value;
                square += multiply(value, value);
            }
            running[way].sum = i32(sum);
            running[way].square = acc_t(square);
        }
        if (ends_row(at, job.blocks)) {
            sums_first[at.row] = running[0];
            if (has_second) sums_second[at.row] = running[1];
        }
        advance(at, job.blocks.words);
    }
}

// The rows of both parts in turn, as long as there are two.
inline void layernorm_moments(const PowerSums sums_first[kStreamRows], const PowerSums sums_second[kStreamRows],
                              const LayerNormJob& job, int b, Moments moments_first[kStreamRows],
                              Moments moments_second[kStreamRows], i32 rstd_first[kStreamRows],
                              i32 rstd_second[kStreamRows]) {
    const u17 columns = u17(unsigned(job.blocks.columns));
    const u17 few_columns = job.lifts ? u17(columns >> 2) : columns;
    const int rows = rows_in(job.blocks, b);
    const int pairs = second_rows(job.shares, b);
layernorm_moments:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, kMomentsInterval, job.blocks.words + kRsqrtDepth);  // the first row is complete after so many words
        const bool is_paired = i >> 1 < pairs;
        const bool is_second = is_paired && i % 2 == 1;
        const int row = is_paired ? i >> 1 : i - pairs;
        const PowerSums own = is_second ? sums_second[row] : sums_first[row];
        const wide_t spread = multiply(columns, own.square) - multiply(own.sum, own.sum);
        const Rsqrt root = rsqrt(spread + job.epsilon);
        const u17 mantissa = u17(unsigned(root.mantissa));
        const i32 rstd = i32(root.exponent << kRstdShift | root.mantissa);
        Moments result;
        result.scale = u26(unsigned(multiply(few_columns, mantissa)));
        result.offset = i44(multiply(own.sum, mantissa));
        result.fraction = u6(unsigned(16 + root.exponent));
        if (is_second) {
            moments_second[row] = result;
            if (job.saves) rstd_second[row] = rstd;
        } else {
            moments_first[row] = result;
            if (job.saves) rstd_first[row] = rstd;
        }
    }
}

inline void layernorm_rows(const word_t kept_first[kStreamWords], const word_t kept_second[kStreamWords],
                           const Moments moments_first[kStreamRows], const Moments moments_second[kStreamRows],
                           const LayerNormJob& job, int b, const word_t gammas[kMaxWords], const word_t betas[kMaxWords],
                           word_t y_first[kStreamWords], word_t y_second[kStreamWords], word_t saved_first[kStreamWords],
                           word_t saved_second[kStreamWords], RowPanel& panel, Observed& normalised_observed,
                           Statistics& y_statistics) {
    const Part first_part = first_part_of(job.shares, b);
    const Part second_part = second_part_of(job.shares, b);
    const int words = short_product(first_part.rows, job.blocks.words);
    const int second_words = short_product(second_part.rows, job.blocks.words);
    const Fit16 to_y = fit16_of(narrow<11>(job.f_gamma + job.f_normalised - job.f_y));
    Cursor at = start_of_block();
    Moments row[kNormWays];
    acc_t row_bits[kNormWays];
    PanelPlace kept[kNormWays];
#pragma HLS array_partition variable=kept type=complete
#pragma HLS array_partition variable=row type=complete
#pragma HLS array_partition variable=row_bits type=complete
layernorm_rows:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 2 * kVectorDepth);
// Two steps of a word that are in one memory lie apart there.
#pragma HLS dependence variable=panel type=intra dependent=false
#pragma HLS dependence variable=panel type=inter dependent=false
        const bool has_second = i < second_words;
        word_t x[kNormWays];
        word_t normalised[kNormWays];
        word_t y[kNormWays];
#pragma HLS array_partition variable=x type=complete
#pragma HLS array_partition variable=normalised type=complete
#pragma HLS array_partition variable=y type=complete
        x[0] = kept_first[i];
        x[1] = has_second ? kept_second[i] : zero_word();
        if (at.word == 0) {
            row[0] = moments_first[at.row];
            if (has_second) row[1] = moments_second[at.row];
            row_bits[0] = 0;
            row_bits[1] = 0;
            kept[0] = place_of_row(first_part.first + at.row);
            kept[1] = place_of_row(second_part.first + at.row);
        }
        const word_t gamma = gammas[at.word];
        acc_t beta[kLanes];
#pragma HLS array_partition variable=beta type=complete
        for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
            beta[lane] = acc_t(shift_by_power(get16(betas[at.word], lane), job.beta));
        }
        const int all_lanes = lanes_in(job.blocks, at.word);
        Seen y_seen = nothing_seen();
        int saturations = 0;
        for (int way = 0; way < kNormWays; ++way) {
#pragma HLS unroll
            const int lanes = way == 0 || has_second ? all_lanes : 0;
            const int fraction = int(row[way].fraction);
            const Fit16 to_normalised = fit16_of(narrow<10>(fraction - job.f_normalised));
            acc_t acc[kLanes];
            acc_t scaled[kLanes];
#pragma HLS array_partition variable=acc type=complete
#pragma HLS array_partition variable=scaled type=complete
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                const i18 value = i18(get16(x[way], lane));
                acc[lane] = centred(job.lifts ? i18(value << 2) : value, row[way].scale, row[way].offset);
            }
            Seen seen = nothing_seen();
            normalised[way] = fit_word(acc, lanes, to_normalised, seen);
            row_bits[way] |= seen.bits;
            saturations += seen.saturations;
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                scaled[lane] = affine(get16(gamma, lane), get16(normalised[way], lane), beta[lane]);
            }
            y[way] = fit_word(scaled, lanes, to_y, y_seen);
            if (ends_row(at, job.blocks)) observe_peak(normalised_observed, u49(row_bits[way]), fraction, 0);
        }
        normalised_observed.saturations += unsigned(saturations);
        add(y_statistics, y_seen);
        y_first[i] = y[0];
        if (has_second) y_second[i] = y[1];
        keep_rows(panel, y, kept, job.keeps, has_second);
        advance(kept[0]);
        advance(kept[1]);
        if (job.saves) {
            saved_first[i] = normalised[0];
            if (has_second) saved_second[i] = normalised[1];
        }
        advance(at, job.blocks.words);
    }
}

inline void store_saved(word_t* mem0, const LayerNormJob& job, int b, const word_t stream[kStreamWords]) {
    if (job.saves) store_first<0>(mem0, job.saved, job.shares, b, stream);
}

// Behind the last row zeros fill the line and, where lines come in pairs, the one after it.
inline void store_rstd(word_t* mem2, const LayerNormJob& job, int b, const i32 rstd_first[kStreamRows],
                       const i32 rstd_second[kStreamRows], RstdLine& line) {
    const Part all = part_of(job.blocks, b);
    const int first_rows = first_part_of(job.shares, b).rows;
    const bool is_last = b + 1 == job.blocks.count;
    const int padding = is_last ? -job.blocks.rows & (2 * kWideLanes - 1) : 0;
    const int rows = job.saves ? narrow<10>(all.rows + padding) : 0;
    unsigned row = unsigned(natural<17>(unsigned(all.first)));
store_rstd:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 263
        PIPELINE(i == 0, 1, kCopyDepth);
        const unsigned lane = row % kWideLanes;
        i32 rstd = 0;
        if (i < first_rows) {
            rstd = rstd_first[i];
        } else if (i < all.rows) {
            rstd = rstd_second[i - first_rows];
        }
        put32(line.word, int(lane), rstd);
        if (lane == kWideLanes - 1) write_word<2>(mem2, job.rstd.address + row / kWideLanes, line.word);
        row = unsigned(natural<17>(row + 1));
    }
}

// Of the second part y and then the saved rows, which wait meanwhile; last rstd of all rows.
inline void store_second(word_t* mem2, const LayerNormJob& job, int b, const word_t y[kStreamWords],
                         const word_t saved[kStreamWords], const i32 rstd_first[kStreamRows],
                         const i32 rstd_second[kStreamRows], RstdLine& line) {
    const Part part = second_part_of(job.shares, b);
store_kinds:
    for (int kind = 0; kind < (job.saves ? 2 : 1); ++kind) {
#pragma HLS loop_tripcount max = 2
        const Bursts bursts = bursts_of(kind == 0 ? job.y : job.saved, part, job.blocks.words);
        int place = 0;
        unsigned address = bursts.address;
    store_second_bursts:
        for (int i = 0; i < bursts.count; ++i) {
#pragma HLS loop_tripcount max = 128
        store_second_words:
            for (int w = 0; w < bursts.words; ++w) {
#pragma HLS loop_tripcount max = 256
                PIPELINE(w == 0, 1, kCopyDepth);
                const int at = narrow<14>(place + w);
                write_word<2>(mem2, address + unsigned(w), kind == 0 ? y[at] : saved[at]);
            }
            place += bursts.words;
            address += bursts.pitch;
        }
    }
    store_rstd(mem2, job, b, rstd_first, rstd_second, line);
}

inline void layernorm_blocks(word_t* mem0, word_t* mem1, word_t* mem2, const LayerNormJob& job, int blocks,
                             const word_t gammas[kMaxWords], const word_t betas[kMaxWords], RowPanel& panel,
                             Observed& normalised_observed, Statistics& y_statistics) {
    RstdLine line;
    line.word = zero_word();
layernorm_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t first[kStreamWords];
        word_t second[kStreamWords];
        word_t kept_first[kStreamWords];
        word_t kept_second[kStreamWords];
        word_t y_first[kStreamWords];
        word_t y_second[kStreamWords];
        word_t saved_first[kStreamWords];
        word_t saved_second[kStreamWords];
        PowerSums sums_first[kStreamRows];
        PowerSums sums_second[kStreamRows];
        Moments moments_first[kStreamRows];
        Moments moments_second[kStreamRows];
        i32 rstd_first[kStreamRows];
        i32 rstd_second[kStreamRows];
#pragma HLS stream variable=first type=fifo depth=16
#pragma HLS bind_storage variable=first type=fifo impl=bram
#pragma HLS stream variable=second type=fifo depth=16
#pragma HLS bind_storage variable=second type=fifo impl=bram
        // A row waits here until its moments are known.
#pragma HLS stream variable=kept_first type=fifo depth=32
#pragma HLS stream variable=kept_second type=fifo depth=32
#pragma HLS stream variable=y_first type=fifo depth=16
#pragma HLS bind_storage variable=y_first type=fifo impl=bram
#pragma HLS stream variable=y_second type=fifo depth=16
#pragma HLS bind_storage variable=y_second type=fifo impl=bram
#pragma HLS stream variable=saved_first type=fifo depth=16
#pragma HLS bind_storage variable=saved_first type=fifo impl=bram
        // All of a third of a block: y goes first.
#pragma HLS stream variable=saved_second type=fifo depth=64
#pragma HLS stream variable=sums_first type=fifo depth=4
#pragma HLS stream variable=sums_second type=fifo depth=4
#pragma HLS stream variable=moments_first type=fifo depth=4
#pragma HLS stream variable=moments_second type=fifo depth=4
        // All of a block: they go last.
#pragma HLS stream variable=rstd_first type=fifo depth=256
#pragma HLS stream variable=rstd_second type=fifo depth=128
#pragma HLS aggregate variable=sums_first
#pragma HLS aggregate variable=sums_second
#pragma HLS aggregate variable=moments_first
#pragma HLS aggregate variable=moments_second
        PROCESS(load_first<1>(mem1, job.x, job.shares, b, first));
        BESIDE(load_second<2>(mem2, job.x, job.shares, b, second));
        PROCESS(layernorm_sums(first, second, job, b, kept_first, kept_second, sums_first, sums_second));
        PROCESS(layernorm_moments(sums_first, sums_second, job, b, moments_first, moments_second, rstd_first,
                                  rstd_second));
        PROCESS(layernorm_rows(kept_first, kept_second, moments_first, moments_second, job, b, gammas, betas, y_first,
                               y_second, saved_first, saved_second, panel, normalised_observed, y_statistics));
        PROCESS(store_first<1>(mem1, job.y, job.shares, b, y_first));
        BESIDE(store_saved(mem0, job, b, saved_first));
        BESIDE(store_second(mem2, job, b, y_second, saved_second, rstd_first, rstd_second, line));
    }
}

inline void layernorm(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, RowPanel& panel, Held& held,
                      Slots& slots) {
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
    job.lifts = n % 4 == 0;
    job.saves = has_save;
    job.keeps = fits_panel(rows, n);
    job.blocks = cut_streams(rows, n, has_save ? kCutWords : 2 * kCutWords);  // saved rows of a third of a block wait
    job.shares = shares_of(job.blocks, has_save, job.keeps);
    job.epsilon = rounded > 1 ? rounded : wide_t(1);
    job.f_normalised = slots.f[normalised.slot];
    job.f_gamma = slots.f[gamma.slot];
    job.f_y = slots.f[y.slot];
    job.beta = power_shift_of(larger(slots.f[beta.slot] - job.f_gamma - job.f_normalised, -kMaxAlign));
    word_t gammas[kMaxWords];
    word_t betas[kMaxWords];
    load_two_rows(mem0, gamma.address, mem1, beta.address, job.blocks.words, gammas, betas);
    Observed normalised_observed = nothing_observed();
    Statistics y_statistics = no_statistics();
    layernorm_blocks(mem0, mem1, mem2, job, job.blocks.count, gammas, betas, panel, normalised_observed, y_statistics);
    held.rows = held_matrix(job.keeps, y, rows, n);
    record(slots, normalised.slot, normalised_observed);
    record(slots, y.slot, y_statistics, job.f_gamma + job.f_normalised);
}

}  // namespace peelvit

// What becomes of finished sums: the epilogue, rounding and storing.
#pragma once

#include "../functions.hpp"
#include "accumulate.hpp"

namespace peelvit {

constexpr int kFinishDepth = 24;

struct GemmStatistics {
    Statistics out[2];
    Statistics pre;
    Statistics bias;
};

inline void merge(Statistics& statistics, const Statistics& seen) {
    statistics.bits |= seen.bits;
    statistics.saturations += seen.saturations;
}

// `store` of 16 or 32 bits through one shifter, that of 32 bits: what does not fit 16 saturates all the same.
inline wide_t store_either(wide_t value, const Shift& by, bool is_wide, Statistics& statistics) {
    statistics.bits |= uwide_t(value ^ (value >> 63));
    const wide_t rounded = shift_to_32(value, by);
    const wide_t kept = saturate(rounded, is_wide ? 32 : 16);
    if (kept != rounded) ++statistics.saturations;
    return kept;
}

// Fractions of the rows of a group.
struct Epilogue {
    int fraction, f_addend, f_out;
    Shift stored;
};

inline Epilogue epilogue_of(const GemmJob& job, int group) {
    Epilogue epilogue;
    epilogue.fraction = job.fraction[group];
    epilogue.f_addend = job.accumulates ? job.f_out[group] : job.f_residual[group];
    epilogue.stored = shift_of(job.fraction[group] - (job.has_gelu ? job.f_pre : job.f_out[group]), 32);
    epilogue.f_out = job.f_out[group];
    return epilogue;
}

// One element from its sum. With GELU its input if `is_input`, else its value. `addend` is a residual or the gradient
// that is added to.
inline wide_t element(const GemmJob& job, const Epilogue& epilogue, wide_t sum, i16 bias, i32 addend, i16 saved, bool is_input,
                      Statistics& statistics) {
#pragma HLS inline
    wide_t acc = sum;
    if (job.has_gelu_backward) acc = multiply(acc, i18(gelu_slope(saved, job.f_pre)));
    if (job.has_bias) acc = acc + align(wide_t(bias), job.f_bias, epilogue.fraction);
    if (job.has_residual || job.accumulates) acc = acc + align(wide_t(addend), epilogue.f_addend, epilogue.fraction);
    Statistics seen = no_statistics();
    const wide_t stored = store_either(acc, epilogue.stored, job.form == kTn, seen);
    if (!job.has_gelu || is_input) {
        merge(statistics, seen);
        return stored;
    }
    return store(gelu_value(i16(stored), job.f_pre), kGeluBits - epilogue.f_out, 16, statistics);
}

// Each port writes its part of a row. With GELU a row is written twice: the inputs, then the values. Weight gradients
// are int32, two words for eight columns.
inline void store_rows(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const FinishedSums& finished,
                       const ExtraBuffer& extra, const SavedBuffer& saved, GemmStatistics& statistics) {
    const bool is_wide = job.form == kTn;
    const int width = is_wide ? 2 : 1;  // words for eight columns
    const int beats = width * port_words(step.columns);
    const int first_pass = job.has_gelu ? 0 : 1;
    const int rows = step.closes_sum ? step.rows : 0;
store_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 20
        const int row = step.row + i;
        const int group = row_group(job, row);
        const Epilogue epilogue = epilogue_of(job, group);
    store_passes:
        for (int pass = first_pass; pass < 2; ++pass) {
#pragma HLS loop_tripcount max = 2
            const bool is_input = pass == 0;
            const unsigned pitch = unsigned(is_input ? job.pre.pitch : job.out.pitch);
            const unsigned base = (is_input ? job.pre.address : job.out.address) + unsigned(row) * pitch + unsigned(width * (step.column / kLanes));
        store_words:
            for (int beat = 0; beat < beats; ++beat) {
#pragma HLS loop_tripcount max = 2
                PIPELINE(i == 0 && pass == first_pass && beat == 0, 1, kFinishDepth);
                const int w = is_wide ? beat >> 1 : beat;
                const int half = is_wide ? beat & 1 : 0;
                word_t word[kPorts];
#pragma HLS array_partition variable=word type=complete
                Statistics seen = no_statistics();
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    const word_t bias = extra[port][w];
                    const word_t residual = extra[port][(1 + i) * kPortWords + w];
                    const word_t before = saved[port][i * kPortWords + w];
                    const word_t old = half == 0 ? residual : before;
                    const bool counts = is_first_port(port, w, step.columns);
                    word[port] = zero_word();
                    for (int l = 0; l < kLanes; ++l) {
#pragma HLS unroll
                        const int column = kLanes * (port_start(port, step.columns) + w) + l;
                        if (column < step.columns && (!is_wide || l / kWideLanes == half)) {
                            const wide_t sum = finished[i * kPortWords + w][kLanes * port + l];
                            const i32 addend = is_wide ? get32(old, l % kWideLanes) : i32(get16(residual, l));
                            Statistics own = no_statistics();
                            const wide_t value = element(job, epilogue, sum, get16(bias, l), addend, get16(before, l), is_input, own);
                            if (counts) merge(seen, own);
                            if (is_wide)
                                put32(word[port], l % kWideLanes, i32(value));
                            else
                                put16(word[port], l, i16(value));
                        }
                    }
                }
                merge(is_input ? statistics.pre : statistics.out[group], seen);
                write_word<0>(mem0, base + unsigned(width * port_start(0, step.columns) + beat), word[0]);
                write_word<1>(mem1, base + unsigned(width * port_start(1, step.columns) + beat), word[1]);
                write_word<2>(mem2, base + unsigned(width * port_start(2, step.columns) + beat), word[2]);
            }
        }
    }
}

// The bias gradients of a panel, an element a cycle.
inline void store_bias_gradient(word_t* mem0, const GemmJob& job, const GemmStep& step, const BiasBuffer& old_bias,
                                const TotalRowSums& finished_rows, Statistics& statistics) {
    const unsigned address = bias_address(job, step);
    const int fraction = job.fraction[kPatchRows] - job.f_second;
store_bias_gradient:
    for (int w = 0; w < words32(step.stored_sums); ++w) {
#pragma HLS loop_tripcount max = 10
        PIPELINE(w == 0, 4, kFinishDepth);
        word_t word = zero_word();
        for (int l = 0; l < kWideLanes; ++l) {
#pragma HLS unroll
            const int row = kWideLanes * w + l;
            if (row < step.stored_sums) {
                const wide_t old = align(wide_t(get32(old_bias[w], l)), job.f_bias, fraction);
                const wide_t acc = job.accumulates ? wide_t(finished_rows[row] + old) : finished_rows[row];
                put32(word, l, i32(store(acc, fraction - job.f_bias, 32, statistics)));
            }
        }
        write_word<0>(mem0, address + unsigned(w), word);
    }
}

inline void finish(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const FinishedSums& finished,
                   const TotalRowSums& finished_rows, const ExtraBuffer& extra, const SavedBuffer& saved, const BiasBuffer& old_bias,
                   GemmStatistics& statistics) {
    store_rows(mem0, mem1, mem2, job, step, finished, extra, saved, statistics);
    store_bias_gradient(mem0, job, step, old_bias, finished_rows, statistics.bias);
}

}  // namespace peelvit

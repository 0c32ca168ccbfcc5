// The leaf datapaths as functions of ports: each calls what the kernels call, with the widths that reach it there.
// sim/rtl/leaf/table.py lists the ports; sim/rtl/leaf/llvm_ir.py compiles this file, sim/rtl/leaf/estimated.py reads it
// with hls.area (PEELVIT_ESTIMATE).
#include "attention/softmax.hpp"
#include "functions.hpp"
#include "gemm/finish.hpp"
#include "ops/layernorm.hpp"
#include "selection/choose.hpp"

#ifdef PEELVIT_ESTIMATE
#include <ap_int.h>
template <int kBits>
using S = ap_int<kBits>;
template <int kBits>
using U = ap_uint<kBits>;
#else
template <int kBits>
using S = _BitInt(kBits);
template <int kBits>
using U = unsigned _BitInt(kBits);
#endif

using peelvit::i16;
using peelvit::i32;
using peelvit::wide_t;

// The one way in which a mantissa is stored, with its part in the statistics.
inline wide_t stored(wide_t value, int shift, int bits, const U<64>& seen_bits, const U<32>& seen_saturations,
                     U<64>& all_bits, U<32>& all_saturations) {
    peelvit::Statistics statistics;
    statistics.bits = seen_bits;
    statistics.saturations = seen_saturations;
    const wide_t mantissa = peelvit::store(value, shift, bits, statistics);
    all_bits = statistics.bits;
    all_saturations = statistics.saturations;
    return mantissa;
}

extern "C" {

// What a cell of the GEMM engine adds in a cycle, two multiply-accumulates; `restart` opens a new sum.
void mac(const S<16>& a0, const S<16>& a1, const S<16>& b0, const S<16>& b1, const U<1>& restart, const S<48>& sum,
         S<48>& result) {
    const wide_t before = restart ? wide_t(0) : wide_t(sum);
    result = S<48>(before + peelvit::crossed(a0, a1, b0, b1));
}

void requantise16(const S<64>& value, const S<8>& shift, const U<64>& seen_bits, const U<32>& seen_saturations,
                  S<16>& mantissa, U<64>& all_bits, U<32>& all_saturations) {
    mantissa = S<16>(stored(value, shift, 16, seen_bits, seen_saturations, all_bits, all_saturations));
}

void requantise32(const S<64>& value, const S<8>& shift, const U<64>& seen_bits, const U<32>& seen_saturations,
                  S<32>& mantissa, U<64>& all_bits, U<32>& all_saturations) {
    mantissa = S<32>(stored(value, shift, 32, seen_bits, seen_saturations, all_bits, all_saturations));
}

void exponential(const U<40>& distance, const S<8>& fraction, const U<24>& scale, U<21>& value) {
    value = U<21>(peelvit::exponential(wide_t(distance), fraction, int(scale)));
}

void reciprocal(const U<33>& sum, U<29>& value) { value = U<29>(peelvit::reciprocal(wide_t(sum))); }

void rsqrt(const U<62>& value, U<17>& mantissa, U<5>& exponent) {
    const peelvit::Rsqrt root = peelvit::rsqrt(wide_t(value));
    mantissa = U<17>(root.mantissa);
    exponent = U<5>(root.exponent);
}

void gelu_value(const S<16>& x, const S<8>& fraction, S<48>& value) {
    value = S<48>(peelvit::gelu_value(i16(x), fraction));
}

void gelu_slope(const S<16>& x, const S<8>& fraction, S<18>& slope) {
    slope = S<18>(peelvit::gelu_slope(i16(x), fraction));
}

// A probability from its exponential: what `values` does in a lane.
void probability(const U<21>& exponential, const U<29>& inverse, const S<8>& shift, const U<64>& seen_bits,
                 const U<32>& seen_saturations, S<16>& mantissa, U<64>& all_bits, U<32>& all_saturations) {
    const wide_t product = peelvit::multiply(peelvit::i27(exponential), peelvit::i40(wide_t(inverse)));
    peelvit::Statistics statistics;
    statistics.bits = seen_bits;
    statistics.saturations = seen_saturations;
    mantissa = S<16>(peelvit::fit16(peelvit::i56(product), peelvit::fit_wide_of(shift), statistics));
    all_bits = statistics.bits;
    all_saturations = statistics.saturations;
}

// An element of layernorm_rows: normalised, stored, scaled, moved and stored again.
void normalise(const S<18>& x, const U<26>& scale, const S<48>& offset, const S<8>& shift, const S<16>& gamma,
               const S<16>& beta, const S<8>& beta_shift, const S<8>& y_shift, S<16>& normalised,
               U<48>& normalised_bits, S<16>& y, U<48>& y_bits) {
    peelvit::Seen first = peelvit::nothing_seen();
    peelvit::Seen second = peelvit::nothing_seen();
    const peelvit::acc_t acc = peelvit::centred(peelvit::i18(x), peelvit::u26(scale), peelvit::i44(offset));
    const i16 mantissa = peelvit::fit16(acc, peelvit::fit16_of(shift), first);
    const wide_t moved = peelvit::round_from<peelvit::kMaxAlign>(wide_t(i16(beta)), beta_shift);
    y = peelvit::fit16(peelvit::affine(i16(gamma), mantissa, moved), peelvit::fit16_of(y_shift), second);
    normalised = mantissa;
    normalised_bits = U<48>(first.bits);
    y_bits = U<48>(second.bits);
}

// The epilogue of one element of a GEMM: an activation (with GELU its input too), or with `is_gradient` a weight
// gradient of 32 bits.
void epilogue(const S<64>& sum, const S<16>& bias, const S<32>& addend, const S<16>& saved, const U<1>& has_bias,
              const U<1>& adds, const U<1>& has_gelu, const U<1>& has_gelu_backward, const U<1>& is_gradient,
              const U<1>& is_input, const S<8>& fraction, const S<8>& f_bias, const S<8>& f_residual, const S<8>& f_pre,
              const S<8>& f_out, S<32>& mantissa, U<64>& bits_of_it) {
    peelvit::GemmJob job;
    job.form = is_gradient ? peelvit::kTn : peelvit::kNt;
    job.has_bias = bool(has_bias);
    job.has_residual = bool(adds) && !is_gradient;
    job.accumulates = bool(adds) && bool(is_gradient);
    job.has_gelu = bool(has_gelu);
    job.has_gelu_backward = bool(has_gelu_backward);
    job.fraction[0] = fraction;
    job.f_bias = f_bias;
    job.f_residual[0] = f_residual;
    job.f_pre = f_pre;
    job.f_out[0] = f_out;
    peelvit::GemmStep step;
    step.chunk.segment = 0;
    job.segment_shift[0][0] = 0;
    peelvit::Epilogue how;
    peelvit::set_epilogue(job, step, 0, how);
    const wide_t aligned_bias =
        has_bias ? peelvit::aligned_addend(i16(bias), i32(0), false, peelvit::addend_shift_of(f_bias - fraction, false))
                 : wide_t(0);
    const wide_t aligned_addend =
        adds ? peelvit::aligned_addend(i16(addend), i32(addend), bool(is_gradient), how.addend) : wide_t(0);
    peelvit::Statistics seen_plain = peelvit::no_statistics();
    peelvit::Statistics seen_curved = peelvit::no_statistics();
    const peelvit::Finished made = peelvit::finished_element(
        job, how, wide_t(sum) + aligned_bias + aligned_addend, peelvit::sum_t(wide_t(S<45>(sum))),
        peelvit::i48(wide_t(S<48>(aligned_addend))), i16(saved), seen_plain, seen_curved);
    if (has_gelu && how.gelu.is_right) seen_curved.bits = seen_curved.bits >> 16;
    const bool is_curved = has_gelu_backward || (has_gelu && !is_input);
    mantissa = is_curved ? S<32>(made.curved) : (is_gradient ? S<32>(made.plain) : S<32>(i16(made.plain)));
    bits_of_it = is_curved ? seen_curved.bits : seen_plain.bits;
}

// One bit of all candidates of a selection.
void look_at_bits(const U<8> (&next_bits)[peelvit::kBanks], const U<8> (&tied)[peelvit::kBanks], const U<9>& wanted,
                  U<8> (&chosen)[peelvit::kBanks], U<8> (&still_tied)[peelvit::kBanks], U<9>& still_wanted) {
    peelvit::Choice choice;
    peelvit::ChunkBits next;
#pragma HLS array_partition variable = next type = complete dim = 0
#pragma HLS array_partition variable = choice.tied type = complete dim = 0
#pragma HLS array_partition variable = choice.chosen type = complete dim = 0
    for (int b = 0; b < peelvit::kBanks; ++b) {
        for (int lane = 0; lane < peelvit::kLanes; ++lane) {
            next[b][lane] = bool(unsigned(next_bits[b]) >> lane & 1u);
            choice.tied[b][lane] = bool(unsigned(tied[b]) >> lane & 1u);
            choice.chosen[b][lane] = false;
        }
    }
    choice.wanted = peelvit::u16(wanted);
    peelvit::look_at_bits(next, choice);
    for (int b = 0; b < peelvit::kBanks; ++b) {
        unsigned chosen_byte = 0;
        unsigned tied_byte = 0;
        for (int lane = 0; lane < peelvit::kLanes; ++lane) {
            chosen_byte |= unsigned(choice.chosen[b][lane]) << lane;
            tied_byte |= unsigned(choice.tied[b][lane]) << lane;
        }
        chosen[b] = U<8>(chosen_byte);
        still_tied[b] = U<8>(tied_byte);
    }
    still_wanted = U<9>(choice.wanted);
}

// The depths that the loops around leaves state, in cycles.
extern const int depth_multiply_steps = peelvit::kMultiplyDepth;
extern const int depth_finish_beats = peelvit::kFinishDepth;
extern const int depth_terms = peelvit::kTermDepth;
extern const int depth_divide = peelvit::kDividerDepth;
extern const int depth_values = peelvit::kStoreDepth;
extern const int depth_layernorm_moments = peelvit::kRsqrtDepth;
extern const int depth_layernorm_rows = 2 * peelvit::kVectorDepth;
extern const int depth_select_bits = peelvit::kPlaneDepth;
}

// The leaf datapaths as functions of ports: each calls what the kernels call, with the widths that reach it there.
// sim/rtl/leaf/table.py lists the ports; sim/rtl/leaf/llvm_ir.py compiles this file.
#include "attention/softmax.hpp"
#include "functions.hpp"
#include "gemm/finish.hpp"
#include "selection.hpp"

template <int kBits>
using S = _BitInt(kBits);
template <int kBits>
using U = unsigned _BitInt(kBits);

using peelvit::i16;
using peelvit::i32;
using peelvit::wide_t;

// The one way in which a mantissa is stored, with its part in the statistics.
template <int kBits>
S<kBits> requantise(wide_t value, int shift, const U<64>& seen_bits, const U<32>& seen_saturations, U<64>& all_bits,
                    U<32>& all_saturations) {
    peelvit::Statistics statistics;
    statistics.bits = seen_bits;
    statistics.saturations = seen_saturations;
    const S<kBits> mantissa = S<kBits>(peelvit::store(value, shift, kBits, statistics));
    all_bits = statistics.bits;
    all_saturations = statistics.saturations;
    return mantissa;
}

extern "C" {

// One multiply-accumulate of the GEMM engine; `restart` opens a new sum.
void mac(const S<16>& a, const S<16>& b, const U<1>& restart, const S<48>& sum, S<48>& result) {
    const wide_t before = restart ? wide_t(0) : wide_t(sum);
    result = S<48>(before + peelvit::product(a, b));
}

void requantise16(const S<64>& value, const S<8>& shift, const U<64>& seen_bits, const U<32>& seen_saturations,
                  S<16>& mantissa, U<64>& all_bits, U<32>& all_saturations) {
    mantissa = requantise<16>(value, shift, seen_bits, seen_saturations, all_bits, all_saturations);
}

void requantise32(const S<64>& value, const S<8>& shift, const U<64>& seen_bits, const U<32>& seen_saturations,
                  S<32>& mantissa, U<64>& all_bits, U<32>& all_saturations) {
    mantissa = requantise<32>(value, shift, seen_bits, seen_saturations, all_bits, all_saturations);
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

// One digit of all candidates of a selection.
void look_at_digits(const U<2> (&digits)[peelvit::kMaxPatches], const U<1> (&tied)[peelvit::kMaxPatches],
                    const S<10>& ties, U<1> (&chosen)[peelvit::kMaxPatches], U<1> (&still_tied)[peelvit::kMaxPatches],
                    S<10>& still_wanted) {
    peelvit::Choice choice;
    int next[peelvit::kMaxPatches];
    for (int c = 0; c < peelvit::kMaxPatches; ++c) {
        next[c] = int(digits[c]);
        choice.tied[c] = bool(tied[c]);
        choice.chosen[c] = false;
    }
    choice.ties = int(ties);
    peelvit::look_at_digits(next, choice);
    for (int c = 0; c < peelvit::kMaxPatches; ++c) {
        chosen[c] = choice.chosen[c];
        still_tied[c] = choice.tied[c];
    }
    still_wanted = S<10>(choice.ties);
}
}

// dlogits = softmax(logits) - target, target = off everywhere and on at the label; terms[b] = (sum of exponentials U.20, sum of target * distance to the largest logit Q.16, predicted class, 1 if right, 0...): loss = ln(terms[0] * 2^-20) + terms[1] * 2^-16.
#pragma once

#include "../blocks.hpp"
#include "../functions.hpp"

namespace peelvit {

constexpr int kNaturalScale = 1512775;  // log2(e) * 2^20
constexpr int kTargetBits = 30;         // fraction of targets and of dlogits before it is stored

// The largest logit of an image and the first class that has it.
struct Prediction {
    i16 logit;
    int label;
};

struct LogitSums {
    u34 exponentials;    // U.20
    u38 distances;       // to the largest logit, Q16, over all classes
    u26 label_distance;  // of the label alone
};

// A bit of the quotient a cycle: an image needs one.
inline u30 slow_reciprocal(u34 sum) {
    Division division;
    open(division);
slow_quotient_bits:
    for (int i = 0; i < kDivideTurns * kDivideBits; ++i) {
        PIPELINE(i == 0, 1, 1);
        divide_step(sum, division);
    }
    return u30(division.quotient);
}

// Of image `b`, clamped to the classes there are.
inline int label_of(const word_t* mem0, const Matrix& labels, int b, int classes) {
    STRAIGHT(kReadLatency);
    const word_t word = read_word<0>(mem0, labels.address + unsigned(b / kWideLanes));
    return natural<13>(unsigned(larger(0, smaller(classes - 1, int(get32(word, b % kWideLanes))))));
}

inline Prediction predict(const word_t logits[kMaxWords], int classes) {
    Prediction best;
    best.logit = get16(logits[0], 0);
    best.label = 0;
predict:
    for (int i = 0; i < classes; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, 8);
        const i16 logit = get16(logits[i / kLanes], i % kLanes);
        if (logit > best.logit) {
            best.logit = logit;
            best.label = i;
        }
    }
    return best;
}

// A class a cycle: classes are few, and an exponential of its own for every lane would be dear.
inline LogitSums sum_logits(const word_t logits[kMaxWords], int classes, const Prediction& best, int label,
                            int f_logits, u26 exponentials[kMaxColumns]) {
    const Distance unit = distance_unit(f_logits);
    LogitSums sums;
    sums.exponentials = 0;
    sums.distances = 0;
    sums.label_distance = 0;
sum_logits:
    for (int i = 0; i < classes; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kVectorDepth);
        const int distance = int(best.logit) - int(get16(logits[i / kLanes], i % kLanes));
        const int rounded = distance_q16(u38(unsigned(natural<16>(unsigned(distance)))), unit);
        const u26 e = u26(unsigned(exponential_of(rounded, kNaturalScale)));
        exponentials[i] = e;
        sums.exponentials = u34(sums.exponentials + e);
        sums.distances = u38(sums.distances + u26(unsigned(rounded)));
        if (i == label) sums.label_distance = u26(unsigned(rounded));
    }
    return sums;
}

// One more element of a word, behind the others, which move on.
inline void push16(word_t& word, i16 value) {
    for (int lane = 0; lane < kLanes - 1; ++lane) {
#pragma HLS unroll
        put16(word, lane, get16(word, lane + 1));
    }
    put16(word, kLanes - 1, value);
}

// dlogits = probability - target.
inline void store_gradient(word_t* mem2, unsigned address, int classes, int words,
                           const u26 exponentials[kMaxColumns], u30 inverse, int label, int target_on, int target_off,
                           int f_out, Statistics& statistics) {
    const Fit16 to_gradient = fit16_of(kTargetBits - f_out);
    word_t word = zero_word();
store_gradient:
    for (int i = 0; i < kLanes * words; ++i) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(i == 0, 1, kVectorDepth);
        const bool is_class = i < classes;
        const wide_t product = multiply(is_class ? exponentials[i] : u26(0), inverse);
        const int probability = int(round_right(product, kProbabilityBits - kTargetBits));
        const acc_t acc = acc_t(wide_t(probability) - wide_t(i == label ? target_on : target_off));
        Seen seen = nothing_seen();
        push16(word, fit16(is_class ? acc : acc_t(0), to_gradient, seen));
        add(statistics, seen);
        if (i % kLanes == kLanes - 1) write_word<2>(mem2, address + unsigned(i / kLanes), word);
    }
}

// The eight int32 of an image from which the host computes the loss.
inline void store_terms(word_t* mem2, unsigned address, const LogitSums& sums, const Prediction& best, int label,
                        int target_on, int target_off) {
#pragma HLS inline off
#pragma HLS allocation operation instances = mul limit = 1
    const wide_t everywhere = multiply(i32(target_off), acc_t(sums.distances));
    const wide_t at_label = multiply(wide_t(target_on) - wide_t(target_off), sums.label_distance);
    const wide_t weighted = everywhere + at_label;
    word_t word = zero_word();
    put32(word, 0, i32(sums.exponentials > 0x7FFFFFFF ? u34(0x7FFFFFFF) : sums.exponentials));
    put32(word, 1, i32(saturate(round_shift(weighted, kTargetBits), 32)));
    put32(word, 2, i32(best.label));
    put32(word, 3, i32(best.label == label ? 1 : 0));
    write_word<2>(mem2, address, word);
    write_word<2>(mem2, address + 1, zero_word());
}

inline void cross_entropy(word_t* mem0, word_t* mem1, word_t* mem2, const Instruction& in, Slots& slots) {
#pragma HLS inline  // so that what records statistics is shared
    const Matrix logits = operand(in, 0);
    const Matrix labels = operand(in, 1);
    const Matrix dlogits = operand(in, 2);
    const Matrix terms = operand(in, 3);
    const int batch = natural<4>(in.dimension[0]);
    const int n = natural<9>(in.dimension[1]);
    const bool has_gradient = (in.flags & 1u) != 0;
    const int target_on = int(in.immediate[0]);
    const int target_off = int(in.immediate[1]);

    const int f_logits = slots.f[logits.slot];
    const int class_slot = dlogits.slot + 1;
    const int words = words16(n);
    word_t row[kMaxWords];
    u26 exponentials[kMaxColumns];
    Statistics statistics = no_statistics();
entropy_images:
    for (int b = 0; b < batch; ++b) {
#pragma HLS loop_tripcount max = 8
        load_row<1>(mem1, row_address(logits, unsigned(b)), words, row);
        const int label = label_of(mem0, labels, b, n);
        const Prediction best = predict(row, n);
        const LogitSums sums = sum_logits(row, n, best, label, f_logits, exponentials);
        if (has_gradient) {
            const u30 inverse = slow_reciprocal(sums.exponentials);
            store_gradient(mem2, row_address(dlogits, unsigned(b)), n, words, exponentials, inverse, label, target_on,
                           target_off, slots.f[class_slot], statistics);
        }
        store_terms(mem2, row_address(terms, unsigned(b)), sums, best, label, target_on,
                    target_off);
    }
    if (has_gradient) record(slots, class_slot, statistics, kTargetBits);
}

}  // namespace peelvit

// Where results go: to the ports that write them, or as gradients into the update of a weight, which is written instead.
#pragma once

#include "../update/sgd.hpp"
#include "finish.hpp"

namespace peelvit {

constexpr int kPassDepth = 3;
constexpr int kUpdateDepth = 41;

// A port's words of a step, in the order in which they are written: results and second ones; or with an update new low
// halves and momenta, and the weights.
#ifdef PEELVIT_CHECKS_FIFOS
using ResultBuffer = Fifos<word_t, kMostColumnTiles * kPanelRows * kPortWords, kPorts>;
#else
using ResultBuffer = word_t[kMostColumnTiles * kPanelRows * kPortWords][kPorts];
#endif
#ifdef PEELVIT_CHECKS_FIFOS
using SecondBuffer = Fifos<word_t, kMostColumnTiles * kPanelRows * kPortWords, kPorts, kStateLanes>;
#else
using SecondBuffer = word_t[kMostColumnTiles * kPanelRows * kPortWords][kPorts][kStateLanes];
#endif

inline void pass_on(const GemmJob& job, int words, const MadeBuffer& made, ResultBuffer& results, SecondBuffer& seconds) {
#pragma HLS inline
    const bool has_seconds = job.form == kTn || job.has_gelu;
    u8 port = 0;
    i16 place = 0;
pass_on:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 120
        PIPELINE(i == 0, 1, kPassDepth);
        const word_t first = made[i][0];
        const word_t second = made[i][1];
        for (int p = 0; p < kPorts; ++p) {
#pragma HLS unroll
            if (p == port) {
                results[place][p] = first;
                if (has_seconds) seconds[place][p][0] = second;
            }
        }
        ++port;
        if (port == kPorts) {
            port = 0;
            ++place;
        }
    }
}

// Where a word of weights comes and goes: its port, which word of the port's row (or of its part of one) it is, and its
// place among all words of the port.
struct PortWord {
    u8 port, w;
    i16 place;
};

// A word of each port in turn; or row by row, where each port's row stands at the same place as those of the others.
inline void advance(bool by_rows, int row_words, PortWord& at) {
#pragma HLS inline
    const bool ends_turn = at.port == kPorts - 1;
    const bool ends_row = at.w + 1 == row_words;
    if (by_rows || ends_turn) {
        at.place = i16(by_rows && ends_row && !ends_turn ? int(at.place + 1 - row_words) : int(at.place + 1));
        at.w = u8(ends_row ? 0 : int(at.w + 1));
    }
    if (!by_rows || ends_row) at.port = u8(next_of(natural<2>(at.port)));
}

// A word of weights in a cycle, or half of it in each of two.
inline void update_weights(const GemmJob& job, const GemmStep& step, const SgdUpdate& update, int words, const MadeBuffer& made, const WeightBuffer& lows,
                           const WeightBuffer& old_weights, const StateBuffer& momenta, ResultBuffer& new_lows, SecondBuffer& new_momenta, WeightBuffer& weights,
                           Renewal& renewal) {
#pragma HLS inline
    constexpr int kParts = kLanes / kUpdateLanes;
    word_t gradients[2];  // taken from their FIFOs at once, as are these; what a second part takes moves down
    word_t old_weight, old_low;
    i16 rounded[kLanes];
    i16 left[kLanes];
#pragma HLS array_partition variable=gradients type=complete
#pragma HLS array_partition variable=rounded type=complete
#pragma HLS array_partition variable=left type=complete
    const bool by_rows = moves_rows(job);
    const int row_words = port_row_words(job, step);
    PortWord at;
    at.port = 0;
    at.w = 0;
    at.place = 0;
update_words:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 60
    update_parts:
        for (int part = 0; part < kParts; ++part) {
            PIPELINE((i | part) == 0, 1, kUpdateDepth);
            const int lanes = step.columns - kLanes * (by_rows ? int(at.w) : int(start_of(step, at.port) + at.w));
            const int state_place = kParts * at.place + part;
            if (part == 0) {
                gradients[0] = made[i][0];
                gradients[1] = made[i][1];
                old_weight = old_weights[at.place][at.port];
                old_low = lows[at.place][at.port];
            } else {
                gradients[0] = gradients[1];
                old_weight = behind_first<kUpdateLanes>(old_weight);
                old_low = behind_first<kUpdateLanes>(old_low);
            }
            word_t momentum[kStateLanes];
#pragma HLS array_partition variable=momentum type=complete
            Renewal seen = no_renewal();
            for (int state = 0; state < kStateLanes; ++state) {
#pragma HLS unroll
                const word_t old_momenta = momenta[state_place][at.port][state];
                const word_t gradient = gradients[state];
                momentum[state] = zero_word();
                for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
                    const int place = kWideLanes * state + k;  // in the part
                    const i32 master = joined(get16(old_weight, place), get16(old_low, place));
                    const i32 scaled = rescaled(update.scale.rescales, master);
                    const Change change = sgd_change(update, scaled, get32(old_momenta, k), get32(gradient, k));
                    const Element element = updated(scaled, change, kUpdateLanes * part + place >= lanes, seen);
                    put32(momentum[state], k, element.state);
                    // Those of a first part move down when the second one's come.
                    const int from = kUpdateLanes * (kParts - 1) + place;
                    if (kParts > 1) {
                        rounded[place] = rounded[from];
                        left[place] = left[from];
                    }
                    rounded[from] = element.weight;
                    left[from] = element.low;
                }
            }
            word_t weight = zero_word();
            word_t low = zero_word();
            for (int lane = 0; lane < kLanes; ++lane) {
#pragma HLS unroll
                put16(weight, lane, rounded[lane]);
                put16(low, lane, left[lane]);
            }
            if (is_first_port(job, step, at.port, at.w)) add(renewal, seen);
            for (int p = 0; p < kPorts; ++p) {
#pragma HLS unroll
                if (p != at.port) continue;
                for (int state = 0; state < kStateLanes; ++state) {
#pragma HLS unroll
                    new_momenta[state_place][p][state] = momentum[state];
                }
                if (part != kParts - 1) continue;
                new_lows[at.place][p] = low;
                weights[at.place][p] = weight;
            }
        }
        advance(by_rows, row_words, at);
    }
}

inline void update(const GemmJob& job, const GemmStep& step, const SgdUpdate& by, const MadeBuffer& made, const WeightBuffer& lows, const WeightBuffer& old_weights,
                   const StateBuffer& momenta, ResultBuffer& results, SecondBuffer& seconds, WeightBuffer& weights, Renewal& renewal) {
    const int words = step.closes_sum ? short_product(rows_of(step), beats_of(step)) : 0;
    if (job.updates)
        update_weights(job, step, by, words, made, lows, old_weights, momenta, results, seconds, weights, renewal);
    else
        pass_on(job, words, made, results, seconds);
}

// For the schedule: from the start of `update` to its first words.
inline int cycles_to_first_words(const GemmJob& job) { return job.updates ? kUpdateDepth : kPassDepth; }

}  // namespace peelvit

// Where results go: to the ports that write them, or as gradients into the update of a weight, which is written instead.
#pragma once

#include "../update/sgd.hpp"
#include "finish.hpp"

namespace peelvit {

constexpr int kPassDepth = 2;
constexpr int kUpdateDepth = 40;

// A port's words of a step, in the order in which they are written: results and second ones, or with an update master
// weights and momenta; its words of weights.
using ResultBuffer = word_t[kPorts][kMostColumnTiles * kPanelRows * kPortWords];
using WeightBuffer = word_t[kPorts][kUpdateRows * kPortWords];

inline void pass_on(const GemmJob& job, int words, const MadeBuffer& made, ResultBuffer& results, ResultBuffer& seconds) {
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
                results[p][place] = first;
                if (has_seconds) seconds[p][place] = second;
            }
        }
        ++port;
        if (port == kPorts) {
            port = 0;
            ++place;
        }
    }
}

// Half of a word of weights a cycle: four gradients, the ports' words in turn.
inline void update_weights(const GemmStep& step, const SgdUpdate& update, int words, const MadeBuffer& made, const StateBuffer& masters,
                           const StateBuffer& momenta, ResultBuffer& new_masters, ResultBuffer& new_momenta, WeightBuffer& weights,
                           Renewal& renewal) {
#pragma HLS inline
    word_t gradients[2];  // taken from their FIFO at once
    i16 first_half[kWideLanes];
#pragma HLS array_partition variable=gradients type=complete
#pragma HLS array_partition variable=first_half type=complete
    const int row_words = words_of(step);
    u8 port = 0;
    u8 w = 0;       // word of the row
    i16 place = 0;  // of a port's words
update_words:
    for (int i = 0; i < words; ++i) {
#pragma HLS loop_tripcount max = 60
    update_halves:
        for (int half = 0; half < 2; ++half) {
            PIPELINE((i | half) == 0, 1, kUpdateDepth);
            const int lanes = step.columns - kLanes * (start_of(step, port) + w) - kWideLanes * half;
            const word_t old_masters = masters[port][2 * place + half];
            const word_t old_momenta = momenta[port][2 * place + half];
            if (half == 0) {
                gradients[0] = made[i][0];
                gradients[1] = made[i][1];
            }
            const word_t gradient = gradients[half];
            word_t master = zero_word();
            word_t momentum = zero_word();
            word_t weight = zero_word();
            Renewal seen = no_renewal();
            for (int lane = 0; lane < kWideLanes; ++lane) {
#pragma HLS unroll
                const i32 scaled = rescaled(update.scale.rescales, get32(old_masters, lane));
                const Change change = sgd_change(update, scaled, get32(old_momenta, lane), get32(gradient, lane));
                const Element element = updated(scaled, change, lane >= lanes, seen);
                put32(master, lane, element.master);
                put32(momentum, lane, element.state);
                put16(weight, lane, first_half[lane]);
                first_half[lane] = rounded_weight(element.master);
                put16(weight, kWideLanes + lane, first_half[lane]);
            }
            if (is_first_port(step, port, w)) add(renewal, seen);
            for (int p = 0; p < kPorts; ++p) {
#pragma HLS unroll
                if (p == port) {
                    new_masters[p][2 * place + half] = master;
                    new_momenta[p][2 * place + half] = momentum;
                    if (half == 1) weights[p][place] = weight;
                }
            }
        }
        ++port;
        if (port == kPorts) {
            port = 0;
            ++place;
            w = u8(w + 1 == row_words ? 0 : int(w + 1));
        }
    }
}

inline void update(const GemmJob& job, const GemmStep& step, const SgdUpdate& by, const MadeBuffer& made, const StateBuffer& masters,
                   const StateBuffer& momenta, ResultBuffer& results, ResultBuffer& seconds, WeightBuffer& weights, Renewal& renewal) {
    const int words = step.closes_sum ? short_product(rows_of(step), kPorts * words_of(step)) : 0;
    if (job.updates)
        update_weights(step, by, words, made, masters, momenta, results, seconds, weights, renewal);
    else
        pass_on(job, words, made, results, seconds);
}

// For the schedule: from the start of `update` to its first words.
inline int cycles_to_first_words(const GemmJob& job) { return job.updates ? kUpdateDepth : kPassDepth; }

}  // namespace peelvit

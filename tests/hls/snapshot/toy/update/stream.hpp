// How AdamW streams its tensors: load / update / store through FIFOs.
//
// Port 0 carries low halves of master weights and moments, port 1 gradients, port 2 weights.
#pragma once

#include "../blocks.hpp"
#include "adamw.hpp"

namespace peelvit {

constexpr int kUpdateGroups = 256;  // groups of eight elements in a block
constexpr int kUpdateWords = 2 * kUpdateGroups;
constexpr int kGroupBits = 19;  // of a tensor's groups
constexpr int kAdamwDepth = 96;

// What a tensor's update computes with, looked up once.
struct AdamwUpdate {
    Scale scale;
    AdamwFactors adamw;
    int words, columns;  // of a row: int16 words, elements
};

// Where the walk over the tensor stands, and what was seen on it.
struct AdamwWalk {
    u16 word;  // of its row
    Renewal seen;
};

// Where groups of eight elements begin that lie next to each other in all operands.
struct Line {
    unsigned state, gradient, weight;
};

// Of `all` groups of a line those in block `b`.
inline int groups_in(int all, int b) {
    return natural<9>(unsigned(smaller(kUpdateGroups, all - narrow<kGroupBits>(b) * kUpdateGroups)));
}

// Block `b` comes over all ports at once: of a group of eight elements low halves and weights first, then twice a word of
// moments and one of gradients.
inline void load_groups(const word_t* mem0, const word_t* mem1, const word_t* mem2, const Line& line, int all, int b, word_t lows[kUpdateGroups],
                        word_t weights[kUpdateGroups], word_t states[kUpdateWords], word_t gradients[kUpdateWords]) {
    unsigned state = line.state + unsigned(kStateWords * b * kUpdateGroups);
    unsigned gradient = line.gradient + unsigned(2 * b * kUpdateGroups);
    const unsigned weight = line.weight + unsigned(b * kUpdateGroups);
    int place = 0;
load_groups:
    for (int i = 0; i < groups_in(all, b); ++i) {
#pragma HLS loop_tripcount max = 256
    load_words:
        for (int w = 0; w < kStateWords; ++w) {
            PIPELINE((i | w) == 0, 1, kReadLatency);
            const word_t of_state = read_word<0>(mem0, state);
            if (w == 0) {
                lows[i] = of_state;
                weights[i] = read_word<2>(mem2, weight + unsigned(i));
            } else {
                states[place] = of_state;
                gradients[place] = read_word<1>(mem1, gradient);
                ++gradient;
                ++place;
            }
            ++state;
        }
    }
}

// And leaves: weights with the first word of the states.
inline void store_groups(word_t* mem0, word_t* mem2, const Line& line, int all, int b, const word_t lows[kUpdateGroups],
                         const word_t weights[kUpdateGroups], const word_t states[kUpdateWords]) {
    unsigned state = line.state + unsigned(kStateWords * b * kUpdateGroups);
    const unsigned weight = line.weight + unsigned(b * kUpdateGroups);
    int place = 0;
store_groups:
    for (int i = 0; i < groups_in(all, b); ++i) {
#pragma HLS loop_tripcount max = 256
    store_words:
        for (int w = 0; w < kStateWords; ++w) {
            PIPELINE((i | w) == 0, 1, kCopyDepth);
            word_t of_state;
            if (w == 0) {
                of_state = lows[i];
                write_word<2>(mem2, weight + unsigned(i), weights[i]);
            } else {
                of_state = states[place];
                ++place;
            }
            write_word<0>(mem0, state, of_state);
            ++state;
        }
    }
}

inline void next_group(const AdamwUpdate& update, AdamwWalk& walk) {
    walk.word = walk.word + 1 == update.words ? u16(0) : u16(walk.word + 1);
}

// An element a cycle.
inline void update_groups(const word_t lows[kUpdateGroups], const word_t old_weights[kUpdateGroups], const word_t states[kUpdateWords],
                          const word_t gradients[kUpdateWords], const AdamwUpdate& update, int all, int b,
                          word_t new_lows[kUpdateGroups], word_t new_states[kUpdateWords],
                          word_t weights[kUpdateGroups], AdamwWalk& walk) {
    word_t held[4];  // what is left of a word of each; its first element is the next one
    i32 made[kWideLanes];  // states, shifted in
    i16 rounded[kLanes];
    i16 left[kLanes];
#pragma HLS array_partition variable=held type=complete
#pragma HLS array_partition variable=made type=complete
#pragma HLS array_partition variable=rounded type=complete
#pragma HLS array_partition variable=left type=complete
    const int groups = groups_in(all, b);
update_groups:
    for (int i = 0; i < kLanes * groups; ++i) {
#pragma HLS loop_tripcount max = 2048
        PIPELINE(i == 0, 1, kAdamwDepth);
        const int lane = i % kWideLanes;
        const int column = kLanes * walk.word + i % kLanes;
        if (lane == 0) {
            held[0] = states[i / kWideLanes];
            held[1] = gradients[i / kWideLanes];
        } else {
            held[0] = behind_first<2>(held[0]);
            held[1] = behind_first<2>(held[1]);
        }
        if (i % kLanes == 0) {
            held[2] = old_weights[i / kLanes];
            held[3] = lows[i / kLanes];
        } else {
            held[2] = behind_first<1>(held[2]);
            held[3] = behind_first<1>(held[3]);
        }
        const i32 scaled = rescaled(update.scale.rescales, joined(get16(held[2], 0), get16(held[3], 0)));
        const Change change = adamw_change(update.adamw, scaled, get32(held[0], 0), get32(held[1], 0));
        Renewal seen = no_renewal();
        const Element element = updated(scaled, change, column >= update.columns, seen);
        add(walk.seen, seen);
        for (int k = 0; k < kWideLanes - 1; ++k) {
#pragma HLS unroll
            made[k] = made[k + 1];
        }
        for (int k = 0; k < kLanes - 1; ++k) {
#pragma HLS unroll
            rounded[k] = rounded[k + 1];
            left[k] = left[k + 1];
        }
        made[kWideLanes - 1] = element.state;
        rounded[kLanes - 1] = element.weight;
        left[kLanes - 1] = element.low;
        word_t low = zero_word();
        word_t state = zero_word();
        word_t weight = zero_word();
        for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
            put32(state, k, made[k]);
        }
        for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
            put16(weight, k, rounded[k]);
            put16(low, k, left[k]);
        }
        if (lane == kWideLanes - 1) new_states[i / kWideLanes] = state;
        if (i % kLanes == kLanes - 1) {
            weights[i / kLanes] = weight;
            new_lows[i / kLanes] = low;
            next_group(update, walk);
        }
    }
}

inline void update_line(word_t* mem0, word_t* mem1, word_t* mem2, const Line& line, int all, int blocks, const AdamwUpdate& update,
                        AdamwWalk& walk) {
update_blocks:
    for (int b = 0; b < blocks; ++b) {
#pragma HLS loop_tripcount max = 4096
        STREAMING(b == 0);
        word_t lows[kUpdateGroups];
        word_t old_weights[kUpdateGroups];
        word_t states[kUpdateWords];
        word_t gradients[kUpdateWords];
        word_t new_lows[kUpdateGroups];
        word_t new_states[kUpdateWords];
        word_t weights[kUpdateGroups];
        // zcu104 has four block RAMs left for FIFOs, but no LUTs: these two lie there on every board.
#pragma HLS stream variable=lows type=fifo depth=16
#pragma HLS bind_storage variable=lows type=fifo impl=bram
#pragma HLS stream variable=old_weights type=fifo depth=16
#pragma HLS bind_storage variable=old_weights type=fifo impl=bram
#pragma HLS stream variable=states type=fifo depth=16
#pragma HLS bind_storage variable=states type=fifo impl=bram
#pragma HLS stream variable=gradients type=fifo depth=16
#pragma HLS bind_storage variable=gradients type=fifo impl=bram
#pragma HLS stream variable=new_lows type=fifo depth=16
#pragma HLS bind_storage variable=new_lows type=fifo impl=bram
#pragma HLS stream variable=new_states type=fifo depth=16
#pragma HLS bind_storage variable=new_states type=fifo impl=bram
#pragma HLS stream variable=weights type=fifo depth=16
#pragma HLS bind_storage variable=weights type=fifo impl=bram
        PROCESS(load_groups(mem0, mem1, mem2, line, all, b, lows, old_weights, states, gradients));
        PROCESS(update_groups(lows, old_weights, states, gradients, update, all, b, new_lows, new_states, weights, walk));
        PROCESS(store_groups(mem0, mem2, line, all, b, new_lows, weights, new_states));
    }
}

// Update a tensor of `rows` rows.
inline void update_tensor(word_t* mem0, word_t* mem1, word_t* mem2, const Matrix& state, const Matrix& gradient,
                          const Matrix& weight, int rows, const AdamwUpdate& update, Slots& slots) {
    AdamwWalk walk;
    walk.word = 0;
    walk.seen = no_renewal();
    const int words = update.words;
    const bool is_dense = state.pitch == kStateWords * words && gradient.pitch == 2 * words && weight.pitch == words;
    const int lines = is_dense ? 1 : rows;
    Line line;
    const int all = narrow<kGroupBits>(is_dense ? rows * update.words : update.words);
    const int blocks = int(unsigned(all + kUpdateGroups - 1) / kUpdateGroups);
update_lines:
    for (int i = 0; i < lines; ++i) {
#pragma HLS loop_tripcount max = 4096
        line.state = row_address(state, unsigned(i));
        line.gradient = row_address(gradient, unsigned(i));
        line.weight = row_address(weight, unsigned(i));
        update_line(mem0, mem1, mem2, line, all, blocks, update, walk);
    }
    renew(slots, weight.slot, update.scale, walk.seen);
}

}  // namespace peelvit

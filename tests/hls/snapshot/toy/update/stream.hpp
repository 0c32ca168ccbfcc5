// How AdamW streams its tensors: load / update / store through FIFOs.
//
// Port 0 carries master weights and moments, port 1 gradients, port 2 weights.
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

// Of block `b` two words of master weights and two of moments a group.
inline void load_states(const word_t* mem0, unsigned address, int all, int b, word_t masters[kUpdateWords], word_t states[kUpdateWords]) {
    const unsigned start = address + unsigned(2 * b * kUpdateWords);
load_states:
    for (int w = 0; w < kStateWords * groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 1024
        PIPELINE(w == 0, 1, kReadLatency);
        const word_t word = read_word<0>(mem0, start + unsigned(w));
        const int place = place_of_state(w);
        if (is_master(w))
            masters[place] = word;
        else
            states[place] = word;
    }
}

inline void load_gradients(const word_t* mem1, unsigned address, int all, int b, word_t gradients[kUpdateWords]) {
    const unsigned start = address + unsigned(b * kUpdateWords);
load_gradients:
    for (int w = 0; w < 2 * groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 512
        PIPELINE(w == 0, 1, kReadLatency);
        gradients[w] = read_word<1>(mem1, start + unsigned(w));
    }
}

inline void store_states(word_t* mem0, unsigned address, int all, int b, const word_t masters[kUpdateWords],
                         const word_t states[kUpdateWords]) {
    const unsigned start = address + unsigned(2 * b * kUpdateWords);
store_states:
    for (int w = 0; w < kStateWords * groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 1024
        PIPELINE(w == 0, 1, kCopyDepth);
        const int place = place_of_state(w);
        write_word<0>(mem0, start + unsigned(w), is_master(w) ? masters[place] : states[place]);
    }
}

inline void store_weights(word_t* mem2, unsigned address, int all, int b, const word_t stream[kUpdateGroups]) {
    const unsigned start = address + unsigned(b * kUpdateGroups);
store_weights:
    for (int w = 0; w < groups_in(all, b); ++w) {
#pragma HLS loop_tripcount max = 256
        PIPELINE(w == 0, 1, kCopyDepth);
        write_word<2>(mem2, start + unsigned(w), stream[w]);
    }
}

inline void next_group(const AdamwUpdate& update, AdamwWalk& walk) {
    walk.word = walk.word + 1 == update.words ? u16(0) : u16(walk.word + 1);
}

// An element a cycle.
inline void update_groups(const word_t masters[kUpdateWords], const word_t states[kUpdateWords],
                          const word_t gradients[kUpdateWords], const AdamwUpdate& update, int all, int b,
                          word_t new_masters[kUpdateWords], word_t new_states[kUpdateWords],
                          word_t weights[kUpdateGroups], AdamwWalk& walk) {
    word_t held[3];  // a word of each, while its lanes are taken
    i32 made[2][kWideLanes];  // master weights and states, shifted in
    i16 rounded[kLanes];
#pragma HLS array_partition variable=held type=complete
#pragma HLS array_partition variable=made type=complete dim=0
#pragma HLS array_partition variable=rounded type=complete
    const int groups = groups_in(all, b);
update_groups:
    for (int i = 0; i < kLanes * groups; ++i) {
#pragma HLS loop_tripcount max = 2048
        PIPELINE(i == 0, 1, kAdamwDepth);
        const int lane = i % kWideLanes;
        const int column = kLanes * walk.word + i % kLanes;
        if (lane == 0) {
            held[0] = masters[i / kWideLanes];
            held[1] = states[i / kWideLanes];
            held[2] = gradients[i / kWideLanes];
        }
        const i32 scaled = rescaled(update.scale.rescales, get32(held[0], lane));
        const Change change = adamw_change(update.adamw, scaled, get32(held[1], lane), get32(held[2], lane));
        Renewal seen = no_renewal();
        const Element element = updated(scaled, change, column >= update.columns, seen);
        add(walk.seen, seen);
        for (int k = 0; k < kWideLanes - 1; ++k) {
#pragma HLS unroll
            made[0][k] = made[0][k + 1];
            made[1][k] = made[1][k + 1];
        }
        for (int k = 0; k < kLanes - 1; ++k) {
#pragma HLS unroll
            rounded[k] = rounded[k + 1];
        }
        made[0][kWideLanes - 1] = element.master;
        made[1][kWideLanes - 1] = element.state;
        rounded[kLanes - 1] = rounded_weight(element.master);
        word_t master = zero_word();
        word_t state = zero_word();
        word_t weight = zero_word();
        for (int k = 0; k < kWideLanes; ++k) {
#pragma HLS unroll
            put32(master, k, made[0][k]);
            put32(state, k, made[1][k]);
        }
        for (int k = 0; k < kLanes; ++k) {
#pragma HLS unroll
            put16(weight, k, rounded[k]);
        }
        if (lane == kWideLanes - 1) {
            new_masters[i / kWideLanes] = master;
            new_states[i / kWideLanes] = state;
        }
        if (i % kLanes == kLanes - 1) {
            weights[i / kLanes] = weight;
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
        word_t masters[kUpdateWords];
        word_t states[kUpdateWords];
        word_t gradients[kUpdateWords];
        word_t new_masters[kUpdateWords];
        word_t new_states[kUpdateWords];
        word_t weights[kUpdateGroups];
#pragma HLS stream variable=masters type=fifo depth=16
#pragma HLS bind_storage variable=masters type=fifo impl=bram
#pragma HLS stream variable=states type=fifo depth=16
#pragma HLS bind_storage variable=states type=fifo impl=bram
#pragma HLS stream variable=gradients type=fifo depth=16
#pragma HLS bind_storage variable=gradients type=fifo impl=bram
#pragma HLS stream variable=new_masters type=fifo depth=16
#pragma HLS bind_storage variable=new_masters type=fifo impl=bram
#pragma HLS stream variable=new_states type=fifo depth=16
#pragma HLS bind_storage variable=new_states type=fifo impl=bram
#pragma HLS stream variable=weights type=fifo depth=16
#pragma HLS bind_storage variable=weights type=fifo impl=bram
        PROCESS(load_states(mem0, line.state, all, b, masters, states));
        BESIDE(load_gradients(mem1, line.gradient, all, b, gradients));
        PROCESS(update_groups(masters, states, gradients, update, all, b, new_masters, new_states, weights, walk));
        PROCESS(store_states(mem0, line.state, all, b, new_masters, new_states));
        BESIDE(store_weights(mem2, line.weight, all, b, weights));
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

// Finished words leave the chip: each port writes its part of a row, or its row.
#pragma once

#include "update.hpp"

namespace peelvit {

constexpr int kStoreRowsDepth = 4;
constexpr int kStoreTail = 2 * kPortWords + kStoreRowsDepth + kWriteLatency;  // from the last result to the end

// The matrices that a row is written to, one after the other: the values, with GELU its inputs behind them; or with an
// update states and weights. Results of int32 are a first and a second word in turn, states a first and two second ones.
inline const Matrix& written_matrix(const GemmJob& job, int pass) {
    if (job.updates) return pass == 0 ? job.state : job.weight;
    return pass == 0 ? job.out : job.pre;
}

// Words that eight columns of it take.
inline int written_scale(const GemmJob& job, int pass) {
    if (job.form != kTn || (job.updates && pass == 1)) return 1;
    return job.updates ? int(kStateWords) : 2;
}

inline void store_rows(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const ResultBuffer& results,
                       const SecondBuffer& seconds, const WeightBuffer& weights) {
    const int words = port_row_words(job, step);
    const int passes = job.updates || job.has_gelu ? 2 : 1;
    const int turns = step.column_tiles == 2 ? int(2 * step.turns) : int(step.turns);
    unsigned first[2];  // addresses of rows
    unsigned row[2];
#pragma HLS array_partition variable=first type=complete
#pragma HLS array_partition variable=row type=complete
    for (int pass = 0; pass < 2; ++pass) {
#pragma HLS unroll
        first[pass] = row_address(written_matrix(job, pass), unsigned(step.row)) + column_word(step, written_scale(job, pass));
        row[pass] = first[pass];
    }
    int place = 0;
store_rows:
    for (int i = 0; i < (step.closes_sum ? turns : 0); ++i) {
#pragma HLS loop_tripcount max = 40
    store_passes:
        for (int pass = 0; pass < passes; ++pass) {
#pragma HLS loop_tripcount max = 2
            const bool is_weight = job.updates && pass == 1;
            const bool is_wide = job.form == kTn && !is_weight;
            const int scale = written_scale(job, pass);
            const int pitch = written_matrix(job, pass).pitch;
            const int beats = short_product(scale, words);
            int now = place;
            u8 of_group = 0;
            unsigned address[kPorts];
            bool exists[kPorts];
#pragma HLS array_partition variable=address type=complete
#pragma HLS array_partition variable=exists type=complete
            for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                address[port] = row[pass] + (port == 0 ? 0u : beyond_first(job, step, port, pitch, scale));
                exists[port] = port == 0 || i + 1 < turns || port < step.last_turn;
            }
        store_words:
            for (int beat = 0; beat < beats; ++beat) {
#pragma HLS loop_tripcount max = 12
                PIPELINE((i | pass | beat) == 0, 1, kStoreRowsDepth);
                PortWords word;
#pragma HLS array_partition variable=word type=complete
                const bool is_first = is_wide ? of_group == 0 : pass == 0;
                const int momentum = job.updates && of_group == kStateWords - 1 ? 1 : 0;
                const int second_place = job.updates ? 2 / kStateLanes * now + momentum / kStateLanes : now;
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    if (!exists[port]) continue;
                    if (is_weight)
                        word[port] = weights[now][port];
                    else if (is_first)
                        word[port] = results[now][port];
                    else
                        word[port] = seconds[second_place][port][momentum % kStateLanes];
                }
                const bool ends_group = !is_wide || of_group == (job.updates ? int(kStateWords - 1) : 1);
                if (ends_group) ++now;
                of_group = u8(ends_group ? 0 : int(of_group + 1));
                if (exists[0]) write_word<0>(mem0, address[0] + unsigned(beat), word[0]);
                if (exists[1]) write_word<1>(mem1, address[1] + unsigned(beat), word[1]);
                if (exists[2]) write_word<2>(mem2, address[2] + unsigned(beat), word[2]);
            }
            const bool begins = i + 1 == step.turns;  // the second column tile
            row[pass] = begins ? first[pass] + unsigned(kRowBeats) : row[pass] + unsigned(rows_apart(job, pitch));
        }
        place += words;
    }
}

// The panel's last word is one of zeros where only its padding is there.
inline void store_bias_gradient(word_t* mem0, const GemmJob& job, const GemmStep& step, const BiasBuffer& new_bias) {
    const unsigned address = bias_address(job, step);
    const int first = first_bias_word(step);
store_bias_gradient:
    for (int w = first; w < end_of_bias_words(step); ++w) {
#pragma HLS loop_tripcount max = 6
        PIPELINE(w == first, 1, kStoreRowsDepth);
        write_word<0>(mem0, address + unsigned(w), kWideLanes * w < end_of(step) ? new_bias[w - first] : zero_word());
    }
}

inline void store_results(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const ResultBuffer& results,
                          const SecondBuffer& seconds, const WeightBuffer& weights, const BiasBuffer& new_bias) {
    store_rows(mem0, mem1, mem2, job, step, results, seconds, weights);
    if (makes_bias_gradient(step)) store_bias_gradient(mem0, job, step, new_bias);
}

}  // namespace peelvit

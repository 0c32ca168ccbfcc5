// Finished words leave the chip: each port writes its part of a row.
#pragma once

#include "finish.hpp"

namespace peelvit {

constexpr int kStoreRowsDepth = 4;
constexpr int kStoreTail = 2 * kPortWords + kStoreRowsDepth + kWriteLatency;  // from the last result to the end

// With GELU a row is written twice: the values, then the inputs. Weight gradients are int32: first and second words in turn.
inline void store_rows(word_t* mem0, word_t* mem1, word_t* mem2, const GemmJob& job, const GemmStep& step, const ResultBuffer& results,
                       const ResultBuffer& seconds) {
    const bool is_wide = job.form == kTn;
    const int beats = (is_wide ? 2 : 1) * port_words(step.columns);
    const int passes = job.has_gelu ? 2 : 1;
    const int rows = step.closes_sum ? int(step.rows) : 0;
    unsigned out = row_address(job.out, unsigned(step.row));
    unsigned pre = row_address(job.pre, unsigned(step.row));
    int place = 0;
store_rows:
    for (int i = 0; i < rows; ++i) {
#pragma HLS loop_tripcount max = 40
    store_passes:
        for (int pass = 0; pass < passes; ++pass) {
#pragma HLS loop_tripcount max = 2
            unsigned address[kPorts];
#pragma HLS array_partition variable=address type=complete
            row_part(pass == 0 ? out : pre, step, is_wide, address);
        store_words:
            for (int beat = 0; beat < beats; ++beat) {
#pragma HLS loop_tripcount max = 2
                PIPELINE((i | pass | beat) == 0, 1, kStoreRowsDepth);
                PortWords word;
#pragma HLS array_partition variable=word type=complete
                const int w = place + (is_wide ? beat / 2 : beat);
                const bool is_first = is_wide ? beat % 2 == 0 : pass == 0;
                for (int port = 0; port < kPorts; ++port) {
#pragma HLS unroll
                    word[port] = is_first ? results[port][w] : seconds[port][w];
                }
                write_word<0>(mem0, address[0] + unsigned(beat), word[0]);
                write_word<1>(mem1, address[1] + unsigned(beat), word[1]);
                write_word<2>(mem2, address[2] + unsigned(beat), word[2]);
            }
        }
        place += port_words(step.columns);
        out += unsigned(job.out.pitch);
        pre += unsigned(job.pre.pitch);
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
                          const ResultBuffer& seconds, const BiasBuffer& new_bias) {
    store_rows(mem0, mem1, mem2, job, step, results, seconds);
    if (makes_bias_gradient(step)) store_bias_gradient(mem0, job, step, new_bias);
}

}  // namespace peelvit

// Processes that talk through streams, in a dataflow loop.
#include <ap_int.h>
#include <hls_stream.h>

typedef ap_uint<32> word_t;

static void produce(const word_t* in, hls::stream<word_t>& out) {
produce_words:
  for (int i = 0; i < 64; ++i) {
#pragma HLS pipeline II=1 rewind
    out.write(in[i]);
  }
}

static void consume(hls::stream<word_t>& in, word_t* out) {
consume_words:
  for (int i = 0; i < 64; ++i) {
#pragma HLS PIPELINE II = 1 style=flp
    out[i] = in.read();
  }
}

struct Job {
  int rounds;
};

void copy(const word_t* in, word_t* out, const Job& job) {
round_loop:
  for (int round = 0; round < job.rounds; ++round) {
#pragma HLS loop_tripcount max=8
#pragma HLS dataflow
    hls::stream<word_t> words("words");
#pragma HLS stream variable=words depth=16 type=fifo
    produce(in, words);
    consume(words, out);
  }
}

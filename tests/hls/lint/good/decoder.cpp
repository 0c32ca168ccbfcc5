// The instruction loop: a bound from memory, a switch on the opcode, checks that leave early.
#include <cstdint>
#include <cstring>

#include "cycles.h"

enum class Status : std::uint32_t { kOk, kUnknownOpcode, kOutsideWindow };

struct Instruction {
  std::uint8_t opcode;
  std::uint32_t address;
  std::uint32_t words;
};

struct Window {
  std::uint32_t size;
  bool holds(const Instruction& op) const { return op.address <= size && op.words <= size - op.address; }
};

namespace {

const int kMaxWords = 256;

void fill(std::uint32_t* memory, const Instruction& op, std::uint32_t value) {
  std::uint32_t buffer[kMaxWords];
#pragma HLS array_reshape variable=buffer type=cyclic factor=4
#pragma HLS bind_storage variable=buffer type=ram_2p
fill_words:
  for (std::uint32_t i = 0; i < op.words; i++) {
    PIPELINE(i == 0, 1, 2);
#pragma HLS loop_tripcount max=kMaxWords
    buffer[i] = value;
  }
  std::memcpy(memory + op.address, buffer, sizeof(buffer));
}

template <typename Visit>
void each_bit(std::uint32_t mask, Visit visit) {
  for (int bit = 0; bit < 32; ++bit) {
#pragma HLS unroll factor=8
    if ((mask >> bit) & 1) visit(bit);
  }
}

}  // namespace

Status execute(std::uint32_t* memory, const Instruction program[64], std::uint32_t count, const Window& window) {
#pragma HLS interface mode=m_axi port=memory offset=slave
  int set = 0;
  each_bit(count, [&set](int bit) { set += bit; });
instructions:
  for (std::uint32_t at = 0; at < count; ++at) {
#pragma HLS loop_tripcount min=1 max=64
    const Instruction op = program[at];
    if (!window.holds(op)) return Status::kOutsideWindow;
    switch (op.opcode) {
      case 0: {
        fill(memory, op, 0);
        break;
      }
      case 1: fill(memory, op, set); break;
      default: return Status::kUnknownOpcode;
    }
  }
  return Status::kOk;
}

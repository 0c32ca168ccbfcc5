"""Every number of the estimate that the rendered source does not hold, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Assumption:
    """One number, its unit and its source."""

    value: float
    unit: str
    source: str


ASSUMPTIONS = {
    "clock_uncertainty": Assumption(0.27, "of the period", "Vitis HLS default (UG1399, config set_clock_uncertainty)"),
    "multiplier_stages": Assumption(3, "cycles", "DSP48E2 with A/B, M and P registers (UG579)"),
    "fabric_multiplier_bits": Assumption(4, "bits", "products with a factor of so few bits go to LUTs; assumed"),
    "lut_a_multiplier_tile": Assumption(
        17, "LUT", "adder of partial products where they leave the DSP column; assumed"
    ),
    "lut_a_divider_bit": Assumption(7.4, "LUT", "sequential divider of HLS: 238 LUT at 32 bits; assumed to scale"),
    "ff_a_divider_bit": Assumption(12.3, "FF", "sequential divider of HLS: 394 FF at 32 bits; assumed to scale"),
    "delay_add": Assumption(0.5, "ns", "carry chain entry and exit with net, -2 speed grade; assumed"),
    "delay_carry_bit": Assumption(0.015, "ns a bit", "CARRY8 of 0.1 ns a 8 bits (DS925), rounded up"),
    "delay_logic": Assumption(0.4, "ns", "one LUT6 with net; assumed"),
    "delay_mux": Assumption(0.5, "ns", "one multiplexer level with net; assumed"),
    "memory_stages": Assumption(1, "cycles", "block RAM with synchronous read, no output register"),
    "delay_memory": Assumption(1.2, "ns", "clock to output of block RAM without output register (DS925)"),
    "small_array": Assumption(4, "elements", "cut into registers where so few (config_array_partition, UG1399)"),
    "lutram_depth": Assumption(
        64, "words", "arrays of at most so many words become distributed RAM; HLS's usual choice"
    ),
    "lutram_bits": Assumption(
        1024, "bits", "arrays of at most so many bits become distributed RAM; HLS's usual choice"
    ),
    "lut_a_module": Assumption(60, "LUT", "state machine and handshake of a function instance; assumed"),
    "ff_a_module": Assumption(60, "FF", "state machine and handshake of a function instance; assumed"),
    "lut_a_loop": Assumption(40, "LUT", "control of a pipelined loop, enable chain; assumed"),
    "ff_a_stage": Assumption(2, "FF", "valid bit and exit condition of a pipeline stage"),
    "lut_a_channel": Assumption(25, "LUT", "ping-pong control of a dataflow channel; assumed"),
    "ff_a_channel": Assumption(12, "FF", "ping-pong control of a dataflow channel; assumed"),
    "lut_a_port": Assumption(1500, "LUT", "m_axi adapter of 128 bits, 64-bit addresses; from published HLS reports"),
    "ff_a_port": Assumption(2600, "FF", "m_axi adapter of 128 bits, 64-bit addresses; from published HLS reports"),
    "lut_a_register": Assumption(36, "LUT", "a 32-bit AXI-Lite register; from published HLS reports"),
    "ff_a_register": Assumption(40, "FF", "a 32-bit AXI-Lite register; from published HLS reports"),
}

A = {name: assumption.value for name, assumption in ASSUMPTIONS.items()}

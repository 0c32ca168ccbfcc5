"""The accelerator on a board with PYNQ: connection, bitstream, clock, registers and memory. numpy and pynq only."""

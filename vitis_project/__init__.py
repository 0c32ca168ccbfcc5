"""The way to a bitstream: Vitis HLS and Vivado scripts, rendered from a configuration, checked, run and read."""

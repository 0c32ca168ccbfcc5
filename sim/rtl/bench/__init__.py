"""cocotb benches of the accelerator's ports, for the shell and for exported RTL."""

"""The AXI-true RTL shell: SystemVerilog around the kernels' own C++, rendered from the register map."""

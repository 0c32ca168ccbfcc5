"""The demonstration: a sparse Vision Transformer trained by the simulated accelerator, beside a dense and a float one."""

"""The golden model: every operation of the accelerator in torch integers, on CPU or GPU, bit for bit (docs/numerics.md)."""

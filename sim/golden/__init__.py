"""The golden model: every operation of the accelerator in torch integers, on CPU or GPU (docs/numerics.md)."""

"""Modelled cycles of the accelerator, counted while its kernels run in C simulation."""

"""Kernels of the virtual board, one a file."""

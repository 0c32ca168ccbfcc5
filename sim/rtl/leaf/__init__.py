"""The leaf datapaths of the kernels as real RTL, made from the kernels' own C++ (docs/rtl.md)."""

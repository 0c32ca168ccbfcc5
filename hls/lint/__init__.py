"""Checks that kernel sources stay within what Vitis HLS 2021.1 synthesizes: `python -m hls.lint FILE_OR_DIR...`."""

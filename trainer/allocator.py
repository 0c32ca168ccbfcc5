"""Memory of large tensors on a CPU: kept by the process instead of being given back after each operation."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc reuse freed blocks of any size; False where there is no glibc.

    By default it maps every large block afresh and returns it when it is freed, so each activation's pages are zeroed
    and faulted in again in each step: about 7 % of a DeiT-S step (`python -m trainer.bench`).
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))

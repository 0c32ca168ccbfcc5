"""C simulation: the kernels' own C++ compiled for this machine."""

from sim.csim.build import VARIANTS, build, library

__all__ = ["VARIANTS", "build", "library"]

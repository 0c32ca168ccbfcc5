"""Two products in one multiplier (hls/include/types.hpp): exact for every 16-bit factor, as a processor makes them and
as the hardware does."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hls.render import HERE as HLS
from sim.csim.build import ap_types, compiler

EDGES = (-32768, -32767, -181, -1, 0, 1, 2, 32766, 32767)
PROGRAM = """
#include <cstdio>
#include "types.hpp"
using namespace peelvit;

// Reads factors, writes a0 b0 + a1 b1 by the identity.
int main() {
    int a0, a1, b0, b1;
    while (std::scanf("%d %d %d %d", &a0, &a1, &b0, &b1) == 4) {
        const acc_t sum = acc_t(crossed(factor_t(a0), factor_t(a1), factor_t(b0), factor_t(b1))) -
                          acc_t(own(factor_t(a0), factor_t(a1))) - acc_t(own(factor_t(b0), factor_t(b1)));
        std::printf("%lld\\n", (long long)sum);
    }
}
"""
BUILDS = {
    "native": ["-DPEELVIT_NATIVE"],
    "arbitrary precision": ["-isystem", str(ap_types())],
}


def factors() -> np.ndarray:
    """int64 [cases, 4]: all edges against each other, and random ones."""
    edges = np.array(list(itertools.product(EDGES, repeat=4)))
    return np.concatenate([edges, np.random.default_rng(1).integers(-32768, 32768, (2000, 4))])


@pytest.mark.parametrize("build", BUILDS)
def test_crossed_products_less_their_own_are_a_dot_product(build: str, tmp_path: Path) -> None:
    (tmp_path / "crossed.cpp").write_text(PROGRAM)
    program = tmp_path / "crossed"
    flags = ["-std=c++17", "-O1", "-fwrapv", "-w", f"-I{HLS / 'include'}", *BUILDS[build]]
    subprocess.run([compiler(), *flags, str(tmp_path / "crossed.cpp"), "-o", str(program)], check=True)
    cases = factors()
    lines = "\n".join(" ".join(map(str, case)) for case in cases.tolist())
    made = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True).stdout.split()
    expected = cases[:, 0] * cases[:, 2] + cases[:, 1] * cases[:, 3]
    assert [int(one) for one in made] == expected.tolist()

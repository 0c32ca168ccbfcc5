"""Every leaf datapath: XLS's compilation of it equals the golden model."""

from __future__ import annotations

import pytest

from hls.spec.config import load
from sim.rtl.leaf.flow import FOLDER, made, translated
from sim.rtl.leaf.jit import mismatch
from sim.rtl.leaf.simulate import simulate
from sim.rtl.leaf.table import leaves
from sim.rtl.leaf.vectors import SOURCES
from sim.rtl.leaf.xls_ir import Translated

CONFIG = load("toy")


@pytest.fixture(scope="module")
def in_xls() -> dict[str, Translated]:
    return {each.leaf.name: each for each in translated(CONFIG)}


def test_every_leaf_has_vectors() -> None:
    assert list(SOURCES) == list(leaves(CONFIG))


@pytest.mark.parametrize("name", list(SOURCES))
def test_a_leaf_equals_the_golden_model(name: str, in_xls: dict[str, Translated]) -> None:
    assert mismatch(CONFIG, in_xls[name], 1000) == ""


@pytest.mark.slow
def test_the_verilog_of_all_leaves_gives_a_result_a_cycle() -> None:
    assert simulate(CONFIG, made(CONFIG), FOLDER / "test", 2000) == {}

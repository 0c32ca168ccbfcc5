"""The profile of the host: one start a step, parts that add up to less than the whole, and a kernel that keeps time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.system import MEMORY_PORTS
from host.errors import PeelVitError
from sim.board import profile
from sim.board.paced import PacedKernel

MODEL = "vit:image=32,patch=8,dim=16,depth=2,heads=2,mlp=32,classes=4"


def test_a_profile_of_a_small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "profile.json"
    arguments = ["--config", "toy", "--model", MODEL, "--batch", "2", "--steps", "3", "--levels", "dense"]
    monkeypatch.setattr(sys, "argv", ["profile", *arguments, "--json", str(target)])
    assert profile.main() in (0, 1)
    (row,) = json.loads(target.read_text())["rows"]
    assert (row["steps"], row["starts_per_step"]) == (3, 1.0)
    assert row["overhead_ms"] > row["best_overhead_ms"] * 0.99 > 0
    assert row["part"] == pytest.approx(row["overhead_ms"] / row["modelled_ms"], abs=1e-4)
    assert set(row["parts_ms"]) == {*profile.PARTS, profile.START, profile.END, profile.BESIDE}
    assert all(
        row["parts_ms"][name] > 0 for name in ("write inputs", "flush", "read results", profile.END, profile.BESIDE)
    )


def test_a_paced_kernel_refuses_as_the_real_one_does() -> None:
    kernel = PacedKernel(load("toy"))
    registers = {"window_words": 0, "program": 0} | {port.argument: 0 for port in MEMORY_PORTS}
    assert kernel.run(registers, np.zeros(0, np.uint8)).hash == load("toy").hash
    assert kernel.runs == 0


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(PeelVitError, match="give 1 or more"):
        profile._count(text)

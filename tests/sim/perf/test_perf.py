"""The performance report: figures that follow from a run, beside the paper's and the bound."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.instruction import Instruction
from hls.spec.ops import BY_NAME
from host.device import Counters
from host.devices.csim import CsimDevice
from host.model import parse_model
from sim.csim import build
from sim.macs import macs
from sim.perf.levels import EPOCH_IMAGES, LEVELS
from sim.perf.measure import OTHER, Run, measure
from sim.perf.report import instruction_table, tables, write_json

SMALL = "vit:image=24,patch=4,channels=1,dim=24,depth=5,heads=2,mlp=40,classes=5"


def attention(key_count: int) -> Instruction:
    flags = frozenset({"SPARSE"} if key_count else ())
    shape = {"batch": 2, "patches": 10, "heads": 3, "head_dim": 8, "key_count": key_count, "queries": 11, "map_rows": 0}
    return Instruction(BY_NAME["attention"], dimensions=shape, flags=flags)


def test_macs_of_attention_count_the_keys_that_are_read() -> None:
    width = 3 * 8
    assert macs(attention(0)) == 2 * 2 * 11 * 11 * width
    assert macs(attention(4)) == 2 * 2 * (11 + 10 * 5) * width
    assert macs(attention(10)) == macs(attention(0))


def run_of(purpose: str, level: str, cycles: int = 1_500_000, batch: int = 1) -> Run:
    gemm = Instruction(BY_NAME["gemm_nt"], dimensions={"rows": 100, "split": 0, "n": 252, "k": 1000, "period": 100})
    kinds, words = np.array([[cycles - 2000, 900, 500, 100]]), np.array([[500, 0, 0, 0, 500, 0]])
    counters = Counters(kinds, words, ("multiply",))
    return Run(
        load("zcu102"), "deit_tiny_patch16_224", purpose, level, batch, cycles, (gemm,), ("head forward",), counters
    )  # fmt: skip


def test_inference_is_in_milliseconds() -> None:
    row = run_of("inference", "0.8").as_dict()
    assert row["ms_per_image"] == pytest.approx(10.0)
    assert row["hours_per_epoch"] is None
    assert row["paper"] == 8.5
    assert row["bound"] == pytest.approx(25_200_000 / 2520 / 150e3)
    assert row["ddr_bytes_per_image"] == 16_000
    assert row["mac_utilisation"] == pytest.approx(25_200_000 / (1_500_000 * 2048))


def test_training_is_in_hours_of_the_kept_examples() -> None:
    run = run_of("training", "0.9", batch=2)
    assert run.ms == pytest.approx(5.0)
    assert run.modelled == pytest.approx(5.0 * 0.95 * EPOCH_IMAGES / 3.6e6)
    assert run.paper == 11.49


def test_cycles_by_kind_sum_up() -> None:
    run = run_of("inference", "dense")
    kinds = run.by_kind()
    assert set(kinds) == {"gemm_nt", OTHER}
    assert sum(kinds.values()) == pytest.approx(run.ms)


def test_report_says_what_is_modelled(tmp_path: Path) -> None:
    runs = [run_of(purpose, level) for purpose in ("inference", "training") for level in LEVELS]
    text = tables(runs)
    for word in ("modelled", "paper", "bound"):
        assert word in text
    assert "10.91" in text
    assert "21.15" not in text
    assert "head forward" in instruction_table(runs[0])
    write_json(tmp_path / "reports/perf.json", runs)
    content = json.loads((tmp_path / "reports/perf.json").read_text())
    assert content["board"] == "zcu102"
    assert [run["level"] for run in content["runs"][:4]] == list(LEVELS)
    assert content["runs"][3]["keep"] == {"examples": 0.9, "tokens": 0.7, "attention": 0.6}


@cache
def toy() -> CsimDevice:
    config = load("toy")
    build(config, "fast")
    return CsimDevice(config)


@pytest.mark.parametrize("purpose", ["inference", "training"])
def test_a_small_model_is_measured(purpose: str) -> None:
    dense, sparse = (
        measure(toy(), parse_model(SMALL), purpose, level, batch=1, memory_limit=1 << 26) for level in ("dense", "0.7")
    )
    assert dense.paper is None
    assert 0 < dense.as_dict()["mac_utilisation"] < 1
    assert sparse.macs < dense.macs
    assert dense.bound < dense.modelled
    assert int(dense.counters.instruction_cycles.sum()) < dense.cycles

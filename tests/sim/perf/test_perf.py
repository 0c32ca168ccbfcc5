"""The performance report: figures that follow from a run, beside the paper's and the bound."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hls.area.estimate import Estimate, Row
from hls.spec.config import load
from hls.spec.devices import Resources
from hls.spec.instruction import Instruction
from hls.spec.ops import BY_NAME
from host.device import Counters
from host.devices.csim import CsimDevice
from host.model import parse_model
from sim.csim import build
from sim.macs import macs
from sim.perf.__main__ import main
from sim.perf.connections import connection_rows, connection_table
from sim.perf.energy import joules
from sim.perf.levels import EPOCH_IMAGES, LEVELS
from sim.perf.measure import measure
from sim.perf.plots import write_pictures
from sim.perf.report import instruction_table, split_table, tables, targets, write_json
from sim.perf.resources import resources
from sim.perf.run import OTHER, Run

SMALL = "vit:image=24,patch=4,channels=1,dim=24,depth=5,heads=2,mlp=40,classes=5"


def attention(key_count: int, passes: tuple[str, ...] = ("SCORES", "VALUES")) -> Instruction:
    flags = frozenset({"SPARSE", *passes} if key_count else passes)
    shape = {"batch": 2, "patches": 10, "heads": 3, "head_dim": 8, "key_count": key_count, "queries": 11}
    shape |= {"first": 0, "count": 11, "map_rows": 0, "gap": 0, "skipped": 0}
    return Instruction(BY_NAME["attention"], dimensions=shape, flags=flags)


def test_macs_of_attention_count_the_keys_that_are_read() -> None:
    width = 3 * 8
    assert macs(attention(0)) == 2 * 2 * 11 * 11 * width
    assert macs(attention(4)) == 2 * 2 * (11 + 10 * 5) * width
    assert macs(attention(10)) == macs(attention(0))
    for key_count in (0, 4):
        assert sum(macs(attention(key_count, (one,))) for one in ("SCORES", "VALUES")) == macs(attention(key_count))


def run_of(purpose: str, level: str, cycles: int = 1_500_000, batch: int = 1) -> Run:
    gemm = Instruction(BY_NAME["gemm_nt"], dimensions={"rows": 100, "split": 0, "n": 252, "k": 1000, "period": 100})
    kinds, words = np.array([[cycles - 2000, 900, 500, 100]]), np.array([[500, 0, 0, 0, 500, 0]])
    counters = Counters(kinds, words, ("multiply",))
    names, keep = ("head forward",), LEVELS[level]
    model = "deit_tiny_patch16_224"
    return Run(load("zcu102"), model, purpose, level, keep, batch, cycles, (gemm,), names, counters)


def test_inference_is_in_milliseconds() -> None:
    row = run_of("inference", "0.8").as_dict()
    assert row["ms_per_image"] == pytest.approx(10.0)
    assert row["hours_per_epoch"] is None
    assert row["paper"] == 8.5
    assert row["bound"] == pytest.approx(25_200_000 / 2520 / 150e3)
    assert row["ddr_bytes_per_image"] == 16_000
    assert row["mac_utilisation"] == pytest.approx(25_200_000 / (1_500_000 * load("zcu102").macs))


def test_training_is_in_hours_of_the_kept_examples() -> None:
    run = run_of("training", "0.9", batch=2)
    assert run.ms == pytest.approx(5.0)
    assert run.modelled == pytest.approx(5.0 * 0.95 * EPOCH_IMAGES / 3.6e6)
    assert run.paper == 11.49


@pytest.mark.parametrize(
    ("purpose", "batch", "level", "expected"),
    [
        ("inference", 1, "dense", 5.0),
        ("training", 16, "0.7", 3.5),
        ("training", 1, "dense", 13.79 / 1.5),
        ("inference", 16, "dense", None),
        ("training", 4, "dense", None),
    ],
)
def test_targets(purpose: str, batch: int, level: str, expected: float | None) -> None:
    run = run_of(purpose, level, batch=batch)
    assert run.target == (None if expected is None else pytest.approx(expected))
    assert run.held is (None if expected is None else run.modelled <= expected)


def test_a_missed_target_names_what_binds() -> None:
    slow, fast = run_of("inference", "dense"), run_of("inference", "0.7", cycles=300_000)
    text = targets([slow, fast])
    assert "missed: multiply-accumulate array 100%; task multiply" in text
    assert "held" in text


@pytest.mark.parametrize("parts", [Run.ops, Run.layers, Run.passes])
def test_parts_sum_up(parts: Callable[[Run], tuple[str, ...]]) -> None:
    run = run_of("inference", "dense")
    split = run.split(parts(run))
    assert OTHER in split
    assert sum(float(kinds.sum()) for kinds in split.values()) == pytest.approx(run.ms)
    assert sum(run.by_kind().values()) == pytest.approx(run.ms)


def test_energy_is_power_times_time() -> None:
    least, most = joules(10.0)
    assert least == pytest.approx(0.0742, abs=1e-4)
    assert most == pytest.approx(0.10697)
    assert run_of("inference", "dense").as_dict()["estimated_joules_per_image"] == {"low": least, "high": most}


def test_report_says_what_is_modelled(tmp_path: Path) -> None:
    runs = [run_of(purpose, level) for purpose in ("inference", "training") for level in LEVELS]
    text = tables(runs)
    for word in ("modelled", "paper", "bound", "target", "estimate"):
        assert word in text
    assert "10.91" in text
    assert "head forward" in instruction_table(runs[0])
    assert "head" in split_table(runs[0])
    write_json(tmp_path / "reports/perf.json", runs, {"dsp": 1, "bram36": 2.5, "lut": 3, "ff": 4}, [])
    content = json.loads((tmp_path / "reports/perf.json").read_text())
    assert content["board"] == "zcu102"
    assert content["clock_mhz"] == 150
    assert content["resources"]["bram36"] == 2.5
    assert [run["level"] for run in content["runs"][:4]] == list(LEVELS)
    assert content["runs"][3]["keep"] == {"examples": 0.9, "tokens": 0.7, "attention": 0.6}


@cache
def toy() -> CsimDevice:
    config = load("toy")
    build(config, "fast")
    return CsimDevice(config)


def small(purpose: str, level: str) -> Run:
    return measure(toy(), parse_model(SMALL), purpose, level, LEVELS[level], batch=1, memory_limit=1 << 26)


@pytest.mark.parametrize("purpose", ["inference", "training"])
def test_a_small_model_is_measured(purpose: str) -> None:
    dense, sparse = small(purpose, "dense"), small(purpose, "0.7")
    assert dense.paper is None
    assert 0 < dense.mac_utilisation < 1
    assert sparse.macs < dense.macs
    assert dense.bound < dense.modelled
    assert 0 < dense.outside < dense.cycles
    assert set(dense.passes()) == ({"forward"} if purpose == "inference" else {"forward", "backward", "update"})
    assert {"patch_embed", "blocks.0", "blocks.4", "head"} <= set(dense.layers())
    *_, (start, length) = dense.spans()
    assert start + length == pytest.approx(dense.ms_of(dense.cycles - dense.outside))


@pytest.mark.parametrize("level", ["dense", "0.7"])
def test_no_instruction_beats_the_hardware(level: str) -> None:
    """A stream moves a word a cycle; the DDR memory and the array do what they can."""
    run = small("training", level)
    cycles, words = run.counters.instruction_alone, run.counters.instruction_words
    work = np.array([macs(instruction) for instruction in run.instructions])
    assert (cycles >= words.max(axis=1) + run.config.read_latency).all()
    assert (cycles * run.config.ddr_words_per_thousand_cycles >= 1000 * words.sum(axis=1)).all()
    assert (cycles * run.config.macs >= work).all()
    assert (run.counters.instruction_kinds >= 0).all()


def test_a_measured_program_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = small("inference", "dense")
    monkeypatch.setattr(CsimDevice, "run", None)
    again = small("inference", "dense")
    assert again.cycles == first.cycles
    assert (again.counters.instruction_kinds == first.counters.instruction_kinds).all()
    assert again.counters.instruction_bounds == first.counters.instruction_bounds


def test_pictures(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, small("inference", "dense"))
    assert [path.name.split("-")[0] for path in paths] == ["roofline", "timeline"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_attention_table_counts_the_layers_behind_a_selector() -> None:
    rows = connection_rows(toy(), parse_model(SMALL), 1 << 26, ratios=(1.0, 0.3))
    assert [row["attention"] for row in rows] == [1.0, 0.3]
    assert rows[0]["select_ms"] == 0 < rows[1]["select_ms"]
    assert rows[1]["backward_ms"] > 0
    assert "100%" in connection_table(rows)


@pytest.mark.parametrize("waits", [[], ["--rows-wait"]])
def test_the_command_line(
    waits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "perf.json"
    report = str(Path(__file__).with_name("csynth.xml"))
    options = ["--models", SMALL, "--config", "toy", "--batch", "2", "--levels", "dense", "--json", str(path)]
    options += ["--split", "--instructions", "--no-resources", *waits]
    monkeypatch.setattr(
        "sys.argv", ["perf", *options, "--csynth", report, "--split", "--instructions", "--no-resources", *waits]
    )
    main()
    text = capsys.readouterr().out
    assert ("pessimistic" in text) == bool(waits)
    assert "csynth II" in text
    content = json.loads(path.read_text())
    assert [(run["pass"], run["micro_batch"]) for run in content["runs"]] == [("inference", 1), ("training", 2)]
    assert len(content["attention"]) == 5
    assert len(list(tmp_path.glob("*.png"))) == 4


@pytest.mark.parametrize("lut", [100, 400_000])
def test_resources_beside_the_device(lut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    total = Resources(dsp=2000, bram36=900.5, lut=lut, ff=10)
    found = Estimate("zcu102", load("zcu102").part, [Row(0, "top", total, total)], [])
    monkeypatch.setattr("sim.perf.resources.estimate", lambda config: found)
    counts, line = resources(load("zcu102"))
    assert counts == {"dsp": 2000, "bram36": 900, "lut": lut, "ff": 10}
    assert ("DOES NOT FIT" in line) == (lut > 219_264)

"""The host's own runtime drives the simulated RTL: train_edge.py, PYNQ, the virtual board, true AXI."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hls.spec.config import load
from host.checkpoint import CHECKPOINT_NAME, load_checkpoint
from sim.board.kernel import open_kernel
from tests.sim.board.runs import RUN, on_board, serve, train


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    open_kernel("rtl", load("toy"))  # compiled now, not while a host waits


def assert_same_training(run: Path, undisturbed: Path) -> None:
    """Equal in all that was trained; cycles are counted on the bus, so there are more than modelled."""
    (arrays, meta), (expected, modelled) = (load_checkpoint(each / CHECKPOINT_NAME) for each in (run, undisturbed))
    assert arrays.keys() == expected.keys()
    assert not [name for name in expected if not np.array_equal(arrays[name], expected[name])]
    assert meta["position"] == modelled["position"]
    assert (run / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    cycles, least = meta["totals"]["last_cycles"], modelled["totals"]["last_cycles"]
    assert least <= cycles <= 1.5 * least


def test_training_on_rtl_gives_the_bits_of_the_c_simulation(bitfile: Path, undisturbed: Path, tmp_path: Path) -> None:
    with closing(serve(kernel="rtl")) as server:
        code, errors = train(*RUN, *on_board(server, bitfile), "--output", tmp_path / "run")
    assert (code, errors) == (0, "")
    assert_same_training(tmp_path / "run", undisturbed)


def test_an_error_on_the_bus_stops_the_host_and_resuming_gives_the_same_bits(
    bitfile: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with closing(serve("axi-slverr@6", kernel="rtl")) as server:
        place = on_board(server, bitfile)
        code, errors = train(*RUN, *place, "--output", run)
        assert code == 2
        assert "AXI SLVERR" in errors
        assert train("--resume", run, "--no-progress", *place) == (0, "")
    assert_same_training(run, undisturbed)

"""Training on the virtual board: the C simulation's bits, whatever the board does on the way."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from host.checkpoint import CHECKPOINT_NAME, load_checkpoint
from sim.board.faults import KINDS
from tests.sim.board.runs import RUN, on_board, serve, state, train

WITHOUT_EFFECT = ("slow-link", "no-ranges", "no-ecc", "bit-flip-corrected@6")
"""Faults that a run survives by itself."""

STOPPING = {
    "axi-slverr@6": "AXI SLVERR",
    "axi-decerr@6": "AXI DECERR",
    "hang@6": "did not finish within 2 s",
    "bit-flip@6": "ECC could not correct",
    "connection-loss@6": "the connection to the board",
    "no-answer@6": "does not answer any more",
}
"""Faults in the 6th run, and what the program says of them; then the next run goes on."""

REFUSED = {
    "stale-hwh": "the .hwh beside it",
    "wrong-clock": "reads back as",
    "no-cma": "of contiguous memory but 4.0 MiB are free",
}
"""Faults that are found out before anything runs."""

BIGGER = ("--model", "vit:image=32,patch=4,dim=64,depth=4,heads=2,mlp=128", "-b", "16")


def test_every_fault_is_tried() -> None:
    tried = {text.partition("@")[0] for text in (*WITHOUT_EFFECT, *STOPPING, *REFUSED)}
    assert tried == set(KINDS)


@pytest.mark.parametrize("faults", [(), *((kind,) for kind in WITHOUT_EFFECT)])
def test_training_gives_the_bits_of_the_c_simulation(
    faults: tuple[str, ...], bitfile: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with closing(serve(*faults)) as server:
        assert train(*RUN, *on_board(server, bitfile), "--output", tmp_path / "run") == (0, "")
        assert server.board.memory.free == server.board.memory.size  # nothing is left behind
    assert state(tmp_path / "run") == state(undisturbed)


@pytest.mark.parametrize("fault", STOPPING)
def test_a_fault_stops_with_a_sentence_and_resuming_gives_the_same_bits(
    fault: str, bitfile: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with closing(serve(fault)) as server:
        place = (*on_board(server, bitfile), "--timeout", "2")
        code, errors = train(*RUN, *place, "--output", run)
        assert code == 2
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1
        assert STOPPING[fault] in errors
        load_checkpoint(run / CHECKPOINT_NAME)
        for _ in range(5):  # the server may still be away
            code, errors = train("--resume", run, "--no-progress", *place)
            if "no board answers" not in errors and "does not answer" not in errors:
                break
        assert (code, errors) == (0, "")
    assert state(run) == state(undisturbed)


def test_a_fault_before_the_first_checkpoint_leaves_nothing_and_starting_again_gives_the_same_bits(
    bitfile: Path, undisturbed: Path, tmp_path: Path
) -> None:
    arguments = (*RUN, "--output", tmp_path / "run")
    with closing(serve("bit-flip@1", "axi-slverr@4")) as server:
        place = on_board(server, bitfile)
        assert [train(*arguments, *place)[0] for _ in range(3)] == [2, 2, 0]
    assert state(tmp_path / "run") == state(undisturbed)


@pytest.mark.parametrize("fault", REFUSED)
def test_a_board_that_cannot_work_is_refused(fault: str, bitfile: Path, tmp_path: Path) -> None:
    with closing(serve(fault)) as server:
        code, errors = train(*RUN, *BIGGER, *on_board(server, bitfile), "--output", tmp_path / "run")
        assert server.board.runs == 0
    assert code == 2
    assert errors.count("\n") == 1
    assert REFUSED[fault] in errors

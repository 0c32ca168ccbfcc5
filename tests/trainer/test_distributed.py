"""Several processes: what they exchange, that example methods agree, and what happens when one dies.

Run as a program, this file is one of the two processes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from host.errors import PeelVitError
from trainer import distributed
from trainer.data.randomness import random_state
from trainer.examples.registry import create_example_method, example_method_names
from trainer.scoring import Presentations

N, EPOCHS, GLOBAL_BATCH = 40, 6, 8
OPTIONS = {
    "trilevel": {"period_epochs": 2, "remove_fraction": 0.1},
    "random": {"period_epochs": 2, "remove_fraction": 0.1},
    "forgetting": {"score_fraction": 0.5},
    "el2n": {"score_epochs": 3},
}


def run_method(name: str, rank: int, world: int, micro_batches: int) -> dict[str, np.ndarray]:
    """The orders and last state of a run on made-up outcomes; resumed once within an epoch.

    Every example is shown three times an epoch, on either rank and also twice in a step.
    """

    def new() -> object:
        keep = 1.0 if name in ("all", "infobatch") else 0.7
        return create_example_method(name, N, keep_ratio=keep, epochs=EPOCHS, seed=3, **OPTIONS.get(name, {}))

    method, result = new(), {}
    for epoch in range(EPOCHS):
        plan = method.plan(epoch)
        result[f"order{epoch}"] = plan.order
        shown = random_state(98, epoch).permutation(np.repeat(plan.order, 3))
        outcomes = torch.from_numpy(random_state(99, epoch).random_sample((len(shown), 4)))
        for step, start in enumerate(range(0, len(shown), GLOBAL_BATCH)):
            part = GLOBAL_BATCH // world
            own = np.arange(len(shown))[start + rank * part : start + (rank + 1) * part]
            for piece in np.array_split(own, micro_batches):
                numbers = outcomes[piece].unbind(1)
                seen = Presentations(torch.from_numpy(shown[piece]), numbers[0] < 0.6, *numbers[:3], numbers[3])
                method.record(seen, step if micro_batches > 1 else None)
            if (epoch, step) == (2, 1):
                state, method = method.state_dict(), new()
                method.load_state_dict(state)
        method.end_epoch(epoch)
    return result | method.state_dict()


def main(rank: int, folder: Path) -> None:
    distributed.init_from_environment("cpu")
    own = rank + 1
    gathered = distributed.gather_rows(
        {"number": torch.arange(own) + 10 * rank, "pair": torch.full((own, 2), 0.5 * own), "truth": torch.ones(own) > 0}
    )
    result = {name: tensor.numpy() for name, tensor in gathered.items()}
    result["nobody"] = distributed.gather_rows({"rows": torch.empty(0, 3)})["rows"].numpy()
    result["mean"] = distributed.mean(torch.tensor([1.0, 2.0 * own])).numpy()
    result["total"] = distributed.total(torch.tensor(own)).numpy()
    result["facts"] = np.array([distributed.rank(), distributed.world_size(), distributed.is_main()])
    for name in example_method_names():
        for parts in (1, 2):
            result |= {f"{name}/{parts}/{key}": array for key, array in run_method(name, rank, 2, parts).items()}
    np.savez(folder / f"rank{rank}.npz", **result)
    distributed.barrier()
    if rank == 1:
        os._exit(0)  # as if it were killed
    try:
        distributed.mean(torch.ones(3))
    except PeelVitError as error:
        (folder / "message").write_text(str(error))
    distributed.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two processes that ran `main`."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(__file__).parents[2]
    shared = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, np.ndarray]]:
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in range(2)]


def test_rows_are_gathered_in_rank_order(ranks: list[dict[str, np.ndarray]]) -> None:
    for result in ranks:
        assert result["number"].tolist() == [0, 10, 11]
        assert result["pair"].tolist() == [[0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]
        assert result["truth"].tolist() == [True] * 3
        assert result["nobody"].shape == (0, 3)


def test_means_and_facts(ranks: list[dict[str, np.ndarray]]) -> None:
    for rank, result in enumerate(ranks):
        assert result["mean"].tolist() == [1.0, 3.0]
        assert result["total"] == 3
        assert result["facts"].tolist() == [rank, 2, rank == 0]


@pytest.mark.parametrize("name", example_method_names())
@pytest.mark.parametrize("micro_batches, alone_in", [(1, 1), (2, 4)])
def test_two_ranks_choose_as_one(
    name: str, micro_batches: int, alone_in: int, ranks: list[dict[str, np.ndarray]]
) -> None:
    alone = run_method(name, 0, 1, alone_in)
    for result in ranks:
        for key, array in alone.items():
            np.testing.assert_array_equal(result[f"{name}/{micro_batches}/{key}"], array, err_msg=key)


def test_a_lost_peer_is_one_sentence(folder: Path) -> None:
    assert "another process of the run has ended" in (folder / "message").read_text()
    assert "--resume" in (folder / "message").read_text()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    distributed.shutdown()


def test_a_single_process_does_nothing(environment: pytest.MonkeyPatch) -> None:
    assert distributed.init_from_environment("cpu") == torch.device("cpu")
    rows = {"a": torch.arange(3)}
    assert distributed.gather_rows(rows)["a"] is rows["a"]
    assert distributed.mean(torch.tensor(2.0)) == 2
    distributed.barrier()
    assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
    assert not torch.distributed.is_initialized()


def test_torchrun_with_one_process_is_a_single_process(environment: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_ADDR": "x", "MASTER_PORT": 1}.items():
        environment.setenv(name, str(value))
    distributed.init_from_environment("cpu")
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("variables", "match"),
    [
        ({"RANK": "0"}, "sets RANK but not WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        ({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "RANK=2"),
        ({"RANK": "a", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "RANK=a"),
    ],
)
def test_half_an_environment_is_refused(environment: pytest.MonkeyPatch, variables: dict[str, str], match: str) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(PeelVitError, match=match):
        distributed.init_from_environment("cpu")


def test_more_processes_than_gpus_are_refused(environment: pytest.MonkeyPatch) -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in variables.items():
        environment.setenv(name, value)
    environment.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(PeelVitError, match="process 1 of this host has no GPU, there are 1"):
        distributed.init_from_environment("cuda")


def test_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="shape"), distributed.peers_alive():
        raise RuntimeError("shape mismatch")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

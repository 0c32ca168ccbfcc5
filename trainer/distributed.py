"""The few things a run of several processes needs; every one does nothing, and costs nothing, in a single process.

Processes are started by `torchrun`, which describes them in the environment. Collectives (`gather_rows`, `mean`,
`total`, `barrier`) must be called by every rank in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from host.errors import PeelVitError

TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others in a collective before it gives up."""

_OWN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_VARIABLES = (*_OWN, "MASTER_ADDR", "MASTER_PORT")
_SIGNS_OF_A_LOST_PEER = ("gloo", "connection closed", "connection reset", "connection refused", "timed out")


def rank() -> int:
    """Number of this process among all of the run, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes of the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the process that writes files and prints."""
    return rank() == 0


def init_from_environment(device: torch.device | str, timeout: timedelta = TIMEOUT) -> torch.device:
    """Join the other processes `torchrun` started, if it did; returns the device of this process.

    Processes on CPU talk by gloo, those on CUDA by NCCL, each on the GPU of its LOCAL_RANK. Without torchrun's
    variables, or with a single process, nothing happens and `device` is returned as given. `PeelVitError` when only
    some of the variables are set, when there are fewer GPUs than processes, or when the others cannot be reached.
    """
    device = torch.device(device)
    if not any(name in os.environ for name in _OWN):
        return device
    numbers = _environment()
    if numbers["WORLD_SIZE"] == 1:
        return device
    if device.type == "cuda":
        device = _gpu(numbers["LOCAL_RANK"])
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise PeelVitError(
            f"process {numbers['RANK']} of {numbers['WORLD_SIZE']} could not join the run at "
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}; check that torchrun was started on every host "
            "with the same address"
        ) from error
    return device


def _environment() -> dict[str, int]:
    """RANK, WORLD_SIZE and LOCAL_RANK as numbers, all of them sensible."""
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        given = ", ".join(name for name in _VARIABLES if name in os.environ)
        raise PeelVitError(
            f"the environment sets {given} but not {', '.join(missing)}; start several processes with torchrun, "
            "or unset them for a single one"
        )
    try:
        numbers = {name: int(os.environ[name]) for name in _OWN}
    except ValueError:
        numbers = dict.fromkeys(_OWN, -1)
    if not 0 <= numbers["LOCAL_RANK"] <= numbers["RANK"] < numbers["WORLD_SIZE"]:
        values = ", ".join(f"{name}={os.environ[name]}" for name in _OWN)
        raise PeelVitError(f"the environment sets {values}, which describes no process; start with torchrun")
    return numbers


def _gpu(number: int) -> torch.device:
    if number >= torch.cuda.device_count():
        raise PeelVitError(
            f"process {number} of this host has no GPU, there are {torch.cuda.device_count()}; "
            "start torchrun with --nproc-per-node at most that"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@contextmanager
def peers_alive() -> Iterator[None]:
    """Turn the many ways in which a collective fails when another process died into one `PeelVitError`.

    For own collectives and around a step of `DistributedDataParallel`; other errors pass unchanged. (NCCL may instead
    end this process from its watchdog, after the timeout; torchrun then reports the rank that failed first.)
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_lost_peer(error):
            raise
        raise PeelVitError(
            "another process of the run has ended; see its message for the reason, then start all of them again and "
            "resume with --resume"
        ) from error


def _is_lost_peer(error: RuntimeError) -> bool:
    if not dist.is_initialized():
        return False
    return isinstance(error, dist.DistError) or any(sign in str(error).lower() for sign in _SIGNS_OF_A_LOST_PEER)


def gather_rows(rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Concatenate every tensor [rows, ...] over the ranks, in rank order; ranks may have different numbers of rows.

    All tensors of a rank have the same number of rows; names, types and the other dimensions agree between ranks.
    Collective; waits for the device.
    """
    if world_size() == 1 or not rows:
        return dict(rows)
    own = next(iter(rows.values()))
    with peers_alive():
        counts = [torch.zeros(1, dtype=torch.int64, device=own.device) for _ in range(world_size())]
        dist.all_gather(counts, torch.full((1,), len(own), dtype=torch.int64, device=own.device))
        lengths = [int(count) for count in counts]
        return {name: _gather(tensor, lengths) for name, tensor in rows.items()}


def _gather(tensor: Tensor, lengths: list[int]) -> Tensor:
    """One tensor [rows, ...] of every rank, padded on the way to the longest of `lengths`."""
    longest = tensor.new_zeros((max(lengths), *tensor.shape[1:]))
    longest[: len(tensor)] = tensor
    gathered = [torch.empty_like(longest) for _ in lengths]
    dist.all_gather(gathered, longest)
    return torch.cat([part[:length] for part, length in zip(gathered, lengths, strict=True)])


def total(value: Tensor) -> Tensor:
    """Sum of `value` (any shape, same on every rank) over the ranks, as a new tensor. Collective."""
    if world_size() == 1:
        return value
    result = value.detach().clone()
    with peers_alive():
        dist.all_reduce(result)
    return result


def mean(value: Tensor) -> Tensor:
    """Mean of a floating-point `value` (any shape, same on every rank) over the ranks. Collective."""
    return total(value) / world_size()


def barrier() -> None:
    """Wait for all ranks. Collective."""
    if world_size() > 1:
        with peers_alive():
            dist.barrier()


def shutdown() -> None:
    """Leave the run; safe to call twice, and when the others are gone."""
    if dist.is_initialized():
        dist.destroy_process_group()

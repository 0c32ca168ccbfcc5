"""Where the time of an epoch goes, part by part, without making the device wait."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")

_Events = tuple[torch.cuda.Event, torch.cuda.Event]


class Stopwatch:
    """Seconds by part: of the device for `of_device` on a GPU, of the host otherwise.

    What runs on the host is counted twice: as it passes, and as `<part>_cpu` the seconds of all of this process's
    threads, which other programs on the machine do not lengthen.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None
        self._seconds: dict[str, float] = defaultdict(float)
        self._began: dict[str, tuple[float, float]] = {}
        self._events: dict[str, list[_Events]] = defaultdict(list)

    @contextmanager
    def of_host(self, part: str) -> Iterator[None]:
        """Time spent in the block by this process, waiting included."""
        self._began[part] = _now()
        try:
            yield
        finally:
            self._count(part)
            del self._began[part]

    def _count(self, part: str) -> None:
        passed, now = self._began[part], _now()
        self._seconds[part] += now[0] - passed[0]
        self._seconds[f"{part}_cpu"] += now[1] - passed[1]
        self._began[part] = now

    @contextmanager
    def of_device(self, part: str) -> Iterator[None]:
        """Time that the block's work takes on the device, whenever it gets to it."""
        if self._gpu is None:
            with self.of_host(part):
                yield
            return
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        try:
            yield
        finally:
            end.record()
            self._events[part].append((begin, end))

    def waits(self, items: Iterable[T], part: str) -> Iterator[T]:
        """The items, with the time spent waiting for each counted as `part`."""
        iterator = iter(items)
        while True:
            with self.of_host(part):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def take(self) -> dict[str, float]:
        """Seconds by part since the last call, those of blocks still open included; waits for the device."""
        for part in self._began:
            self._count(part)
        if self._gpu is not None:
            torch.cuda.synchronize(self._gpu)
            for part, pairs in self._events.items():
                self._seconds[part] += sum(begin.elapsed_time(end) for begin, end in pairs) / 1e3
        taken = dict(self._seconds)
        self._seconds.clear()
        self._events.clear()
        return taken


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()

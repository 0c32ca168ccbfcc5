"""Energy of a run: rails sampled by a background thread, integrated by trapezoids, the idle baseline subtracted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.board_files import Files
from host.power.rails import Rail

PERIOD = 0.1
"""Seconds between two samples. A monitor averages over some milliseconds, and ten rails take about ten to read."""

IDLE_SECONDS = 2.0


@dataclass(frozen=True)
class Energy:
    """What was measured in `seconds`: joules by rail, and the watts of all rails while the accelerator stood still."""

    seconds: float
    by_rail: dict[str, float]
    idle_watts: float

    @property
    def joules(self) -> float:
        """Energy of all rails."""
        return sum(self.by_rail.values())

    @property
    def watts(self) -> float:
        """Mean power, the idle baseline included."""
        return self.joules / self.seconds

    @property
    def joules_above_idle(self) -> float:
        """Energy that an idle board would not have taken."""
        return self.joules - self.idle_watts * self.seconds


class PowerMeter:
    """Measures `rails` between `start` and `close`; use it as a context manager.

    Arguments:
        files: where the rails are read.
        rails: without any, nothing is measured and `take` gives None.
        period: seconds between samples of the background thread; None takes samples only when asked.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        files: Files,
        rails: Sequence[Rail],
        *,
        period: float | None = PERIOD,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.rails = tuple(rails)
        self.idle_watts: float | None = None
        self._files, self._period, self._clock = files, period, clock
        self._lock = threading.Lock()
        self._last: tuple[float, NDArray[np.float64]] | None = None
        self._joules, self._seconds = np.zeros(len(self.rails)), 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PowerMeter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, idle_seconds: float = IDLE_SECONDS) -> None:
        """Measure the idle baseline for so long, the accelerator standing still, and begin to sample."""
        if not self.rails:
            return
        end = self._clock() + idle_seconds
        self.sample()
        while self._clock() < end:
            self._stopped.wait(self._period or 0.0)
            self.sample()
        joules, seconds = self._taken()
        if seconds:
            self.idle_watts = float(joules.sum()) / seconds
        if self._period is not None:
            self._thread = threading.Thread(target=self._keep_sampling, name="power", daemon=True)
            self._thread.start()

    def sample(self) -> None:
        """Read all rails once. A sample with a monitor that does not answer is left out: half a sum is no sum."""
        with self._lock:
            watts = [rail.watts(self._files) for rail in self.rails]
            if None not in watts:
                self._integrate(self._clock(), np.array(watts, np.float64))

    def _integrate(self, now: float, watts: NDArray[np.float64]) -> None:
        if self._last is not None:
            before, watts_before = self._last
            self._joules += (now - before) * (watts_before + watts) / 2
            self._seconds += now - before
        self._last = now, watts

    def take(self) -> Energy | None:
        """Energy since the last call, or since `start`; None when it is not known."""
        if self.idle_watts is None:
            return None
        self.sample()
        joules, seconds = self._taken()
        if not seconds:
            return None
        by_rail = {rail.name: float(part) for rail, part in zip(self.rails, joules, strict=True)}
        return Energy(seconds, by_rail, self.idle_watts)

    def _taken(self) -> tuple[NDArray[np.float64], float]:
        """Joules by rail and the seconds that they span, which start anew at 0."""
        with self._lock:
            taken = self._joules, self._seconds
            self._joules, self._seconds = np.zeros(len(self.rails)), 0.0
            return taken

    def close(self) -> None:
        """End the background thread; may be called again."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _keep_sampling(self) -> None:
        while not self._stopped.wait(self._period):
            self.sample()

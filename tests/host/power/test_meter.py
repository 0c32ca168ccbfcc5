"""Energy is the area under the rails' power above what an idle board takes; what is not measured is absent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.board_files import LocalFiles
from host.power.meter import PowerMeter
from host.power.rails import Rail
from host.power.start import started_meter
from tests.host.power.boards import write_all_rails, write_rail

RAIL = Rail("u79", "VCCINT", "/hwmon0", "in2_input")
IDLE = [500, 500]
"""Readings at the beginning and the end of an idle second."""


class Course:
    """A rail at one volt whose current is the next of a list at each reading, some seconds after the one before."""

    def __init__(self, milliamperes: Sequence[int | None], seconds: Sequence[float] = ()) -> None:
        self.now = -float(len(IDLE))
        self._course: Iterator[int | None] = iter(milliamperes)
        self._seconds = iter([1.0] * len(IDLE) + list(seconds))

    def read(self, path: str) -> bytes | None:
        if path.endswith("in2_input"):
            return b"1000\n"
        self.now += next(self._seconds, 1.0)
        value = next(self._course)
        return None if value is None else f"{value}\n".encode()


def started(course: Course) -> PowerMeter:
    """A meter whose baseline is `IDLE`, which ends at second 0."""
    meter = PowerMeter(course, [RAIL], period=None, clock=lambda: course.now)
    meter.start(2.0)
    return meter


def test_a_constant_power_above_idle() -> None:
    meter = started(Course([*IDLE, 2500, 2500, 2500]))
    assert meter.idle_watts == pytest.approx(0.5)
    assert meter.take() is not None  # the ramp from idle
    meter.sample()
    energy = meter.take()
    assert energy is not None
    assert (energy.seconds, energy.joules, energy.watts) == pytest.approx((2.0, 5.0, 2.5))
    assert energy.joules_above_idle == pytest.approx(4.0)
    assert energy.by_rail == {"VCCINT": pytest.approx(5.0)}


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0.01, 5.0)), min_size=1, max_size=20))
def test_trapezoids_of_any_course(readings: list[tuple[int, float]]) -> None:
    currents, seconds = zip(*readings, strict=True)
    meter = started(Course([*IDLE, *currents], seconds))
    for _ in currents[1:]:
        meter.sample()
    energy = meter.take()
    watts = [0.5, *(current / 1000 for current in currents)]
    area = sum(s * (a + b) / 2 for s, a, b in zip(seconds, watts, watts[1:], strict=False))
    assert energy is not None
    assert energy.seconds == pytest.approx(sum(seconds))
    assert energy.joules == pytest.approx(area)
    assert energy.joules_above_idle == pytest.approx(area - 0.5 * sum(seconds))


def test_parts_add_up_to_the_whole() -> None:
    course = [700, 900, 1500, 300]
    whole = started(Course([*IDLE, *course]))
    for _ in course[1:]:
        whole.sample()
    parts = started(Course([*IDLE, *course]))
    energies = [energy for energy in (parts.take() for _ in course) if energy is not None]
    total = whole.take()
    assert total is not None
    assert sum(e.joules_above_idle for e in energies) == pytest.approx(total.joules_above_idle)
    assert sum(e.seconds for e in energies) == pytest.approx(total.seconds)


def test_a_reading_that_fails_is_spanned_not_counted_as_zero() -> None:
    meter = started(Course([*IDLE, 500, None, 1500]))
    for _ in range(2):
        meter.sample()
    energy = meter.take()
    assert energy is not None
    assert (energy.seconds, energy.joules) == pytest.approx((3.0, 0.5 + 2.0))


def test_without_rails_nothing_is_known(tmp_path: Path) -> None:
    with PowerMeter(LocalFiles(tmp_path), []) as meter:
        meter.start()
        assert meter.take() is None


def test_the_thread_samples_and_ends(tmp_path: Path) -> None:
    write_rail(tmp_path, 0, "u79", 1000, 2000)
    with PowerMeter(LocalFiles(tmp_path), [RAIL_OF_TREE], period=0.005) as meter:
        meter.start(0.02)
        write_rail(tmp_path, 0, "u79", 1000, 4000)
        meter.take()
        time.sleep(0.05)
        energy = meter.take()
    assert energy is not None
    assert energy.watts == pytest.approx(4.0)
    assert energy.joules_above_idle == pytest.approx(2.0 * energy.seconds)
    meter.close()


RAIL_OF_TREE = Rail("u79", "VCCINT", "/sys/class/hwmon/hwmon0", "in2_input")


@pytest.mark.parametrize("there, said", [("all", 0), ("some", 1), ("none", 1)])
def test_a_started_meter_says_what_is_missing(tmp_path: Path, there: str, said: int) -> None:
    if there == "all":
        write_all_rails(tmp_path)
    elif there == "some":
        write_rail(tmp_path, 0, "u79", 1000, 2000)
    sentences: list[str] = []
    with started_meter(LocalFiles(tmp_path), True, idle_seconds=0.01, say=sentences.append) as meter:
        energy = meter.take()
    assert len(sentences) == said
    assert (energy is None) == (there == "none")


def test_a_meter_that_nobody_wants_measures_nothing(tmp_path: Path) -> None:
    write_all_rails(tmp_path)
    sentences: list[str] = []
    with started_meter(LocalFiles(tmp_path), False, say=sentences.append) as meter:
        assert meter.take() is None
    assert sentences == []

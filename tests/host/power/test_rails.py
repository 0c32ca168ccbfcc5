"""Rails are found by their monitor's name, whatever folder they are in, and a missing one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.board_files import LocalFiles
from host.power.rails import RAILS, find_rails, missing_sentence
from tests.host.power.boards import hwmon, write_all_rails, write_folder, write_rail


def test_all_rails_by_name_in_the_table_s_order(tmp_path: Path) -> None:
    write_all_rails(tmp_path)
    rails = find_rails(LocalFiles(tmp_path))
    assert [(rail.monitor, rail.name) for rail in rails] == list(RAILS.items())
    assert missing_sentence(rails) is None


def test_another_monitor_of_the_board_is_not_counted(tmp_path: Path) -> None:
    write_rail(tmp_path, 0, "u74", 900, 100)  # MGTAVCC: transceivers, which the accelerator does not use
    assert find_rails(LocalFiles(tmp_path)) == []


def test_watts_are_bus_voltage_times_current(tmp_path: Path) -> None:
    write_rail(tmp_path, 3, "u79", 850, 2500)
    (rail,) = find_rails(LocalFiles(tmp_path))
    assert rail.watts(LocalFiles(tmp_path)) == pytest.approx(0.85 * 2.5)


def test_the_hwmon_driver_counts_voltages_from_zero(tmp_path: Path) -> None:
    entries = {"name": "ina226", "label": "ina226-u81", "in0_input": 3, "in1_input": 850, "curr1_input": 1000}
    write_folder(hwmon(tmp_path) / "hwmon7", entries)
    (rail,) = find_rails(LocalFiles(tmp_path))
    assert (rail.name, rail.watts(LocalFiles(tmp_path))) == ("VCCBRAM", pytest.approx(0.85))


@pytest.mark.parametrize("entry", ["in2_input", "curr1_input"])
def test_a_monitor_that_does_not_answer_has_no_watts(tmp_path: Path, entry: str) -> None:
    folder = write_rail(tmp_path, 0, "u79", 850, 2500)
    (rail,) = find_rails(LocalFiles(tmp_path))
    (folder / entry).write_text("\n")
    assert rail.watts(LocalFiles(tmp_path)) is None
    (folder / entry).unlink()
    assert rail.watts(LocalFiles(tmp_path)) is None


def test_missing_rails_are_named(tmp_path: Path) -> None:
    write_all_rails(tmp_path)
    rails = [rail for rail in find_rails(LocalFiles(tmp_path)) if rail.monitor != "u81"]
    assert missing_sentence(rails) == (
        "power leaves out VCCBRAM (u81): the board does not show these rails under /sys/class/hwmon"
    )


def test_no_rail_at_all_is_one_sentence_with_a_cure(tmp_path: Path) -> None:
    sentence = missing_sentence(find_rails(LocalFiles(tmp_path)))
    assert sentence is not None
    assert "no power is measured; use an image whose kernel has CONFIG_INA2XX_ADC" in sentence

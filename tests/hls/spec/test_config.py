"""Hardware configurations: the shipped ones are legal, what does not fit is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hls.spec.config import CONFIGS, SHIPPED, ConfigError, load, resized


def changed(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(json.loads((CONFIGS / "toy.json").read_text()) | values))
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_load(name: str) -> None:
    config = load(name)
    assert config.name == name
    assert config.multipliers <= config.dsp
    assert 0 < config.hash < 2**64


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"row_tile": 9}, "row_tile must be even and at least 8"),
        ({"row_tile": 6}, "row_tile must be even and at least 8"),
        ({"row_tile": 22, "panel_rows": 88}, "row_tile 22 must lie in 3 words of eight rows"),
        ({"column_tile": 32}, "column_tile must be a multiple of 24"),
        ({"chunk": 32}, "chunk must be a multiple of 24"),
        ({"panel_rows": 24}, "panel_rows must be a multiple of row_tile"),
        ({"panel_rows": 50}, "panel_rows must be a multiple of 8"),
        ({"step_buffers": 1}, "step_buffers must be between 2 and 5"),
        ({"column_tile": 624}, "row_tile times column_tile must be at most 6120"),
        ({"sum_rows": 30}, "sum_rows must be at least panel_rows"),
        ({"lanes": 2}, "lanes must be 4, 8, 12 or 16"),
        ({"max_split": 25}, "max_split must not exceed chunk"),
        ({"max_contraction": 1 << 17}, "48-bit sums would wrap"),
        ({"max_patches": 1 << 15}, "token indices are 16 bits"),
        ({"dsp": 10}, "multipliers do not fit the 10 DSP slices"),
        ({"chunk": 0}, "chunk must be a positive integer"),
        ({"chunk": "16"}, "chunk must be a positive integer"),
        ({"without": ["gelo"]}, "operations that do not exist: gelo"),
        ({"without": ["end"]}, "every accelerator has end"),
        ({"without": "gelu"}, "without must be a list of operations"),
        ({"colour": "red"}, "unknown \\['colour'\\]"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load(changed(tmp_path, **values))


def test_a_missing_file_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match=r"the shipped ones are .* zcu102"):
        load("zcu999")


def test_broken_json_is_said(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not valid JSON"):
        load(path)


def test_every_size_counts_in_the_hash(tmp_path: Path) -> None:
    assert load(changed(tmp_path, read_latency=49)).hash != load("toy").hash


def test_deep_memories_are_ultra_ram_where_the_device_has_it() -> None:
    with_uram, without = load("zcu104"), load("zcu102")
    assert (with_uram.deep_memory, with_uram.word_fifos) == ("uram", "srl")
    assert (without.deep_memory, without.word_fifos) == ("bram", "bram")
    assert resized(without, {"part": "xc7z020-clg400-1"}).deep_memory == "bram"  # not in the table


def test_whole_rows_move_where_thirds_are_shorter_than_what_the_memory_moves() -> None:
    """Of zcu102's 72 columns a port's third is three words, the memory moves four: tiles have 64 columns then. The
    toy's 24 columns are fewer than that, alveo_u200's thirds are long, zcu104's update is slower than its memory."""
    assert (load("zcu102").moves_rows, load("zcu102").update_columns) == (True, 64)
    assert (load("toy").moves_rows, load("toy").update_columns) == (True, 24)
    for name in ("alveo_u200", "kv260", "zcu104"):
        config = load(name)
        assert (config.moves_rows, config.update_columns) == (False, config.column_tile)


def test_words_of_a_pass_find_room_however_they_move() -> None:
    """In thirds 80 rows of three words a port, or 27 whole ones of eight; of 48 columns 100 of two, or 34 of six."""
    assert load("zcu102").weight_words == max(80 * 3, 27 * 8)
    assert resized(load("zcu102"), {"column_tile": 48}).weight_words == max(100 * 2, 34 * 6)


def test_rows_over_keys_have_a_power_of_two_of_words_where_that_is_little_more() -> None:
    assert [load(name).key_words for name in ("zcu102", "alveo_u200", "zcu104")] == [32, 32, 25]


def test_passes_that_update_share_a_panel_evenly() -> None:
    """Of zcu102's panel of ten row tiles four at most find room: ten go as 4 + 3 + 3, nine as 3 + 3 + 3."""
    config = load("zcu102")
    assert config.update_tiles == 4
    assert config.update_shares[:11] == (0, 1, 2, 3, 4, 3, 3, 4, 4, 3, 4)
    assert len(config.update_shares) == 16

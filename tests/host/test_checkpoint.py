"""Checkpoints: what goes in comes out, any damage is noticed, and no crash loses the one before."""

from __future__ import annotations

import builtins
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from host.checkpoint import CHECKPOINT_NAME, latest_checkpoint, load_checkpoint, replaced_file, save_checkpoint
from host.errors import CheckpointError

TENSORS = {"blocks.0.w": np.arange(6, dtype=np.int32).reshape(2, 3), "step": np.asarray(7)}
META = {"model": "tiny", "lr": 0.1, "exponents": [3, -4]}

names = st.text("abcz.0_/", min_size=1, max_size=12)
arrays = hnp.arrays(
    st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.float32, np.float64, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@one_folder
@given(
    tensors=st.dictionaries(names, arrays, max_size=4),
    meta=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
)
def test_round_trip(tmp_path: Path, tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "c.npz", tensors, meta)
    loaded, loaded_meta = load_checkpoint(tmp_path / "c.npz")
    assert loaded_meta == meta
    assert loaded.keys() == tensors.keys()
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()
        assert loaded[name].flags.writeable


def test_equal_content_gives_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    save_checkpoint(tmp_path / "a", {"x": matrix, "y": np.ones(2)}, {"p": 1, "q": 2})
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_checkpoint(tmp_path / "b", {"y": np.ones(2), "x": np.asfortranarray(matrix)}, {"q": 2, "p": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.npz", TENSORS, META)
    with np.load(tmp_path / "c.npz") as archive:
        assert np.array_equal(archive["blocks.0.w"], TENSORS["blocks.0.w"])


@one_folder
@given(data=st.data())
def test_any_flipped_bit_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "c.npz"
    save_checkpoint(path, TENSORS, META)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


@one_folder
@given(part=st.floats(0, 1, exclude_max=True), tail=st.binary(max_size=3))
def test_any_other_length_is_noticed(tmp_path: Path, part: float, tail: bytes) -> None:
    path = tmp_path / "c.npz"
    save_checkpoint(path, TENSORS, META)
    content = path.read_bytes()
    for wrong in (content[: int(len(content) * part)] + tail, content + tail + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 64, b"hello" * 100])
def test_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="no PeelViT checkpoint"):
        load_checkpoint(tmp_path / "c.npz")


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.checkpoint.VERSION", 99)
    save_checkpoint(tmp_path / "c.npz", TENSORS, META)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format peelvit-checkpoint 99"):
        load_checkpoint(tmp_path / "c.npz")


def test_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        save_checkpoint(tmp_path / "c.npz", {"x": np.array([{}], dtype=object)}, {})
    assert os.listdir(tmp_path) == []


def test_previous_is_kept(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    for step in range(4):
        save_checkpoint(path, {}, {"step": step})
    assert load_checkpoint(path)[1] == {"step": 3}
    assert load_checkpoint(f"{path}.previous")[1] == {"step": 2}
    assert sorted(os.listdir(tmp_path)) == [CHECKPOINT_NAME, CHECKPOINT_NAME + ".previous"]


def test_previous_is_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "not on FAT")

    monkeypatch.setattr(os, "link", no_link)
    test_previous_is_kept(tmp_path)


def test_damage_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    for step in range(2):
        save_checkpoint(path, {}, {"step": step})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"resume from .*checkpoint\.npz\.previous"):
        load_checkpoint(path)


class FullDisk:
    """A file on a disk that holds `room` bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [0, 100, 300, 600])
def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    path = tmp_path / CHECKPOINT_NAME
    save_checkpoint(path, {}, {"step": 0})
    before = path.read_bytes()

    def open_nearly_full(*arguments: Any) -> FullDisk:
        return FullDisk(builtins.open(*arguments), room)

    monkeypatch.setattr("host.checkpoint.open", open_nearly_full, raising=False)
    with pytest.raises(CheckpointError, match=r"the one before it is intact; .* with --resume$"):
        save_checkpoint(path, {"x": np.zeros(1000)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [CHECKPOINT_NAME]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_really_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_full = builtins.open  # the name is shadowed in host.checkpoint only
    monkeypatch.setattr("host.checkpoint.open", lambda _, mode: always_full("/dev/full", mode), raising=False)
    with pytest.raises(CheckpointError, match=r"the disk is full.* there is none before it; .* start again$"):
        save_checkpoint(tmp_path / "c.npz", {"x": np.zeros(100_000)}, {})


@pytest.mark.parametrize("moment", ["link", "replace"])
def test_a_crash_between_the_renames_leaves_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / CHECKPOINT_NAME
    for step in range(2):
        save_checkpoint(path, {}, {"step": step})

    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, die)
        with pytest.raises(KilledError):
            save_checkpoint(path, {}, {"step": 2})
    assert load_checkpoint(latest_checkpoint(tmp_path))[1] == {"step": 1}
    save_checkpoint(path, {}, {"step": 3})
    assert load_checkpoint(latest_checkpoint(tmp_path))[1] == {"step": 3}


SAVE_FOREVER = """
import itertools, sys
import numpy as np
from host.checkpoint import save_checkpoint
for step in itertools.count():
    save_checkpoint(sys.argv[1], {"x": np.full(1000, step)}, {"step": step})
    print(step, flush=True)
"""


def test_kill_minus_nine_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, path], cwd=root, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        saved = [int(child.stdout.readline()) for _ in range(5)]
        child.kill()
        saved += [int(line) for line in child.stdout]
    tensors, meta = load_checkpoint(latest_checkpoint(tmp_path))
    assert meta["step"] in (saved[-1], saved[-1] + 1)
    assert np.array_equal(tensors["x"], np.full(1000, meta["step"]))


def test_latest_of_a_folder_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.npz"):
        latest_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        latest_checkpoint(tmp_path / "none")
    save_checkpoint(path, {}, {})
    assert latest_checkpoint(tmp_path) == latest_checkpoint(path) == path
    previous = path.with_name(CHECKPOINT_NAME + ".previous")
    path.rename(previous)
    assert latest_checkpoint(tmp_path) == previous


def test_unreadable_and_unwritable_paths_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for call in (lambda p: load_checkpoint(p), lambda p: save_checkpoint(p, {}, {})):
        for path in (tmp_path / "file" / "c.npz", tmp_path):
            with pytest.raises(CheckpointError, match="checkpoint"):
                call(path)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none")


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("old")

    def write_and_fail() -> None:
        with replaced_file(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]

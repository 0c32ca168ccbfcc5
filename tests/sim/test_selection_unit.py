"""The selection unit of the C simulation against sorting: ties, signs and list lengths of every kind."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hls.spec.config import load
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import Matrix, assemble, make
from hls.spec.legality import words_per_row
from hls.spec.status import Status
from host.devices.csim import CsimDevice
from sim.csim import build

ALPHABETS = ([0], [0, 1], [-1, 0, 1], [-(2**31), -1, 0, 2**31 - 1], [2**30, 2**30 + 1, 2**30 + 2, 2**30 + 4], None)
"""What values are drawn from; None: all int32."""


@cache
def _device(config_name: str) -> CsimDevice:
    config = load(config_name)
    build(config, "fast")
    return CsimDevice(config)


def _values(rng: np.random.Generator, alphabet: list[int] | None, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    if alphabet is None:
        return rng.integers(-(2**31), 2**31, shape).astype(np.int32)
    return rng.choice(np.array(alphabet, np.int32), shape)


def _first_largest(values: list[int], count: int) -> list[int]:
    """Positions of the `count` largest values, the first ones of equal ones, ascending."""
    return sorted(sorted(range(len(values)), key=lambda i: (-values[i], i))[:count])


def _run(config_name: str, op: str, inputs: dict[str, npt.NDArray], result: tuple[str, int, int], **dimensions: int):
    """The uint16 matrix `result` (name, rows, columns) of one instruction on int32 and uint16 matrices."""
    device, word, matrices, parts = _device(config_name), 0, {}, []
    for name, values in inputs.items():
        rows, columns = values.shape
        words = words_per_row("i32" if values.dtype == np.int32 else "u16", columns)
        padded = np.zeros((rows, words * WORD_BYTES // values.itemsize), values.dtype)
        padded[:, :columns] = values
        matrices[name] = Matrix(word, words, 0)
        parts.append((word, padded))
        word += rows * words
    name, rows, columns = result
    words = words_per_row("u16", columns)
    matrices[name] = Matrix(word, words, 0)
    program = word + rows * words
    code = np.frombuffer(
        assemble([make(op, dimensions=dimensions, **matrices)], device.config.hash, program, 0), np.uint8
    )
    device.allocate(program + len(code) // WORD_BYTES)
    for place, padded in parts:
        device.write(place, padded)
    device.write(program, code)
    assert device.run(program).status is Status.OK
    return device.read(word, (rows, words * WORD_BYTES // 2), np.uint16)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 8), st.sampled_from(ALPHABETS), st.data())
def test_tokens_are_the_first_largest(
    patches: int, batch: int, alphabet: list[int] | None, data: st.DataObject
) -> None:
    keep, seed = data.draw(st.integers(1, patches)), data.draw(st.integers(0, 2**32))
    scores = _values(np.random.default_rng(seed), alphabet, (batch, 1 + patches))
    kept = _run(
        "toy",
        "select_tokens",
        {"map": scores},
        ("kept", batch, keep),
        batch=batch,
        patches=patches,
        map_rows=1,
        keep=keep,
    )
    for row, found in zip(scores[:, 1:].tolist(), kept.tolist(), strict=True):
        wanted = _first_largest(row, keep)
        assert found == wanted + [0] * (len(found) - keep)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.sampled_from(ALPHABETS), st.data())
def test_keys_are_the_own_one_and_the_first_largest(
    patches: int, alphabet: list[int] | None, data: st.DataObject
) -> None:
    keep = data.draw(st.integers(1, patches))
    key_count, seed = data.draw(st.integers(1, keep)), data.draw(st.integers(0, 2**32))
    _check_keys("toy", patches, keep, key_count, alphabet, seed)


@pytest.mark.parametrize("keep, key_count", [(256, 256), (256, 1), (255, 128), (8, 8)])
def test_keys_of_as_many_patches_as_there_may_be(keep: int, key_count: int) -> None:
    patches = load("zcu102").max_patches
    _check_keys("zcu102", patches, min(keep, patches), min(key_count, patches), [0, 1, 2], seed=7)


def _check_keys(
    config_name: str, patches: int, keep: int, key_count: int, alphabet: list[int] | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = _values(rng, alphabet, (1 + patches, 1 + patches))
    kept = np.sort(rng.permutation(patches)[:keep])
    inputs = {"map": scores, "kept": kept[None].astype(np.uint16)}
    sizes = {"batch": 1, "patches": patches, "keep": keep, "key_count": key_count}
    keys = _run(config_name, "select_keys", inputs, ("keys", keep, key_count), **sizes)
    for query, found in enumerate(keys.tolist()):
        row = scores[1 + kept[query], 1 + kept].tolist()
        row[query] = 2**31
        assert found == _first_largest(row, key_count) + [0] * (len(found) - key_count)

from __future__ import annotations

import codecs
import os
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from host.data.safe_pickle import load_arrays


def test_reads_what_cifar10_holds(pickled: Callable[[object], bytes]):
    data = np.arange(12, dtype=np.uint8).reshape(3, 4)
    read = load_arrays(pickled({b"data": data, b"labels": [1, 2], b"batch_label": b"one"}))
    assert np.array_equal(read[b"data"], data)
    assert read[b"data"].dtype == np.uint8
    assert (read[b"labels"], read[b"batch_label"]) == ([1, 2], b"one")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_what_python_3_pickles(protocol: int):
    data = {b"data": np.arange(256, dtype=np.uint8), b"names": [b"a", b"\xff"]}
    read = load_arrays(pickle.dumps(data, protocol))
    assert np.array_equal(read[b"data"], data[b"data"])
    assert read[b"names"] == data[b"names"]


class Runs:
    """A pickle of this calls `function` when it is read."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "harm",
    [
        Runs(os.system, "true"),
        Runs(eval, "1"),
        Runs(getattr, "", "join"),
        Runs(codecs.encode, "", "rot13"),
        os.system,
        Runs,
    ],
)
def test_refuses_everything_that_could_run(harm: object, protocol: int):
    with pytest.raises(pickle.UnpicklingError, match="which no data needs"):
        load_arrays(pickle.dumps({"data": harm}, protocol))


def test_refuses_a_dotted_way_through_numpy():
    dotted = b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93."
    with pytest.raises(pickle.UnpicklingError, match="which no data needs"):
        load_arrays(dotted)

"""The cycle model (hls/include/model.hpp) against small loops and regions that are counted by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hls.render import HERE as HLS
from hls.spec.config import load
from hls.spec.instruction import INSTRUCTION_WORDS, MAX_DIMENSIONS, MAX_OPERANDS, Matrix, assemble, make
from hls.spec.slots import RECORD_WORDS
from hls.spec.status import Status
from host.devices.csim import CsimDevice
from sim.csim import build

CONFIG = """\
#pragma once
namespace peelvit {
constexpr int kMasters = 5;
constexpr int kReadLatency = 40, kWriteLatency = 20, kBurstWords = 16, kOutstanding = 8;
constexpr int kDdrWords = 4, kDdrWordsPerThousand = 2000;
}
"""
"""A short burst takes its stream 40 / 8 = 5 (read) or 20 / 8 -> 3 cycles (write); DDR moves two words a cycle."""

CASES = {
    # iterations * interval; the depth is stall
    "loop": (0, 20, 0, 5),
    "two loops": (0, 27, 0, 8),
    "straight code": (0, 20, 0, 5 + 9),
    # six bursts of 16 words and one of 4, which takes as long as one of 5
    "burst": (0, 0, 6 * 16 + 5, 40),
    "strided words": (0, 0, 10 * 5, 40),
    # a word every fourth cycle: the port waits for the loop
    "slow loop": (0, 4 * 16 - 16, 16, 40),
    # depth and the response to the last write
    "store": (0, 0, 32, 4 + 20),
    # a burst ends with its loop, and each loop pays the latency
    "loop after loop": (0, 0, 2 * 8, 2 * 40),
    # 96 words at two a cycle
    "all ports": (0, 0, 64, 40),
    # 30 bursts of a word, of which DDR moves four: 120 words at two a cycle; each port needs only 10 * 5
    "all ports strided": (0, 0, 80, 40),
    # a row of 20 words takes 16 + 5 cycles; four further rows wait; 32 words of one row are stored
    "rows that wait": (0, 0, 5 * 21 + 32, 40 + 4 * 40 + 4 + 20),
    "rows": (0, 0, 5 * 21, 40),
    # tasks of 12, 32, 22 cycles with start and end: 12 + 32 + 22, then 32 for each further iteration
    "region": (4 * 30, 0, 0, 66 + 3 * 32 - 4 * 30),
    # the second task starts after 5 cycles and takes 38 an iteration, and the last element passes 7 cycles of the third
    "streaming region": (0, 4 * 30, 0, 5 + 4 * 38 + 7 - 4 * 30),
    # the third block waits until the first one is consumed: 12, 114 | 24, 126 | 114 + 92, 218 | 218, 230
    "uneven region": (0, 10 + 90 + 10 + 100, 0, 230 - 10 - 90 - 10 - 100),
    # 20 words are 16 + 5 cycles, 63 with latency, start and end; then 32
    "loads in turn": (0, 0, 21, 2 * 63 + 32 - 21),
    "loads side by side": (0, 0, 21, 63 + 32 - 21),
    # 12 bursts of 16 and one of 8 words, twice
    "loads on one port": (0, 0, 400, 32),
    # 128 words an iteration on the port, though the slowest task takes 106 cycles; the first iteration takes 224, and
    # the port catches up with the tasks in the sixth: in all 10 * 128
    "shared port": (0, 0, 10 * 128 - 96, 224 - 128),
    # 52 cycles, then 68 for each iteration of the region within (12 + 32 + 22, start and end)
    "region in a task": (3 * 30, 0, 0, 52 + 3 * 68 - 3 * 30),
    # 102 cycles an iteration with start and end, and 20 from the last element to the end
    "task that is fed": (0, 3 * 100, 0, 3 * 2 + 20),
    # starts after 10 cycles, then 102 an iteration: the task before it is held up
    "slow task that is fed": (0, 3 * 100, 0, 10 + 3 * 2),
    # the other side is hidden
    "a short other side": (0, 100, 0, 5),
    # 105 cycles, of which 45 are the first side's
    "a long other side": (0, 40 + 60, 0, 5),
    # 256 and 100 words at two a cycle, where one side alone takes 128 + 40 and the other 6 * 16 + 5 + 40
    "sides on one memory": (0, 0, 128 + 10, 40),
    "one side alone": (0, 40, 0, 5),
    # 12 + 12 + 102, then 102 for each further iteration: the first task waits for the third, which sets the pace anyway
    "stocking region": (0, 4 * 100, 0, 12 + 12 + 4 * 2),
    # 12 + 102. The FIFO has room for 30 of 40 words when 20 of the 30 before have left: 15 from cycle 3, 5 from 153 on.
    "drawing region": (4 * 100, 0, 0, 12 + 3 * 158 + 102 - 4 * 100),
}
"""Cycles of compute, vector, memory and stall."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, ...]]:
    """The cases of cycles.cpp as the model counts them."""
    folder = tmp_path_factory.mktemp("cycles")
    (folder / "config.hpp").write_text(CONFIG)
    program, source = folder / "cycles", Path(__file__).with_suffix(".cpp").with_name("cycles.cpp")
    flags = ["-std=c++17", "-O1", "-DPEELVIT_NATIVE", "-Wno-unknown-pragmas", f"-I{folder}", f"-I{HLS / 'include'}"]
    subprocess.run(["g++", *flags, source, "-o", program], check=True)
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.rsplit(" ", 4) for line in lines]
    return {name: tuple(map(int, cycles)) for name, *cycles in rows}


def test_every_case_is_counted_by_hand(counted: dict[str, tuple[int, ...]]) -> None:
    assert counted.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_cycles(name: str, counted: dict[str, tuple[int, ...]]) -> None:
    assert counted[name] == CASES[name]


def test_gelu_on_the_toy_accelerator() -> None:
    """40 rows of 4 words: five blocks of 8 rows through load, compute and store."""
    config = load("toy")
    build(config, "fast")
    x, y, table, program, rows, columns = 0, 160, 320, 324, 40, 32
    matrices = {"x": Matrix(x, 4, 0), "y": Matrix(y, 4, 1)}
    gelu = make("gelu", dimensions={"rows": rows, "n": columns}, **matrices)
    code = assemble([gelu], config.hash, table, 2)
    device = CsimDevice(config)
    device.allocate(program + 3 * INSTRUCTION_WORDS)
    device.write(table, np.zeros(RECORD_WORDS * 2 * 4, np.int32))
    device.write(program, np.frombuffer(code, np.uint8))
    assert device.run(program).status is Status.OK
    fetched, unpacked = 2 * INSTRUCTION_WORDS, INSTRUCTION_WORDS  # with `end`
    fetch = fetched + config.read_latency + unpacked + 2
    checks = MAX_DIMENSIONS + MAX_OPERANDS * 4  # dimensions one a cycle, operands one in four
    dispatch = 32 + checks + 4 + 16
    load_block, compute, store_block = 32 + config.read_latency + 2, 32 + 24 + 2, 32 + 4 + config.write_latency + 2
    region = load_block + compute + store_block + 4 * load_block
    counters = device.counters()
    assert counters.instruction_cycles.tolist() == [fetch + dispatch + region]
    assert counters.instruction_kinds.tolist() == [
        [0, checks + unpacked, fetched + 5 * 32, fetch + dispatch + region - fetched - 160 - checks - unpacked]
    ]
    assert counters.instruction_words.tolist() == [[fetched, 160, 0, 0, 0, 0, 0, 160, 0, 0]]
    assert counters.instruction_bounds == ("load_block<1>",)

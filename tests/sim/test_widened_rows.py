"""Sums of one row each, which column_sum copies: the C simulation against the golden model, around where it does."""

from __future__ import annotations

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.formats import LANES, WORD_BYTES
from hls.spec.instruction import Matrix, assemble, make
from hls.spec.slots import EMPTY, HISTORY, RECORD_WORDS
from host.devices.csim import CsimDevice
from sim.csim import build
from sim.golden.device import GoldenDevice
from tests.sim.op_cases import RECORD, Case
from tests.sim.test_executors import outcome
from tests.sim.windows import first_difference

ZCU102 = load("zcu102")
F_DY = 20
"""Fraction of dy, of patch rows and of class rows."""


@pytest.fixture(scope="module", params=["fast", "fidelity"])
def csim(request: pytest.FixtureRequest) -> CsimDevice:
    build(ZCU102, request.param)
    return CsimDevice(ZCU102, variant=request.param)


def copy_case(rows: int, columns: int, places: int, *, period: int | None = None, split: int = 0, gap: int = 0) -> Case:
    """dw stored with `places` fraction bits more than dy has, `gap` words between its rows; dy has all of int16."""
    words = -(-columns // LANES)
    rng = np.random.default_rng(rows)
    values = np.zeros((rows, words * LANES), np.int16)
    values[:, :columns] = rng.integers(-32768, 32768, (rows, columns))
    values[:, 0] = rng.choice([-32768, -32767, 0, 32767], rows)
    dw, pitch = rows * words, 2 * words + gap
    table = dw + (period or rows) * pitch
    program = table + 3 * RECORD_WORDS
    instruction = make(
        "column_sum",
        dimensions={"rows": rows, "split": split, "n": columns, "period": period or rows},
        dy=Matrix(0, words, 0),
        dw=Matrix(dw, pitch, 2),
    )
    code = assemble([instruction], ZCU102.hash, table, 3)
    records = [RECORD.pack(f, f, EMPTY, 0, *[EMPTY] * HISTORY) for f in (F_DY, F_DY, F_DY + places)]
    memory = np.full(program * WORD_BYTES + len(code), 0xA5, np.uint8)
    memory[: values.nbytes] = values.view(np.uint8).ravel()
    memory[table * WORD_BYTES : program * WORD_BYTES] = np.frombuffer(b"".join(records), np.uint8)
    memory[program * WORD_BYTES :] = np.frombuffer(code, np.uint8)
    return Case([instruction], memory, table, 3, program)


@pytest.mark.parametrize(
    "rows, columns, places, options",
    [(196, 192, places, {}) for places in (-3, -1, 0, 6, 15, 16, 17)]
    + [
        (197, 188, 16, {}),  # a last word that is not full
        (300, 8, 16, {}),
        (50, 384, 16, {"gap": 1}),
        (1, 192, 16, {"split": 1}),
        (1, 4096, 9, {}),
        (392, 192, 16, {"period": 196}),
        (450, 192, 12, {"period": 196}),  # a period that the rows do not fill
        (70, 8, 12, {"period": 33, "gap": 3}),
    ],
)
def test_rows_that_are_sums(csim: CsimDevice, rows: int, columns: int, places: int, options: dict[str, int]) -> None:
    case = copy_case(rows, columns, places, **options)
    (wanted, expected), (got, window) = outcome(GoldenDevice(ZCU102), case), outcome(csim, case)
    assert (got.status, got.failed_instruction) == (wanted.status, wanted.failed_instruction)
    assert first_difference(case, expected, window) is None
    assert wanted.status == 0

"""The legality unit's tables against the op table that they are made from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hls.spec import checks
from hls.spec.config import load
from hls.spec.formats import LANES
from hls.spec.instruction import MAX_DIMENSIONS, MAX_OPERANDS
from hls.spec.legality import words_per_row
from hls.spec.ops import OPS, Op, evaluate


def looked_up(codes: int, sizes: list[int]) -> int:
    """A product as the unit makes it."""
    product = 1
    for i in range(checks.FACTORS):
        code = codes >> checks.FACTOR_BITS * i
        product *= sizes[code & 15] + (code >> 4 & 1)
    return product


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@given(st.lists(st.integers(0, 1 << 16), min_size=MAX_DIMENSIONS, max_size=MAX_DIMENSIONS))
def test_products_are_the_shapes(op: Op, dimensions: list[int]) -> None:
    sizes = [*dimensions, *checks.CONSTANTS]
    names = dict(zip(op.dimensions, dimensions, strict=False))
    for operand, shape, use in zip(op.operands, checks.shapes(op), checks.uses(op), strict=False):
        rows, columns = (sizes[use >> shift & 15] for shift in checks.ADDEND_SHIFTS)
        assert rows + looked_up(shape, sizes) == evaluate(operand.rows, names)
        assert columns + looked_up(shape >> checks.FACTORS * checks.FACTOR_BITS, sizes) == evaluate(
            operand.columns, names
        )
        assert use >> checks.WIDTH_SHIFT & 3 == words_per_row(operand.element, LANES)


@pytest.mark.parametrize("name", ["toy", "zcu102"])
def test_every_table_has_a_row_an_opcode_and_fits_an_int(name: str) -> None:
    tables = checks.tables(load(name))
    rows = len(tables["op_flags"])
    assert len(tables["operand_shape"]) == len(tables["operand_use"]) == rows * MAX_OPERANDS
    assert len(tables["dimension_low"]) == len(tables["dimension_high"]) == rows * checks.DIMENSION_STRIDE
    assert all(-1 <= number < 1 << 31 for numbers in tables.values() for number in numbers)


def test_rules_that_ops_share_are_one() -> None:
    found = checks.rules(OPS)
    assert len(found) == len(set(found)) < sum(len(op.rules) for op in OPS)
    assert found[0] == "d[1] <= d[0]"

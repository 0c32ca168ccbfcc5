"""An operation has one row and one file in each room; this says which is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hls.spec.ops import OPS
from hls.spec.registers import REGISTERS, SPAN

ROOT = Path(__file__).resolve().parents[2]
NAMES = [op.name for op in OPS if op.name != "end"]


@pytest.mark.parametrize("name", NAMES)
def test_every_room_has_the_operation(name: str) -> None:
    assert (ROOT / f"hls/templates/ops/{name}.hpp.j2").is_file()
    assert (ROOT / f"sim/golden/ops/{name}.py").is_file()
    assert f"## {name}\n" in (ROOT / "docs/reference/operations.md").read_text()
    headings = [line for line in (ROOT / "docs/numerics.md").read_text().splitlines() if line.startswith("## ")]
    assert any(name in heading.replace(",", " ").split() for heading in headings)


@pytest.mark.parametrize("folder, suffix", [("hls/templates/ops", ".hpp.j2"), ("sim/golden/ops", ".py")])
def test_no_room_has_an_operation_that_the_table_lacks(folder: str, suffix: str) -> None:
    files = {path.name.removesuffix(suffix) for path in (ROOT / folder).glob(f"*{suffix}")} - {"__init__", "end"}
    assert files == set(NAMES)


def test_names_and_opcodes_are_unique() -> None:
    assert len({op.name for op in OPS}) == len({op.opcode for op in OPS}) == len(OPS)


def test_registers_do_not_overlap() -> None:
    taken = [byte for r in REGISTERS for byte in range(r.offset, r.offset + r.bits // 8)]
    assert len(taken) == len(set(taken))
    assert max(taken) < SPAN
    assert all(r.offset % 4 == 0 for r in REGISTERS)

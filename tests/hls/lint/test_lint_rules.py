"""Every seeded bad kernel breaks exactly the rules it names at the lines it marks; realistic kernels break none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hls.lint.check import BAD_SUPPRESSION, check
from hls.lint.registry import load_rules

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.cpp"))
GOOD = sorted((HERE / "good").glob("*.cpp"))


def rules_in(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:-[a-z]+)*", text)


def expected(path: Path) -> set[tuple[int, str]]:
    """(line, rule) from the header `// expect: rules` and from `// BAD [rules]` at the lines."""
    lines = path.read_text().splitlines()
    header = rules_in(lines[0].removeprefix("// expect:"))
    marks = ((number, re.search(r"// BAD(.*)$", line)) for number, line in enumerate(lines, 1))
    return {(number, rule) for number, mark in marks if mark is not None for rule in rules_in(mark[1]) or header}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_kernel_is_caught_at_its_line(path: Path) -> None:
    assert expected(path)
    assert {(finding.line, finding.rule) for finding in check([path]).findings} == expected(path)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_kernel_passes(path: Path) -> None:
    assert [str(finding) for finding in check([path]).findings] == []


def test_every_rule_has_a_bad_kernel() -> None:
    seeded = {rule for path in BAD for _, rule in expected(path)}
    assert seeded == set(load_rules()) | {BAD_SUPPRESSION}

"""The accelerator's own kernels keep the rules of synthesis."""

from __future__ import annotations

from pathlib import Path

from hls.lint.check import Options, check

SNAPSHOT = Path(__file__).resolve().parents[1] / "snapshot" / "toy"


def test_the_rendered_kernels_have_no_findings() -> None:
    report = check([SNAPSHOT], Options())
    assert report.findings == []
    assert len(report.files) > 30

"""What a check found, and how findings are shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from host.errors import PeelVitError


class Verdict(Enum):
    """How bad it is: `warn` lets a training run, `skip` could not be looked at from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """The result of one check; `cure` says what to do, and is empty when there is nothing to do."""

    check: str
    verdict: Verdict
    text: str
    cure: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, text)


def warn(check: str, text: str, cure: str) -> Finding:
    """Training can run, but something is not as it should be."""
    return Finding(check, Verdict.WARN, text, cure)


def fail(check: str, text: str, cure: str) -> Finding:
    """Training cannot run, or its results could not be trusted."""
    return Finding(check, Verdict.FAIL, text, cure)


def skip(check: str, text: str) -> Finding:
    """Nothing to look at from here."""
    return Finding(check, Verdict.SKIP, text)


def failed_by(check: str, error: PeelVitError) -> Finding:
    """A failure told by an error, whose sentence says what is wrong and, behind its last semicolon, what to do."""
    text, _, cure = str(error).rpartition("; ")
    return fail(check, text or cure, cure if text else "")


def is_fit(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.verdict is not Verdict.FAIL for finding in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """One line a finding, its cure below it, and what it comes to."""
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict.value:4}  {finding.check:{width}}  {finding.text}")
        if finding.cure:
            lines.append(f"{'':4}  {'':{width}}  -> {finding.cure}")
    counts = {verdict: sum(f.verdict is verdict for f in findings) for verdict in Verdict}
    shown = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    return "\n".join([*lines, f"{'fit to train' if is_fit(findings) else 'not fit to train'}: {shown}"])


def as_json(findings: Sequence[Finding]) -> str:
    """The findings for programs."""
    content = [asdict(finding) | {"verdict": finding.verdict.value} for finding in findings]
    return json.dumps({"fit": is_fit(findings), "findings": content}, indent=2)

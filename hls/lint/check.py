"""Runs the rules over files and directories and collects findings and suppressions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hls.lint.errors import LintError
from hls.lint.registry import Rule, load_rules
from hls.lint.source import STANDARD, comments, preprocess, resolve
from hls.lint.unit import Unit

UNITS = {".cpp", ".cc", ".cxx"}
HEADERS = {".h", ".hpp", ".hh"}
BAD_SUPPRESSION = "bad-suppression"

_ALLOW = re.compile(r"allow\s+(\S+)(?:\s+(\S.*))?")
_DIVIDER = "divider"


@dataclass(frozen=True, order=True)
class Finding:
    """A broken rule at a line of a file as it was written; `reason` is set where a comment allows it."""

    file: str
    line: int
    rule: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: [{self.rule}] {self.message}"


@dataclass
class Report:
    """What a run found: faults, faults allowed by comments, and the files looked at."""

    findings: list[Finding] = field(default_factory=list)
    suppressed: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, list]:
        """For JSON."""
        return asdict(self)

    def summary(self) -> str:
        """One line of counts."""
        counts = (_count(len(self.findings), "finding"), _count(len(self.files), "file"))
        return f"hls.lint: {counts[0]}, {_count(len(self.suppressed), 'suppression')} in {counts[1]}"


@dataclass(frozen=True)
class Options:
    """How sources are preprocessed."""

    includes: Sequence[str] = ()
    macros: Sequence[str] = ()
    standard: str = STANDARD
    compiler: str = "g++"


def check(paths: Sequence[str | Path], options: Options = Options()) -> Report:
    """Check the files, and all C++ files below the directories; LintError if one is missing or does not parse."""
    roots = [_existing(path) for path in paths]
    files: set[Path] = set()
    found: set[Finding] = set()
    for path in _in_order(roots):
        if path in files and path.suffix in HEADERS:
            continue  # a unit that includes the header has been checked
        unit = unit_of(path, options)
        ours = {file for file in unit.source.files if any(file.is_relative_to(root) for root in roots)}
        found |= set(_findings(unit, ours))
        files |= ours
    if not files:
        raise LintError(f"No C++ file is in {' or '.join(map(str, paths))}; render the kernels first.")
    return _report(found, files)


def unit_of(path: Path, options: Options) -> Unit:
    """The unit of a source file, parsed; LintError if it is no C++."""
    source = preprocess(path, options.includes, options.macros, options.standard, options.compiler)
    return Unit(source, options.standard)


def _existing(path: str | Path) -> Path:
    if not Path(path).exists():
        raise LintError(f"{path} does not exist; check the path, or render the kernels first.")
    return Path(path).resolve()


def _in_order(roots: list[Path]) -> Iterator[Path]:
    """Source files first, as headers are checked where they are included and alone only if no source includes them."""
    for suffixes in (UNITS, HEADERS):
        for root in roots:
            if root.is_dir():
                yield from sorted(path for path in root.rglob("*") if path.suffix in suffixes)
            elif root.suffix in suffixes or (suffixes is UNITS and root.suffix not in HEADERS):
                yield root


def _findings(unit: Unit, files: set[Path]) -> Iterator[Finding]:
    for rule in load_rules().values():
        for physical, message in rule.check(unit):
            origin = unit.source.origin(physical)
            if resolve(origin.file) in files and not unit.is_compile_time(physical):
                yield Finding(_shown(resolve(origin.file)), origin.line, rule.id, message)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _report(found: set[Finding], files: set[Path]) -> Report:
    report = Report(files=sorted(_shown(file) for file in files))
    comment = {(_shown(file), line): text for file in files for line, text in comments(file).items()}
    unused = dict(comment)
    for finding in _one_a_line(found, load_rules()):
        reason = _reason(comment.get((finding.file, finding.line), ""), finding.rule)
        if reason is None:
            report.findings.append(finding)
            continue
        unused.pop((finding.file, finding.line), None)
        report.suppressed.append(Finding(finding.file, finding.line, finding.rule, finding.message, reason))
    report.findings += [Finding(*place, BAD_SUPPRESSION, _suppression_fault(text)) for place, text in unused.items()]
    report.findings.sort()
    return report


def _one_a_line(found: set[Finding], rules: dict[str, Rule]) -> Iterator[Finding]:
    """One finding of each rule a line, without those that another rule at the line explains."""
    kept = {(finding.file, finding.line, finding.rule): finding for finding in sorted(found, reverse=True)}
    for (file, line, rule), finding in sorted(kept.items()):
        if not any((file, line, other.id) in kept and rule in other.hides for other in rules.values()):
            yield finding


def _reason(comment: str, rule: str) -> str | None:
    """Why the comment `// lint: ...` of a line allows the rule; None if it does not."""
    allowed = _ALLOW.fullmatch(comment)
    if allowed is not None and allowed[1] == rule and allowed[2]:
        return allowed[2]
    return "intended divider" if comment == _DIVIDER == rule else None


def _suppression_fault(text: str) -> str:
    allowed = _ALLOW.fullmatch(text)
    if allowed is None and text != _DIVIDER:
        return f"`// lint: {text}` says nothing; write `// lint: allow <rule-id> <reason>` or `// lint: divider`."
    if allowed is not None and allowed[1] not in load_rules():
        return f"There is no rule {allowed[1]}; name one of {', '.join(sorted(load_rules()))}."
    if allowed is not None and not allowed[2]:
        return f"Allowing {allowed[1]} needs a reason; write it after the rule."
    return "The comment allows what the line does not do; remove it."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

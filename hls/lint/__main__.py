"""Command line: `python -m hls.lint FILE_OR_DIR... [-I DIR] [-D MACRO] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from hls.lint.check import Options, check
from hls.lint.errors import LintError
from hls.lint.registry import load_rules
from hls.lint.source import STANDARD


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 nothing found, 1 findings, 2 the check could not run."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rules:
        print("\n".join(f"{rule.id:20} {rule.summary}" for rule in sorted(load_rules().values(), key=lambda r: r.id)))
        return 0
    if not options.paths:
        parser.error("name at least one file or directory to check.")
    try:
        report = check(options.paths, Options(options.include, options.define, options.std, options.cxx))
    except LintError as error:
        print(f"hls.lint: {error}", file=sys.stderr)
        return 2
    text = "\n".join([*map(str, report.findings), report.summary()])
    print(json.dumps(report.as_dict(), indent=2) if options.json else text)
    return 1 if report.findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hls.lint", description="Check that C++ kernels are what Vitis HLS synthesizes.")
    parser.add_argument("paths", nargs="*", metavar="FILE_OR_DIR", help="what to check; not what it includes")
    parser.add_argument("-I", dest="include", action="append", default=[], metavar="DIR", help="include directory")
    parser.add_argument("-D", dest="define", action="append", default=[], metavar="NAME[=VALUE]", help="macro")
    parser.add_argument("--std", default=STANDARD, help="C++ standard (default: %(default)s, that of Vitis HLS 2021.1)")
    parser.add_argument("--cxx", default="g++", help="compiler that preprocesses (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--rules", action="store_true", help="list the rules and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Command line: `python -m hls.area CONFIG... [--depth N] [--json] [--assumptions]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hls.area.assumptions import ASSUMPTIONS
from hls.area.estimate import Estimate, estimate, margins, require_fit
from hls.area.report import REPORT, update
from hls.lint.errors import LintError
from hls.spec.config import ConfigError, load
from hls.spec.devices import LIMIT, Resources


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 fits, 1 does not fit, 2 the estimate could not be made."""
    options = _parser().parse_args(arguments)
    if options.assumptions:
        print(assumptions())
        return 0
    code = 0
    for name in options.configs:
        try:
            result = estimate(load(name))
            print(json.dumps(result.as_dict(), indent=2) if options.json else report(result, options.depth))
            update(options.report, {"estimates": {result.name: summary(result)}})
        except (ConfigError, LintError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        try:
            require_fit(result)
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            code = 1
    return code


def report(result: Estimate, depth: int) -> str:
    """Resources by module down to `depth` levels, the total, and what is left of what the device may give."""
    table = margins(result)

    def counts(name: str, total: Resources) -> str:
        return _line(name, [f"{getattr(total, n):,.{int(n == 'bram36')}f}" for n in table])

    lines = [_line(f"{result.name}, {result.part}: estimated", [name.upper() for name in table])]
    lines += [counts("  " * row.depth + row.name, row.total) for row in result.rows[1:] if row.depth <= depth]
    lines.append(counts("total", result.total))
    lines.append(_line("may be taken", [f"{limit:,.0f}" for _, limit in table.values()]))
    lines.append(_line("left", [f"{100 * (1 - used / max(limit, 1)):.0f} %" for used, limit in table.values()]))
    lines.append(
        f"Limits: {LIMIT.lut:.0%} of LUTs and {LIMIT.ff:.0%} of flip-flops of the device, all of its DSP and memories. "
        "Estimated from the rendered source; --assumptions lists what is assumed."
    )
    lines += [f"warning: {fault}" for fault in result.faults]
    return "\n".join(lines)


def summary(result: Estimate) -> dict[str, object]:
    """What `reports/area.json` holds of a configuration."""
    counts = {name: {"used": round(used, 1), "limit": limit} for name, (used, limit) in margins(result).items()}
    modules = [{"depth": row.depth, "name": row.name, **asdict(row.total)} for row in result.rows]
    fits = all(count["used"] <= count["limit"] for count in counts.values())
    return {"part": result.part, "fits": fits, **counts, "modules": modules, "warnings": result.faults}


def assumptions() -> str:
    """The table of what is not in the source."""
    rows = (f"{name:24} {a.value:8g} {a.unit:14} {a.source}" for name, a in ASSUMPTIONS.items())
    return "\n".join(rows)


def _line(name: str, cells: list[str]) -> str:
    return f"{name:48}" + "".join(f"{cell:>11}" for cell in cells)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("hls.area", description="Estimate the resources of the rendered kernels.")
    parser.add_argument("configs", nargs="*", default=["zcu102"], help="shipped configurations or JSON files")
    parser.add_argument("--depth", type=int, default=5, help="levels of modules to print (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the estimate as JSON")
    parser.add_argument("--report", type=Path, default=REPORT, help="also written into (default: %(default)s)")
    parser.add_argument("--assumptions", action="store_true", help="print every assumed number and its source")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`reports/area.json`: the leaves' counts (`make leaf`) and the estimates of whole configurations (`make area`).

Each command replaces its own parts and keeps the other's; docs/area.md has the schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPORT = Path("reports/area.json")


def read(path: Path) -> dict[str, Any]:
    """All parts; none where there is no report yet."""
    return json.loads(path.read_text()) if path.is_file() else {}


def update(path: Path, parts: Mapping[str, Any]) -> None:
    """Put parts in, row by row: other configurations', leaves' and loops' rows stay."""
    content = read(path)
    for name, part in parts.items():
        content[name] = {**content.get(name, {}), **part}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")

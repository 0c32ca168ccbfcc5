"""Imports run one way: hls.spec <- hls, host <- sim, trainer; and the board's half needs no torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = {"hls", "host", "sim", "trainer", "vitis_project", "tests", "tools"}
# For each room, the project packages and the third-party modules that its files may import, at the top or in a function
# (None: any). The first room that holds a file decides.
ROOMS: dict[str, tuple[set[str], set[str] | None]] = {
    "hls/spec": ({"hls.spec"}, set()),
    "hls": ({"hls"}, {"jinja2", "clang"}),
    "host": ({"hls.spec", "host"}, {"numpy", "tqdm", "PIL", "pynq", "grpc", "pyxrt"}),  # two come with pynq
    "sim/parity": ({"hls", "host", "sim", "trainer"}, None),  # a program: compares golden with the float trainer
    "sim/optimizers": ({"hls", "host", "sim", "trainer"}, None),  # a program: compares with the float trainer
    "sim": ({"hls", "host", "sim"}, None),
    "trainer": ({"hls.spec", "host", "sim", "trainer"}, None),
    "vitis_project": ({"hls", "host", "sim", "vitis_project"}, {"jinja2", "numpy", "pynqmetadata"}),
    "tools": ({"hls", "host", "sim", "trainer", "tools"}, None),
}
# Python's -c program: import every module of a package with the modules named in sys.argv refused.
IMPORT_ALL = """
import importlib, pkgutil, sys
package, *refused = sys.argv[1:]
sys.modules.update(dict.fromkeys(refused))
root = importlib.import_module(package)
for module in pkgutil.walk_packages(root.__path__, package + "."):
    importlib.import_module(module.name)
"""


def source_files() -> list[str]:
    """Every Python file of the rooms, relative to the root."""
    folders = [room for room in ROOMS if "/" not in room]
    return sorted(path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room_of(file: str) -> str:
    """The first room that holds the file."""
    return next(room for room in ROOMS if file.startswith(room + "/"))


def imported_names(source: str, package: str) -> Iterator[str]:
    """Full dotted names of what a module of `package` imports, relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    """Whether `name` is the package or something inside it."""
    return name == package or name.startswith(package + ".")


def breaches(file: str, source: str) -> list[str]:
    """The imports of a file that its room does not allow."""
    project_allowed, third_party_allowed = ROOMS[room_of(file)]
    package = file.rsplit("/", 1)[0].replace("/", ".")
    found = []
    for name in imported_names(source, package):
        top = name.split(".")[0]
        if top in PROJECT:
            allowed = any(is_within(name, package) for package in project_allowed)
        else:
            allowed = third_party_allowed is None or top in third_party_allowed or top in sys.stdlib_module_names
        if not allowed:
            found.append(name)
    return found


@pytest.mark.parametrize("file", source_files())
def test_file_imports_only_what_its_room_allows(file: str) -> None:
    assert breaches(file, (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    "file, source",
    [
        ("hls/spec/x.py", "import numpy"),
        ("hls/spec/x.py", "from hls import render"),
        ("hls/spec/x.py", "from .. import render"),
        ("hls/x.py", "import host.errors"),
        ("host/x.py", "def f():\n    import torch.nn"),
        ("host/devices/x.py", "from ...sim import golden"),
        ("host/x.py", "from hls import render"),
        ("sim/x.py", "from tests import helper"),
        ("sim/x.py", "import trainer"),
    ],
)
def test_a_breach_is_noticed(file: str, source: str) -> None:
    assert len(breaches(file, source)) == 1


@pytest.mark.parametrize(
    "file, source",
    [
        ("hls/spec/x.py", "from __future__ import annotations\nfrom . import formats\nfrom hls.spec import ops"),
        ("host/x.py", "from hls.spec import ops\nfrom .errors import PeelVitError\nimport tqdm"),
        ("sim/x.py", "import torch\nfrom host import errors"),
    ],
)
def test_an_allowed_import_passes(file: str, source: str) -> None:
    assert breaches(file, source) == []


@pytest.mark.parametrize(
    "flags, package, refused",
    [
        # -S leaves third-party packages unreachable: the specification is the standard library alone.
        (["-S"], "hls.spec", []),
        ([], "host", ["torch", "tqdm", "PIL", "pynq", "grpc", "pyxrt", "jinja2", "scipy", "sklearn"]),
    ],
    ids=["hls.spec", "host"],
)
def test_package_imports_with_what_the_board_has(flags: list[str], package: str, refused: list[str]) -> None:
    command = [sys.executable, *flags, "-c", IMPORT_ALL, package, *refused]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_no_module_of_host_hides_a_library() -> None:
    """`python3 host/train_edge.py` puts host/ first on the module path."""
    names = {path.stem for path in (ROOT / "host").iterdir()}
    assert names & ({*sys.stdlib_module_names, "numpy", "tqdm", "PIL", "pynq"} - {"__init__"}) == set()

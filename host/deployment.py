"""The folder that is copied to a board (`make deploy`): its checksums, and its programs made again on the board.

`SHA256SUMS` is in the format of `sha256sum`, so `sha256sum -c SHA256SUMS` does the first half as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hls.spec.config import HardwareConfig
from host.backends import load_config
from host.compiler import Program, compile_program
from host.data.cache import sha256
from host.errors import PeelVitError
from host.layout import Layout, plan_layout
from host.model import Sparsity, ViTConfig
from host.tensors import Use

CHECKSUMS = "SHA256SUMS"
PROVENANCE = "provenance.json"
PROGRAMS = "programs"

ROOT = Path(__file__).resolve().parents[1]
"""The folder that this program was copied with."""


def write_checksums(folder: Path, files: Iterable[Path]) -> None:
    """Write the checksums of `files` in `folder`, sorted by name."""
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    (folder / CHECKSUMS).write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def read_checksums(folder: Path) -> dict[str, str]:
    """Checksums by name; `PeelVitError` where there are none."""
    try:
        lines = (folder / CHECKSUMS).read_text().splitlines()
    except OSError:
        raise PeelVitError(f"{folder} holds no {CHECKSUMS}; give the folder that `make deploy` wrote") from None
    pairs = [line.partition("  ") for line in lines]
    return {name: digest for digest, _, name in pairs}


def verify(folder: Path = ROOT) -> int:
    """The number of files that match their checksums; `PeelVitError` names the first that does not."""
    checksums = read_checksums(folder)
    wrong = [name for name, digest in checksums.items() if not _matches(folder / name, digest)]
    if wrong:
        more = f" and {len(wrong) - 1} more files do" if len(wrong) > 1 else " does"
        raise PeelVitError(f"{folder / wrong[0]}{more} not match {CHECKSUMS}; copy the folder to the board again")
    return len(checksums)


def _matches(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def provenance(folder: Path = ROOT) -> dict[str, Any]:
    """What the folder was made from; empty where this is no deployed folder."""
    try:
        content: dict[str, Any] = json.loads((folder / PROVENANCE).read_text())
    except (OSError, ValueError):
        return {}
    return content


def program_of(config: HardwareConfig, description: Mapping[str, Any]) -> tuple[Layout, Program]:
    """Compile the program that the JSON beside a deployed one describes."""
    model, keep = ViTConfig(**description["model"]), description["keep"]
    sparsity = Sparsity(keep["tokens"], keep["attention"], tuple(keep["select_before"]))
    plan = sparsity.plan(model)
    batch, training = description["batch"], description["mode"] == "train"
    layout = plan_layout(config, model, Use(batch, training, selectors=plan.selectors))
    update = batch if training else None
    return layout, compile_program(layout, plan, mode=description["mode"], update_images=update)


def verify_programs(folder: Path = ROOT) -> int:
    """The number of deployed programs that this machine compiles to the same bytes; `PeelVitError` for the first other.

    What differs here would differ in training too: a Python or numpy that computes otherwise.
    """
    config = load_config(str(provenance(folder).get("config", "")))
    descriptions = sorted((folder / PROGRAMS).glob("*/*.json"))
    for path in descriptions:
        _, program = program_of(config, json.loads(path.read_text()))
        if program.data != path.with_suffix(".bin").read_bytes():
            raise PeelVitError(
                f"this machine compiles {path.with_suffix('.bin')} to other bytes; use a Python and a numpy of the "
                f"versions in {PROVENANCE}"
            )
    return len(descriptions)

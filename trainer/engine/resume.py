"""Continuing or evaluating a run: its options from its checkpoint, and a refusal of those that contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from host.errors import PeelVitError
from trainer.engine import checkpoint
from trainer.options import Options, flag, from_plain, is_for_evaluation, must_match

Content = dict[str, Any]


def options_for(given: Mapping[str, Any]) -> tuple[Options, Content | None]:
    """The options of a run from those given, and the content of the checkpoint that it resumes or evaluates.

    What is not given comes from the checkpoint; what is given and must be as it was is compared. `PeelVitError` names
    the first option that differs.
    """
    if given.get("resume") is None:
        return Options(**given), None
    path = checkpoint.find(given["resume"])
    saved = checkpoint.load(path)
    before = from_plain(saved["options"]) | {"steps": None}  # where that part of the run ended
    if given.get("evaluate"):
        kept = {name: value for name, value in before.items() if is_for_evaluation(name)}
        kept["num_classes"] = saved["setting"]["classes"]
        kept["initial_checkpoint"] = None
        _compare({name: given[name] for name in ("model", "num_classes") if name in given}, kept, path)
        return Options(**(kept | dict(given))), saved
    _compare(given, before, path)
    return Options(**(before | dict(given) | _folder(path, given))), saved


def _compare(given: Mapping[str, Any], before: Mapping[str, Any], path: Path) -> None:
    for name in given.keys() & before.keys():
        if must_match(name) and given[name] != before[name]:
            raise PeelVitError(
                f"{flag(name)} is {_shown(given[name])} but {path} was made with {_shown(before[name])}; "
                "leave the option out or give the same value"
            )


def _shown(value: Any) -> Any:
    return "nothing" if value is None else value


def _folder(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The run goes on in the folder of its checkpoint."""
    folder = path.parent
    if "output" in given or "experiment" in given:
        asked = Options(**{name: given[name] for name in ("output", "experiment") if name in given}).folder
        if asked.resolve() != folder.resolve():
            raise PeelVitError(f"--output is {asked} but the resumed run is in {folder}; leave --output out")
    return {"output": folder, "experiment": None}

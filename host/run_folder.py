"""The folder of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from host.errors import PeelVitError, is_disk_full


def prepare_run_folder(folder: Path, marks: Iterable[str] = ()) -> None:
    """See to it that `folder` can be written and has none of the files `marks`, which tell that it holds a run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if is_disk_full(error):
            raise
        raise PeelVitError(f"cannot write to {folder} ({error.strerror}); choose another --output") from None
    if any((folder / name).exists() for name in marks):
        raise PeelVitError(f"{folder} holds a run already; continue it with --resume or choose another --output")

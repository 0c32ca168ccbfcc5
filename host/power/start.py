"""The power meter that the options of a run ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable

from host.board_files import Files, LocalFiles, RemoteFiles
from host.options import Options
from host.power.meter import IDLE_SECONDS, PowerMeter
from host.power.rails import find_rails, missing_sentence


def meter_for(options: Options) -> PowerMeter:
    """The meter of a run, started; call it while the accelerator stands still."""
    files = RemoteFiles(options.board) if options.power and options.board is not None else LocalFiles()
    return started_meter(files, options.power)


def started_meter(
    files: Files, wanted: bool, *, idle_seconds: float = IDLE_SECONDS, say: Callable[[str], None] | None = None
) -> PowerMeter:
    """A meter that has measured the idle baseline; one that measures nothing unless `wanted`.

    Call it while the accelerator stands still. Rails that the board does not show are told by `say`, stderr by default.
    """
    rails = find_rails(files) if wanted else []
    sentence = missing_sentence(rails) if wanted else None
    if sentence is not None:
        (say or _say)(sentence)
    meter = PowerMeter(files, rails)
    meter.start(idle_seconds)
    return meter


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)

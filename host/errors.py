"""Errors a user can cause, and the wrapper that shows them as one sentence instead of a traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_OK = 0
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


class PeelVitError(Exception):
    """Something the user can put right; the message is one clear sentence: what is wrong and what to do."""


class CheckpointError(PeelVitError):
    """A checkpoint that is missing, damaged, of another format, or that could not be written."""


def disk_full_sentence(error: OSError, *, resumable: bool = False) -> str:
    """The sentence for a full disk (or quota); `resumable` where a checkpoint of what was interrupted exists."""
    where = f" while writing {error.filename}" if error.filename else ""
    return f"the disk is full{where}; free some space and start again{' with --resume' if resumable else ''}"


def is_disk_full(error: OSError) -> bool:
    """Whether `error` says that no space is left, either on the device or in the user's quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's `main` and end the process with its exit code (`None` counts as 0).

    A `PeelVitError` and a full disk become `error: <sentence>` on stderr and exit code 2; Ctrl-C becomes 130.
    Every other exception is a defect of the program and keeps its traceback.
    """
    try:
        raise SystemExit(main() or EXIT_OK)
    except PeelVitError as error:
        sentence = str(error)
    except OSError as error:
        if not is_disk_full(error):
            raise
        sentence = disk_full_sentence(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(EXIT_USER_ERROR)

"""Programs that run beside this one: started as a user would start them, watched, and stopped with it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from host.errors import EXIT_USER_ERROR, PeelVitError

ROOT = Path(__file__).resolve().parents[2]
LOG_NAME = "log.txt"
_POLL_SECONDS = 0.2
_STOP_SECONDS = 20
_ERROR = "error: "


class Child:
    """One Python program of this repository.

    `log` takes what it prints; without one it prints to this terminal.
    """

    def __init__(self, name: str, arguments: Sequence[str | Path], log: Path | None = None) -> None:
        self.name, self.log = name, log
        command = [sys.executable, *map(str, arguments)]
        # In a session of its own, Ctrl-C reaches it once, through `ask_to_stop`, and not from the terminal as well.
        with contextlib.ExitStack() as stack:
            output = None if log is None else stack.enter_context(open(log, "w", encoding="utf-8"))
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_one_thread(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
            )
        self.shown = shlex.join(["python", *map(str, arguments)])

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Nothing while it runs or when it ended well, else `PeelVitError` with its own sentence where it left one."""
        code = self._process.poll()
        if not code:
            return
        if self.log is None and code == EXIT_USER_ERROR:  # its sentence is on the terminal already
            raise SystemExit(code)
        lines = self.log.read_text(errors="replace").splitlines() if self.log else []
        if lines and lines[-1].startswith(_ERROR):
            raise PeelVitError(f"{self.name}: {lines[-1].removeprefix(_ERROR)}")
        where = f"; see {self.log}" if self.log else ""
        raise PeelVitError(f"the {self.name} run ended unexpectedly (exit code {code}){where}")

    def ask_to_stop(self) -> None:
        """Tell it to end, as Ctrl-C would; nothing when it has ended."""
        if self.running:
            self._process.terminate()

    def see_it_end(self) -> None:
        """Wait until it has ended, a while by itself, then by force."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Children:
    """Several children; leaving the block early, by Ctrl-C or an error in one, stops those that still run."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.see_it_end()

    def start(self, name: str, arguments: Sequence[str | Path], log: Path | None = None) -> Child:
        """Start another one; arguments as of `Child`."""
        with _signals_wait():
            child = Child(name, arguments, log)
            self._children.append(child)
        return child

    def wait(self, child: Child, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return when `child` has ended well; `PeelVitError` as soon as any of them fails."""
        while child.running:
            for each in self._children:
                each.check()
            meanwhile()
            time.sleep(_POLL_SECONDS)
        child.check()


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals with a handler wait until the block is left: a child that is not in the list yet would outlive us."""
    came: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _one_thread() -> dict[str, str]:
    """One thread a program: two of them share two cores, and results do not depend on the number of cores."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

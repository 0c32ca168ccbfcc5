"""Users see one sentence and an exit code; defects keep their traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from host.errors import CheckpointError, PeelVitError, run_main


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_exit_code_is_what_main_returns(returned: int | None, code: int) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run_main(lambda: returned)
    assert exit_info.value.code == code


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PeelVitError("no data in x; give another folder"), 2, "error: no data in x; give another folder\n"),
        (CheckpointError("damaged; resume from y"), 2, "error: damaged; resume from y\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_user_errors_are_one_line(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run_main(raising(error))
    assert exit_info.value.code == code
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_one_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run_main(raising(OSError(number, "full", "runs/x.csv")))
    assert exit_info.value.code == 2
    message = capsys.readouterr().err
    assert message == "error: the disk is full while writing runs/x.csv; free some space and start again\n"


@pytest.mark.parametrize("error", [ValueError("defect"), PermissionError(errno.EACCES, "denied")])
def test_defects_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_main(raising(error))

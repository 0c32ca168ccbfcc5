"""The parity command on a small model with odd sizes."""

from __future__ import annotations

import sys

import pytest

import sim.parity.__main__ as command
from hls.spec.config import load
from host.errors import PeelVitError
from sim.csim import build

SMALL = ["--config", "toy", "--model", "vit:image=15,patch=3,dim=20,depth=3,heads=2,mlp=28,classes=7"]


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sim.parity", *SMALL, *options])
    return command.main()


@pytest.mark.parametrize("variant", ["fast", "fidelity"])
def test_training_steps_are_equal(
    variant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build(load("toy"), variant)
    options = ["--select-before", "2", "3", "--steps", "2", "--accumulate", "2", "--variant", variant]
    assert run(monkeypatch, *options) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("equal: ")
    assert "2 steps, 4 programs" in printed


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    build(load("toy"), "fast")

    def broken(device: command.LockstepDevice, *_: object) -> None:
        raise command.DifferenceError("instruction 3 (head forward): ...")

    monkeypatch.setattr(command.LockstepDevice, "run", broken)
    assert run(monkeypatch) == 1
    assert "instruction 3 (head forward)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--steps", "0"], "0 steps compare nothing"),
        (["--tokens", "0"], "token keep ratio is 0.0"),
        (["--config", "none"], "no hardware configuration none"),
        (["--model", "none"], "there is no model none"),
    ],
)
def test_what_the_user_can_put_right(options: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        run(monkeypatch, *options)

"""`python -m vitis_project.check`: what the user can put right is a sentence."""

from __future__ import annotations

import sys

import pytest

from host.errors import PeelVitError
from vitis_project.check.__main__ import main


def test_an_unknown_configuration_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["check", "--configs", "toy", "nope"])
    with pytest.raises(PeelVitError, match="there is no hardware configuration nope"):
        main()

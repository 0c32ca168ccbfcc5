"""The rendered shell: the committed snapshot, and that it follows the register map and the configuration."""

from __future__ import annotations

import pytest

from hls.render import drift
from hls.spec.config import load, resized
from hls.spec.registers import REGISTERS
from sim.rtl.shell.render import SNAPSHOT, sources
from sim.rtl.shell.watched import PORTS


def test_the_committed_rendering_is_fresh() -> None:
    different = drift(SNAPSHOT, sources(load("toy")))
    assert not different, f"{different} differ; run `python -m sim.rtl.shell.render --snapshot`"


@pytest.mark.parametrize("register", REGISTERS, ids=lambda register: register.name)
def test_every_register_has_its_offset(register) -> None:
    text = sources(load("toy"))["control.sv"]
    assert f"{register.name.upper()} = 12'h{register.offset:03x};" in text
    assert (f"{register.name.upper()}_HIGH = 12'h{register.offset + 4:03x};" in text) == (register.bits == 64)


def test_bursts_are_those_of_the_configuration() -> None:
    config = resized(load("toy"), {"burst_words": 64, "outstanding": 3})
    files = sources(config)
    for name in ("peelvit_top.sv", "bench.sv"):
        assert files[name].count(".MAX_BURST(64), .OUTSTANDING(3)") == PORTS

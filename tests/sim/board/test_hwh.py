"""The hardware handoff, read with the package that PYNQ reads real ones with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from hls.spec import system
from hls.spec.config import CONFIGS, load
from hls.spec.registers import REGISTERS, register_words
from sim.board.bitstream import bit_file, read_binary, write_bitstream
from sim.board.clocks import divisors
from sim.board.hwh import hardware_words, render_hwh

CONFIG_NAMES = sorted(path.stem for path in CONFIGS.glob("*.json"))


def parsed(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynqmetadata uses what pydantic calls old
        from pynqmetadata.frontends import Metadata
        from pynqmetadata.views.runtime import RuntimeMetadataParser

        return RuntimeMetadataParser(Metadata(input=path))


@pytest.mark.parametrize("name", CONFIG_NAMES)
def test_pynq_finds_the_system_of_the_specification(name: str, tmp_path: Path) -> None:
    config = load(name)
    path = write_bitstream(config, tmp_path / "peelvit.bit").with_suffix(".hwh")
    metadata = parsed(path)
    for block in system.BLOCKS:
        found = metadata.ip_dict[block.name]
        assert (found["type"], found["phys_addr"], found["addr_range"]) == (block.vlnv, block.offset, block.bytes)
    registers = metadata.ip_dict[system.KERNEL.name]["registers"]
    assert {word: at["address_offset"] for word, at in registers.items()} == {
        word.name: word.offset for word in hardware_words()
    }
    assert registers["CTRL"]["fields"]["AP_DONE"]["bit_offset"] == 1
    assert metadata.clock_dict[0]["enable"] == 1
    assert metadata.clock_dict[0]["frequency"] == pytest.approx(config.clock_mhz, rel=1e-4)
    assert f"{system.KERNEL.name}/interrupt" in metadata.interrupt_pins


def test_every_register_has_its_words() -> None:
    words = register_words()
    assert 32 * len(words) == sum(register.bits for register in REGISTERS)
    assert len({word.name for word in words}) == len(words) == len({word.offset for word in words})


def test_the_same_configuration_gives_the_same_file() -> None:
    assert render_hwh(load("toy")) == render_hwh(load("toy"))


def test_the_bitstream_names_its_configuration() -> None:
    from pynq.pl_server.embedded_device import bit2bin, parse_bit_header

    config = load("toy")
    content = bit_file(config)
    assert parse_bit_header(content)["part"] == config.part
    binary = bit2bin(content)
    assert read_binary(binary) == config
    assert read_binary(b"\x00" * 64) is None


@pytest.mark.parametrize("mhz, product", [(150, 10), (100, 15), (187.5, 8), (300, 5), (149, 11)])
def test_divisors_of_the_io_pll(mhz: float, product: int) -> None:
    first, second = divisors(mhz)
    assert first * second == product

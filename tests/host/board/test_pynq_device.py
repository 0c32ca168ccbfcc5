"""The board's device on a virtual board in this process: each trap of PYNQ on a ZCU102 that it absorbs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hls.spec import system
from hls.spec.config import load
from hls.spec.instruction import assemble
from hls.spec.registers import AP_IDLE
from hls.spec.status import Status
from host.board import accelerator, overlay, window
from host.board.accelerator import HangError, InterruptPause
from host.board.clock import forget_clocks
from host.board.link import address_of, connect, quiet
from host.devices.csim import CsimDevice
from host.devices.pynq import PynqDevice
from host.errors import PeelVitError
from host.memory import megabytes
from host.programs import ProgramStore
from host.selftest import EXPECTED_CHECKSUM, training_checksum
from sim.board.bitstream import write_bitstream
from sim.board.board import Board, BoardOptions
from sim.board.faults import parse_fault
from sim.board.in_process import InProcessDevice

TOY = load("toy")
Open = Callable[..., PynqDevice]


@pytest.fixture
def bitfile(tmp_path: Path) -> Path:
    return write_bitstream(TOY, tmp_path / "toy.bit")


def board(*faults: str, **options: Any) -> Board:
    return Board(BoardOptions(blocking=True, faults=tuple(map(parse_fault, faults)), **options))


@pytest.fixture
def opened(bitfile: Path) -> Iterator[Open]:
    """Opens devices, and closes them."""
    devices = []

    def open_it(where: Board | None = None, **arguments: Any) -> PynqDevice:
        device = InProcessDevice(where or board())
        devices.append(PynqDevice(TOY, **{"bitfile": bitfile, "device": device, **arguments}))
        return devices[-1]

    yield open_it
    for device in devices:
        device.close()


@pytest.mark.parametrize("faults", [(), ("no-ranges",), ("no-ecc",)])
@pytest.mark.parametrize("base", [0x10_0000, 0x8_4000_0000])
def test_a_training_step_gives_the_golden_bits(faults: tuple[str, ...], base: int, opened: Open) -> None:
    assert training_checksum(opened(board(*faults, cma_base=base))) == EXPECTED_CHECKSUM


def test_cycles_are_those_of_the_c_simulation(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    run, cycles = ProgramStore.run, []
    monkeypatch.setattr(ProgramStore, "run", lambda *given: cycles.append(run(*given)) or cycles[-1])
    for device in (opened(), CsimDevice(TOY)):
        training_checksum(device)
    half = len(cycles) // 2
    assert cycles[:half] == cycles[half:]
    assert all(cycles)


# Work beside a run


def empty_program(device: PynqDevice) -> None:
    device.allocate(512)
    device.write(0, np.frombuffer(assemble([], TOY.hash, 64, 1), np.uint8))


@pytest.mark.parametrize("faults", [(), ("no-ranges",)])
def test_what_is_written_beside_a_run_reaches_the_memory(faults: tuple[str, ...], opened: Open) -> None:
    device, where = opened(board(*faults)), np.arange(128, dtype=np.uint8)
    empty_program(device)
    assert device.run_beside(0, lambda: device.write(256, where)).status is Status.OK
    assert device.run(0).status is Status.OK  # after which nothing that the host holds counts
    assert device.read(256, (128,), np.uint8).tolist() == where.tolist()


def test_work_is_done_between_the_start_and_the_end(opened: Open) -> None:
    device, seen = opened(), []
    empty_program(device)
    mmio, write, read = device._accelerator._mmio, device._accelerator._mmio.write, device._accelerator._mmio.read
    control = device._accelerator._registers["CTRL"]
    mmio.write = lambda offset, value: (seen.append("start") if offset == control else None, write(offset, value))
    mmio.read = lambda offset: (seen.append("look") if offset == control else None, read(offset))[1]
    device.run_beside(0, lambda: seen.append("work"))
    assert seen[:3] == ["start", "work", "look"]


def test_a_flush_of_everything_waits_for_the_end(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    device, seen = opened(board("no-ranges")), []
    empty_program(device)
    expire = window.Window.expire
    monkeypatch.setattr(window.Window, "expire", lambda self: (seen.append("end"), expire(self)))
    device.run_beside(0, lambda: seen.append("work"))
    assert seen == ["end", "work"]


def test_a_program_comes_to_its_end_though_the_work_fails(opened: Open) -> None:
    device = opened()
    empty_program(device)

    def fail() -> None:
        raise PeelVitError("no more images")

    with pytest.raises(PeelVitError, match="no more images"):
        device.run_beside(0, fail)
    assert device._accelerator.read("CTRL") & AP_IDLE
    assert device.run(0).status is Status.OK


@pytest.mark.parametrize("faults, kind", [((), window.RemoteSync), (("no-ranges",), window.WholeSync)])
def test_ranges_move_where_they_are_understood(faults: tuple[str, ...], kind: type, opened: Open) -> None:
    device = opened(board(*faults))
    device.allocate(256)
    assert device._window is not None
    assert type(device._window._sync) is kind


# Coherence: each of these lines, taken out, is noticed


def comes_out_wrong(device: PynqDevice) -> bool:
    try:
        return training_checksum(device) != EXPECTED_CHECKSUM
    except (PeelVitError, RuntimeWarning):
        return True


def test_a_forgotten_flush_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.Window, "publish", lambda self: None)
    with pytest.raises(PeelVitError, match="no program at the given address"):
        training_checksum(opened())


def test_a_write_without_the_servers_flush_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_only(self: Any, ranges: Any) -> None:
        self._buffer.stub.write(self._requests(ranges))

    monkeypatch.setattr(window, "_server_takes_ranges", lambda device: True)
    monkeypatch.setattr(window.RemoteSync, "to_device", write_only)
    with pytest.raises(PeelVitError, match="no program at the given address"):
        training_checksum(opened())


def test_a_forgotten_invalidate_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.Window, "expire", lambda self: None)
    assert comes_out_wrong(opened())


def test_a_read_without_the_servers_invalidate_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.RemoteSync, "expire", lambda self: None)
    assert comes_out_wrong(opened())


# Memory


def test_both_words_of_an_address_are_written_as_plain_ints(opened: Open) -> None:
    device = opened(board(cma_base=0xF_8000_0000, cma_bytes=1 << 20))
    written: list[tuple[int, Any]] = []
    mmio = device._accelerator._mmio
    mmio.write = lambda offset, value: written.append((offset, value))
    device.allocate(256)
    assert [value for offset, value in written if offset in (0x10, 0x1C, 0x28)] == [0x8000_0000] * 3
    assert [value for offset, value in written if offset in (0x14, 0x20, 0x2C)] == [0xF] * 3
    assert {type(value) for _, value in written} == {int}


def test_memory_is_cacheable_and_one_buffer(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    device = opened()
    asked: list[tuple[int, dict[str, Any]]] = []
    allocate = device._device.allocate

    def recorded(shape: tuple[int], dtype: Any, **more: Any) -> Any:
        asked.append((shape[0], more))
        return allocate(shape, dtype, **more)

    monkeypatch.setattr(device._device, "allocate", recorded)
    device.allocate(1 << 12)
    assert asked[0] == (1 << 16, {"cacheable": 1})


def test_memory_that_is_not_there_is_refused_with_both_figures(opened: Open) -> None:
    device = opened(board(cma_bytes=1 << 20))
    with pytest.raises(PeelVitError, match=re.escape(f"needs {megabytes(2 << 20)} of contiguous memory but 1.0 MiB")):
        device.allocate((2 << 20) // 16)
    device.allocate(256)


def test_memory_in_pieces_is_refused(opened: Open) -> None:
    where = board(cma_bytes=80 << 10)
    names = [where.memory.allocate(8 << 10) for _ in range(7)]
    for name in names[::2]:
        where.memory.release(name)
    with pytest.raises(PeelVitError, match="in one piece"):
        opened(where).allocate(1500)


def test_the_buffer_is_given_back(opened: Open) -> None:
    where = board()
    device = opened(where)
    for _ in range(3):
        device.allocate(1 << 16)
    assert where.memory.free == where.memory.size - (1 << 20)
    device.close()
    assert where.memory.free == where.memory.size


@pytest.mark.parametrize("address, size", [(-1, 16), (15, 32), (16, 16)])
def test_the_window_ends(address: int, size: int, opened: Open) -> None:
    device = opened()
    device.allocate(16)
    with pytest.raises(PeelVitError, match="leaves the window"):
        device.write(address, np.zeros(size, np.uint8))
    with pytest.raises(PeelVitError, match="leaves the window"):
        device.read(address, (size,), np.uint8)


def test_a_write_is_padded_with_zeros(opened: Open) -> None:
    device = opened()
    device.allocate(16)
    device.write(1, np.full(32, 7, np.uint8))
    device.write(1, np.ones(5, np.uint8))
    assert device.read(1, (32,), np.uint8).tolist() == [1] * 5 + [0] * 11 + [7] * 16


# Bitstream


def test_a_bitstream_without_handoff_is_refused(bitfile: Path, opened: Open) -> None:
    bitfile.with_suffix(".hwh").unlink()
    with pytest.raises(PeelVitError, match=r"there is no .*toy.hwh; PYNQ needs"):
        opened()


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ('VALUE="0x54"', 'VALUE="0x58"', "the register program is at 0x58"),
        ('REGISTER NAME="hash_low"', 'REGISTER NAME="hash"', "the register hash_low is missing"),
        ("hls:peelvit_top:1.0", "hls:peelvit_top:1.1", "is xilinx.com:hls:peelvit_top:1.1 but this version drives"),
        ('FULLNAME="/peelvit"', 'FULLNAME="/other"', "has no block peelvit but"),
    ],
)
def test_a_handoff_of_another_build_is_refused(
    old: str, new: str, sentence: str, bitfile: Path, opened: Open, tmp_path: Path
) -> None:
    opened().close()  # pynq has seen the right one
    handoff = bitfile.with_suffix(".hwh")
    text = handoff.read_text()
    assert old in text
    handoff.write_text(text.replace(old, new))
    with pytest.raises(PeelVitError, match=sentence):
        opened()


def test_pynqs_copy_of_a_handoff_is_not_used(
    bitfile: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """pynq keeps the `.hwh` that it has loaded, and takes it when it sees the same `.bit` again."""
    import pynq
    from pynq.pl_server import global_state

    monkeypatch.setattr(global_state, "STATE_DIR", str(tmp_path))
    forget_clocks(pynq.Clocks)
    pynq.Device.active_device = InProcessDevice(board())
    with quiet():
        pynq.Overlay(str(bitfile), device=pynq.Device.active_device)
    assert global_state.global_state_file_exists()
    handoff = bitfile.with_suffix(".hwh")
    handoff.write_text(handoff.read_text().replace('VALUE="0x54"', 'VALUE="0x58"'))
    with pytest.raises(PeelVitError, match="the register program is at 0x58"):
        opened()
    assert str(tmp_path) == global_state.STATE_DIR


def test_a_bitstream_of_another_configuration_is_refused(tmp_path: Path, opened: Open) -> None:
    other = write_bitstream(load("zcu102"), tmp_path / "other.bit")
    with pytest.raises(PeelVitError, match="the accelerator in the fabric has the hash"):
        opened(board(kernel="golden"), bitfile=other)


def test_a_stale_bitstream_on_the_board_is_not_taken_for_a_new_one(opened: Open, tmp_path: Path) -> None:
    """pynq does not send a file whose name is on the board already."""
    where = board(kernel="golden")
    other = write_bitstream(load("zcu102"), tmp_path / "elsewhere" / "toy.bit")
    with pytest.raises(PeelVitError, match="hash"):
        opened(where, bitfile=other)
    opened(where)


def test_a_file_that_is_no_bitstream_of_this_board_is_refused(bitfile: Path, opened: Open) -> None:
    content = bytearray(bitfile.read_bytes())
    content[-40] ^= 1
    bitfile.write_bytes(content)
    with pytest.raises(PeelVitError, match=r"FPGA manager did not take .*write error"):
        opened()


def test_pynqs_own_file_stays_out_of_the_current_folder(
    opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.getcwd()

    def download(self: Any, bitstream: Any, parser: Any = None) -> None:
        Path("loaded.xclbin").write_bytes(b"")
        assert os.getcwd() != before
        original(self, bitstream, parser)

    original = InProcessDevice.download
    monkeypatch.setattr(InProcessDevice, "download", download)
    opened()
    assert os.getcwd() == before
    assert not (tmp_path / "loaded.xclbin").exists()


def test_a_virtual_bitstream_is_kept_from_a_real_board(bitfile: Path) -> None:
    with pytest.raises(PeelVitError, match="bitstream of the virtual board; give --board"):
        overlay._check_files(bitfile, local=True)


def test_the_platform_must_be_the_one_that_was_named(opened: Open) -> None:
    assert opened(platform="zcu102")
    with pytest.raises(PeelVitError, match="--platform is ZCU104 but the board is a ZCU102"):
        opened(platform="ZCU104")


# Clock


def test_the_clock_is_set_and_read_back(opened: Open) -> None:
    where = board()
    assert opened(where, clk_mhz=100).clock_mhz == pytest.approx(100, rel=1e-3)
    assert where.clocks.fabric_mhz() == pytest.approx(100, rel=1e-3)
    assert opened(where).clock_mhz == pytest.approx(150, rel=1e-3)  # another device, another clock


@pytest.mark.parametrize(
    "wanted, sentence",
    [(200.0, "timed for 149.999"), (0.0, "give a clock above 0"), (143.0, "the nearest is --clk-mhz 149.999")],
)
def test_a_clock_that_cannot_be_is_refused(wanted: float, sentence: str, opened: Open) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        opened(clk_mhz=wanted)


def test_the_wrong_pll_is_noticed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dividers of one PLL with another one selected: the clock is not what was asked for."""
    where = board()
    write = where.clocks.write
    monkeypatch.setattr(where.clocks, "write", lambda address, value: write(address, value & ~0x3F00 | 4 << 8))
    with pytest.raises(PeelVitError, match="reads back as"):
        opened(where)


# Runs


def test_a_hang_ends_and_the_fabric_is_loaded_again_before_memory_is_given_back(opened: Open) -> None:
    where = board("hang")
    device = opened(where, timeout=0.2)
    device.allocate(256)
    with pytest.raises(HangError, match=r"did not finish within 0.2 s"):
        device.run(0)
    hung = where.accelerator
    device.close()
    assert where.accelerator is not hung
    assert where.memory.free == where.memory.size
    assert training_checksum(opened(where)) == EXPECTED_CHECKSUM


def test_a_done_bit_that_another_reader_cleared_is_no_hang(opened: Open) -> None:
    device = opened(timeout=0.2)
    device.allocate(256)
    mmio, control = device._accelerator._mmio, device._accelerator._registers["CTRL"]
    read = mmio.read
    mmio.read = lambda offset: read(offset) & ~2 if offset == control else read(offset)
    assert device.run(0).status.name == "BAD_MAGIC"


def test_without_a_timer_the_watch_counts(bitfile: Path, opened: Open) -> None:
    handoff = bitfile.with_suffix(".hwh")
    handoff.write_text(handoff.read_text().replace('FULLNAME="/timer"', 'FULLNAME="/watch"'))
    device = opened()
    assert device._accelerator._timer is None
    device.allocate(256)
    assert device.run(0).cycles > 0


def test_a_long_count_is_read_in_one_piece(opened: Open) -> None:
    device = opened()
    values = iter([1, 5, 2, 2, 7, 2])
    device._accelerator._timer.read = lambda offset: next(values)
    assert device._accelerator._count(0x08, 0x18) == 2 << 32 | 7


def test_interrupts_do_not_come_over_a_connection(opened: Open) -> None:
    with pytest.raises(PeelVitError, match="leave out --interrupts"):
        opened(interrupts=True)


def test_a_lost_interrupt_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupt:
        def __init__(self, pin: str) -> None:
            assert pin == f"{system.KERNEL.name}/interrupt"
            self.event = asyncio.Event()

        async def wait(self) -> None:
            await self.event.wait()

    monkeypatch.setattr(accelerator, "INTERRUPT_SECONDS", 0.01)
    with closing(InterruptPause(SimpleNamespace(Interrupt=Interrupt), "peelvit/interrupt")) as pause:
        pause(0.0, 0.0)
        pause._interrupt.event.set()
        pause(0.0, 0.0)


def test_an_interrupt_that_the_overlay_lacks_is_a_sentence() -> None:
    def missing(pin: str) -> None:
        raise ValueError("No Pin of name peelvit/interrupt found")

    with pytest.raises(PeelVitError, match="leave out --interrupts"):
        InterruptPause(SimpleNamespace(Interrupt=missing), "peelvit/interrupt")


# The way there


@pytest.mark.parametrize("text, place", [("10.0.0.2", ("10.0.0.2", 7967)), ("zcu:99", ("zcu", 99))])
def test_an_address_has_a_port(text: str, place: tuple[str, int]) -> None:
    assert address_of(text) == place


@pytest.mark.parametrize("text", [":7967", "zcu:", "zcu:x", "zcu:0", "zcu:65536"])
def test_no_address(text: str) -> None:
    with pytest.raises(PeelVitError, match="give ADDRESS or ADDRESS:PORT"):
        address_of(text)


def test_no_board_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from pynq.pl_server import remote_device

    class Channel:
        def __init__(self, address: str, port: int) -> None:
            raise RuntimeError("Failed to connect to remote device")

    monkeypatch.setattr(remote_device, "GrpcChannel", Channel)
    with pytest.raises(PeelVitError, match="no board answers at nowhere:1"):
        connect("nowhere:1")


def test_pynq_3_knows_no_board_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynq.pl_server.remote_device", None)
    with pytest.raises(PeelVitError, match="pynq 4 only"):
        connect("nowhere:1")


def test_without_pynq_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(PeelVitError, match="needs the Python package pynq; install"):
        connect("nowhere:1")


def test_this_machine_is_no_board() -> None:
    with pytest.raises(PeelVitError, match="this machine is no PYNQ board"):
        PynqDevice(TOY)


def test_closing_twice_is_allowed(opened: Open) -> None:
    with closing(opened()) as device:
        device.close()

"""The board's parts as the processor sees them: registers, files, faults, pace."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest

from hls.spec import system
from hls.spec.config import load
from hls.spec.registers import AP_DONE, AP_IDLE, AP_START, BY_NAME
from hls.spec.status import Status
from host.board_files import read_number
from host.errors import PeelVitError
from host.power.rails import RAILS, find_rails
from sim.board.accelerator import Accelerator
from sim.board.bitstream import bit_file
from sim.board.board import Board, BoardOptions, BusError
from sim.board.faults import AT_A_RUN, KINDS, Fault, Faults, parse_fault
from sim.board.kernel import KernelResult, kernel_names, open_kernel
from sim.board.timer import Timer
from tests.sim.op_cases import random_case

TOY = load("toy")
RESULT = KernelResult(Status.BAD_SHAPE, 7, 0x1234_5678_9ABC_DEF0, 5_000_000_000)
ADDRESSES = {port.argument: 0 for port in system.MEMORY_PORTS}
CTRL, IER, GIE, ISR = (BY_NAME[name].offset for name in ("ap_ctrl", "ier", "gie", "isr"))


class Files:
    def __init__(self, board: Board) -> None:
        self._board = board

    def read(self, path: str) -> bytes | None:
        return self._board.read_file(path)


def accelerator(result: KernelResult | None = RESULT, **options: bool) -> tuple[Accelerator, list[Mapping[str, int]]]:
    seen: list[Mapping[str, int]] = []

    def start(registers: Mapping[str, int]) -> KernelResult | None:
        seen.append(registers)
        return result

    return Accelerator(TOY, start, lambda: 150.0, **{"blocking": True, **options}), seen


def loaded(**options: object) -> Board:
    from pynq.pl_server.embedded_device import bit2bin

    board = Board(BoardOptions(blocking=True, **options))  # type: ignore[arg-type]
    board.write_file("/lib/firmware/toy.bin", bit2bin(bit_file(TOY)))
    board.write_file("/sys/class/fpga_manager/fpga0/firmware", b"toy.bin")
    return board


# Registers


def test_a_run_shows_in_the_registers() -> None:
    device, seen = accelerator()
    mem0, window_words, program = (BY_NAME[name].offset for name in ("mem0", "window_words", "program"))
    for offset, value in ((mem0, 0x4000_0000), (mem0 + 4, 8), (window_words, 99), (program, 5)):
        device.write(offset, value)
    assert device.read(CTRL) == AP_IDLE
    device.write(CTRL, AP_START)
    assert (seen[0]["mem0"], seen[0]["window_words"], seen[0]["program"]) == (0x8_4000_0000, 99, 5)
    assert device.read(CTRL) & (AP_DONE | AP_IDLE) == AP_DONE | AP_IDLE
    assert device.read(CTRL) == AP_IDLE  # reading has cleared the done bit
    names = ("status", "failed_instruction", "hash_low", "hash_high", "cycles_low", "cycles_high")
    assert [device.read(BY_NAME[name].offset) for name in names] == [
        Status.BAD_SHAPE, 7, 0x9ABC_DEF0, 0x1234_5678, 5_000_000_000 & 0xFFFF_FFFF, 1,
    ]  # fmt: skip


def test_the_interrupt_rises_only_where_it_is_let_and_stays_until_cleared() -> None:
    device, _ = accelerator()
    device.write(CTRL, AP_START)
    assert not device.interrupt
    device.write(IER, 1)
    device.write(GIE, 1)
    device.write(CTRL, AP_START)
    assert device.interrupt
    assert device.cycles_at_interrupt == 2 * RESULT.cycles
    device.write(CTRL, AP_START)  # the line is up already: no edge
    assert device.cycles_at_interrupt == 2 * RESULT.cycles
    device.write(ISR, device.read(ISR))
    assert not device.interrupt


def test_a_start_in_a_run_is_lost() -> None:
    device, seen = accelerator(None)
    device.write(CTRL, AP_START)
    device.write(CTRL, AP_START)
    assert device.busy
    assert len(seen) == 1


def test_the_timer_counts_runs_and_captures_their_ends() -> None:
    device, _ = accelerator()
    timer = Timer(device)
    timer.write(0x00, 1 << 5)  # load
    timer.write(0x00, 1 << 7 | 1)  # run, capture
    for offset in (GIE, IER):
        device.write(offset, 1)
    device.write(CTRL, AP_START)
    assert timer.read(0x14) << 32 | timer.read(0x04) == RESULT.cycles
    device.write(CTRL, AP_START)  # the interrupt was not cleared
    assert timer.read(0x14) << 32 | timer.read(0x04) == RESULT.cycles
    assert timer.read(0x18) << 32 | timer.read(0x08) == 2 * RESULT.cycles


def test_nothing_answers_without_a_bitstream_or_outside_the_blocks() -> None:
    board = Board()
    with pytest.raises(BusError, match="no register answers"):
        board.read_word(system.KERNEL.offset)
    board = loaded()
    assert board.read_word(system.KERNEL.offset) == AP_IDLE
    assert board.read_word(system.PROVENANCE.offset + 8) == TOY.hash & 0xFFFF_FFFF
    with pytest.raises(BusError, match="no register answers"):
        board.write_word(0xB000_0000, 1)


def test_a_window_that_no_buffer_holds_is_a_decode_error() -> None:
    board = loaded()
    addresses = dict.fromkeys(ADDRESSES, 0x1000)
    for name, value in (addresses | {"window_words": 16, "ap_ctrl": AP_START}).items():
        board.write_word(system.KERNEL.offset + BY_NAME[name].offset, value)
    assert board.read_word(system.KERNEL.offset + BY_NAME["status"].offset) == Status.BUS_DECODE_ERROR


def test_a_file_that_is_no_bitstream_empties_the_fabric() -> None:
    board = loaded()
    board.write_file("/sys/class/fpga_manager/fpga0/firmware", b"other.bin")
    assert board.read_file("/sys/class/fpga_manager/fpga0/state") == b"write error\n"
    with pytest.raises(BusError):
        board.read_word(system.KERNEL.offset)


# Kernels


@pytest.mark.parametrize("name", [name for name in kernel_names() if name != "rtl"])
@pytest.mark.parametrize("op", ["gemm_nn", "layernorm", "sgd_update"])
def test_kernels_leave_the_same_memory(name: str, op: str) -> None:
    case = random_case(op, 0, TOY)
    memories = [case.memory.reshape(-1).view(np.uint8).copy() for _ in range(2)]
    registers = {"program": case.program, "window_words": case.window_words} | ADDRESSES
    result, wanted = (open_kernel(k, TOY).run(registers, m) for k, m in zip((name, "csim"), memories, strict=True))
    assert np.array_equal(*memories)
    assert (result.status, result.hash) == (wanted.status, TOY.hash)


@pytest.mark.parametrize("name", [name for name in kernel_names() if name != "rtl"])
def test_a_bus_error_leaves_half_a_result(name: str) -> None:
    case = random_case("gelu", 0, TOY)
    memory = case.memory.reshape(-1).view(np.uint8).copy()
    before = memory.copy()
    registers = {"program": case.program, "window_words": case.window_words} | ADDRESSES
    result = open_kernel(name, TOY).run(registers, memory, Status.BUS_SLAVE_ERROR)
    assert result.status is Status.BUS_SLAVE_ERROR
    assert np.array_equal(memory[memory.size // 2 :], before[memory.size // 2 :])


def test_there_is_no_such_kernel() -> None:
    with pytest.raises(PeelVitError, match="there is no kernel abacus; choose csim"):
        open_kernel("abacus", TOY)


def test_real_time_takes_the_modelled_time() -> None:
    device, _ = accelerator(KernelResult(Status.OK, 0, 0, 15_000_000), real_time=True)
    begin = time.perf_counter()
    device.write(CTRL, AP_START)
    assert time.perf_counter() - begin >= 0.1


# Files


def test_rails_and_memory_show_as_on_a_board() -> None:
    board = Board(BoardOptions(cma_bytes=8 << 20))
    rails = find_rails(Files(board))
    assert {rail.monitor for rail in rails} == set(RAILS)
    assert all(rail.watts(Files(board)) for rail in rails)
    board.memory.allocate(1 << 20)
    meminfo = (board.read_file("/proc/meminfo") or b"").decode()
    assert "CmaTotal:           8192 kB" in meminfo
    assert "CmaFree:            7168 kB" in meminfo
    assert read_number(Files(board), "/sys/devices/system/edac/mc/mc0/ue_count") == 0
    assert Board(BoardOptions(faults=(Fault("no-ecc"),))).read_file("/sys/devices/system/edac/mc/mc0/ue_count") is None


# Faults


def test_a_fault_at_a_run_happens_once() -> None:
    faults = Faults([parse_fault(text) for text in ("hang@2", "axi-slverr@2", "bit-flip", "no-cma")])
    assert faults.lasts("no-cma")
    assert faults.of_run(1) == {"bit-flip"}
    assert faults.of_run(2) == {"hang", "axi-slverr"}
    assert faults.of_run(2) == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_named(kind: str) -> None:
    assert parse_fault(kind) == Fault(kind, 1)
    if kind in AT_A_RUN:
        assert parse_fault(f"{kind}@12") == Fault(kind, 12)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("fire", "there is no fault fire"),
        ("hang@x", "from 1"),
        ("hang@0", "from 1"),
        ("no-cma@2", "lasts; leave out @2"),
    ],
)
def test_a_fault_that_cannot_be_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        parse_fault(text)

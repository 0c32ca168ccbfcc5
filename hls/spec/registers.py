"""The register map of the accelerator's AXI-Lite port (ap_ctrl_hs of Vitis HLS, offsets set explicitly)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """Who writes a register."""

    CONTROL = "control"
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True)
class Register:
    """A register: byte offset, width in bits (64-bit ones take two words, low first), and what it means."""

    name: str
    offset: int
    bits: int
    direction: Direction
    text: str


REGISTERS: tuple[Register, ...] = (
    Register("ap_ctrl", 0x00, 32, Direction.CONTROL, "bit 0 start, 1 done, 2 idle, 3 ready, 7 auto-restart"),
    Register("gie", 0x04, 32, Direction.CONTROL, "bit 0: interrupts on"),
    Register("ier", 0x08, 32, Direction.CONTROL, "bit 0: interrupt at done, bit 1: at ready"),
    Register("isr", 0x0C, 32, Direction.CONTROL, "interrupt status, written with 1 to clear"),
    Register("mem0", 0x10, 64, Direction.INPUT, "byte address of the memory window, for the first memory port"),
    Register("mem1", 0x1C, 64, Direction.INPUT, "the same address, for the second memory port"),
    Register("mem2", 0x28, 64, Direction.INPUT, "the same address, for the third memory port"),
    Register("mem3", 0x34, 64, Direction.INPUT, "the same address, for the fourth memory port"),
    Register("mem4", 0x40, 64, Direction.INPUT, "the same address, for the fifth memory port"),
    Register("window_words", 0x4C, 32, Direction.INPUT, "size of the window in words of 16 bytes"),
    Register("program", 0x54, 32, Direction.INPUT, "word address of the program inside the window"),
    Register("status", 0x5C, 32, Direction.OUTPUT, "status code of the last run (hls.spec.status)"),
    Register("failed_instruction", 0x6C, 32, Direction.OUTPUT, "index of the instruction that stopped the run"),
    Register("hash_low", 0x7C, 32, Direction.OUTPUT, "low word of the hardware configuration's hash"),
    Register("hash_high", 0x8C, 32, Direction.OUTPUT, "high word of the hardware configuration's hash"),
    Register("cycles_low", 0x9C, 32, Direction.OUTPUT, "clock cycles of the last run, low word"),
    Register("cycles_high", 0xAC, 32, Direction.OUTPUT, "clock cycles of the last run, high word"),
)

BY_NAME = {register.name: register for register in REGISTERS}
SPAN = 0x1000
"""Bytes of the AXI-Lite address range."""

AP_START, AP_DONE, AP_IDLE, AP_READY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
"""Bits of `ap_ctrl`; reading it clears `AP_DONE`."""


@dataclass(frozen=True)
class RegisterWord:
    """One 32-bit word as the tools name it; `register` and `shift` say which bits of the map it holds."""

    name: str
    offset: int
    register: Register
    shift: int = 0


_CONTROL_NAMES = {"ap_ctrl": "CTRL", "gie": "GIER", "ier": "IP_IER", "isr": "IP_ISR"}


def register_words() -> tuple[RegisterWord, ...]:
    """The map in words of 32 bits, with the names that Vitis HLS gives them: what `.hwh` holds and PYNQ shows."""
    words: list[RegisterWord] = []
    for register in REGISTERS:
        name = _CONTROL_NAMES.get(register.name, register.name)
        if register.bits == 32:
            words.append(RegisterWord(name, register.offset, register))
        else:
            halves = range(register.bits // 32)
            words += [RegisterWord(f"{name}_{i + 1}", register.offset + 4 * i, register, 32 * i) for i in halves]
    return tuple(words)

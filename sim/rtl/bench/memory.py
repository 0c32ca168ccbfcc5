"""The memory behind the masters, by cocotbext-axi's slaves: a window, faults on demand, patterns of waiting."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cocotb.triggers import Event
from cocotbext.axi import AxiBus, AxiResp, AxiSlave
from numpy.typing import NDArray

from sim.rtl.shell.watched import PORTS

CHANNELS = ("aw", "w", "b", "ar", "r")
QUEUE = 32
"""Requests that a slave takes before it answers: more than any configuration has outstanding."""


class AccessError(Exception):
    """The memory refuses an access."""


@dataclass
class Memory:
    """DDR: the bytes of the window from byte address `base` on; anything else does not exist.

    Attributes:
        fail_at: the access (a beat, counted over all ports from 1) that is refused, or never answered if `hangs`.
        response: with what it is refused.
        stride: a port sees the window that many bytes above the one before it sees it.
        reads, writes: accesses by port, as (byte address, length).
    """

    data: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    base: int = 0
    fail_at: int = 0
    response: AxiResp = AxiResp.SLVERR
    hangs: bool = False
    stride: int = 0
    accesses: int = 0
    reads: list[list[tuple[int, int]]] = field(default_factory=lambda: [[] for _ in range(PORTS)])
    writes: list[list[tuple[int, int]]] = field(default_factory=lambda: [[] for _ in range(PORTS)])

    async def touch(self, port: int, address: int, length: int) -> slice:
        """Where the access goes; `AccessError` when it is refused."""
        self.accesses += 1
        if self.accesses == self.fail_at:
            if self.hangs:
                await Event().wait()
            raise AccessError
        place = address - self.base - port * self.stride
        if not 0 <= place <= self.data.size - length:
            self.response = AxiResp.DECERR
            raise AccessError
        return slice(place, place + length)


class _Target:
    """One port's view of the memory."""

    def __init__(self, memory: Memory, port: int) -> None:
        self._memory, self._port = memory, port

    async def read(self, address: int, length: int) -> bytes:
        place = await self._memory.touch(self._port, address, length)
        self._memory.reads[self._port].append((address, length))
        return self._memory.data[place].tobytes()

    async def write(self, address: int, data: bytes) -> None:
        place = await self._memory.touch(self._port, address, len(data))
        self._memory.writes[self._port].append((address, len(data)))
        self._memory.data[place] = np.frombuffer(data, np.uint8)


class Slaves:
    """The slaves on the accelerator's masters."""

    def __init__(self, dut: Any, memory: Memory) -> None:
        self.memory = memory
        self._slaves = []
        for port in range(PORTS):
            bus = AxiBus.from_prefix(dut, f"m_axi_gmem{port}")
            slave = AxiSlave(bus, dut.ap_clk, dut.ap_rst_n, _Target(memory, port), reset_active_level=False)
            slave.write_if.aw_channel.queue_occupancy_limit = QUEUE
            slave.read_if.ar_channel.queue_occupancy_limit = QUEUE
            self._answer_with_response(slave.write_if.b_channel, "bresp")
            self._answer_with_response(slave.read_if.r_channel, "rresp")
            self._slaves.append(slave)

    def _answer_with_response(self, channel: Any, name: str) -> None:
        """The library knows SLVERR only; the memory may have meant DECERR."""
        send = channel.send

        async def answer(transaction: Any) -> None:
            if getattr(transaction, name) == AxiResp.SLVERR:
                setattr(transaction, name, self.memory.response)
            await send(transaction)

        channel.send = answer

    def channels(self, name: str) -> list[Any]:
        """Channel `aw`, `w`, `b`, `ar` or `r` of all ports."""
        sides = [slave.read_if if name in ("ar", "r") else slave.write_if for slave in self._slaves]
        return [getattr(side, f"{name}_channel") for side in sides]

    def pause(self, pattern: str, seed: int = 0) -> None:
        """Apply a pattern to every channel: `PATTERNS` by name."""
        for name in CHANNELS:
            for port, channel in enumerate(self.channels(name)):
                generator = PATTERNS[pattern](name, port, seed)
                channel.set_pause_generator(generator)
                if generator is None:
                    channel.pause = False


def _draws(share: float, seed: object) -> Iterator[bool]:
    draw = random.Random(str(seed))
    while True:
        yield draw.random() < share


def _one(channel: str, *cycle: bool) -> Any:
    return lambda name, port, seed: itertools.cycle(cycle) if name == channel else None


PATTERNS: dict[str, Any] = {
    "none": lambda name, port, seed: None,
    **{f"{channel} every other cycle": _one(channel, True, False) for channel in CHANNELS},
    **{f"{channel} rarely": _one(channel, *[True] * 29, False) for channel in CHANNELS},
    **{f"{channel} long gaps": _one(channel, *[False] * 20, *[True] * 40) for channel in CHANNELS},
    "all half of the time": lambda name, port, seed: _draws(0.5, (name, port, seed)),
    "all mostly": lambda name, port, seed: _draws(0.85, (name, port, seed)),
    "one port slow": lambda name, port, seed: _draws(0.9, (name, seed)) if port == seed % PORTS else None,
}
"""Who waits when: (channel, port, seed) -> a generator of pauses, or None."""

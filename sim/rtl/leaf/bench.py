"""The cocotb bench, run inside the simulator by `simulate`: a vector every cycle into each leaf, a result every cycle.

A result is expected exactly `latency` cycles after its vector: a leaf that took two cycles a vector, or a stage more or
less, would show other results.
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

FOLDER = Path(os.environ["PEELVIT_LEAVES"])
LATENCIES: dict[str, int] = json.loads((FOLDER / "latencies.json").read_text())


@cocotb.test()
@cocotb.parametrize(name=list(LATENCIES))
async def leaf(dut: Any, name: str) -> None:
    """Every result of one leaf, in its cycle."""
    latency = LATENCIES[name]
    inputs, expected = pickle.loads((FOLDER / f"{name}.vectors").read_bytes())
    ports = [(getattr(dut, f"{name}_{port}"), values) for port, values in inputs.items()]
    out = getattr(dut, f"{name}_out")
    Clock(dut.clk, 2, unit="ns").start()
    await FallingEdge(dut.clk)
    for cycle in range(len(expected) + latency):
        # Before the edge that takes the vector of this cycle, the registers hold what the last edge gave.
        at = cycle - latency
        if at >= 0:
            value = out.value.to_unsigned()
            assert value == expected[at], f"{name}: vector {at} gives {value:#x}, golden {expected[at]:#x}"
        if cycle < len(expected):
            for port, values in ports:
                port.value = values[cycle]
        await FallingEdge(dut.clk)

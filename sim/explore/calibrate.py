"""Fits the analytic cycles of GEMM and attention to instructions measured on the C simulation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from hls.spec.config import HardwareConfig
from hls.spec.instruction import Instruction
from sim.explore import gemm
from sim.explore.attention import features
from sim.explore.walk import Shape, shape_of
from sim.perf.run import Run

GEMM = ("gemm_nt", "gemm_nn", "gemm_tn")
ATTENTION = ("attention", "attention_backward")


@dataclass(frozen=True)
class Model:
    """Cycles of any instruction on any sizes. What neither GEMM nor attention does costs what was measured."""

    gemm: dict[str, gemm.Fit]
    attention: dict[str, NDArray[np.float64]]

    def cycles(self, instruction: Instruction, measured: float, config: HardwareConfig) -> float:
        """Modelled cycles of an instruction that took `measured` ones on the sizes it was measured on."""
        name = instruction.op.name
        if name in self.gemm:
            return gemm.cycles(_shape(instruction), config, self.gemm[name])
        if name in self.attention:
            return float(features(instruction, config) @ self.attention[name])
        return measured

    def program(self, run: Run, config: HardwareConfig) -> float:
        """Milliseconds an image of a measured program on other sizes."""
        alike = {key: self.cycles(one, measured, config) for key, one, measured, _ in _kinds(run)}
        each = [alike[_key(instruction)] for instruction in run.instructions]
        hidden = (
            min(each[at], sum(each[at + 1 : at + 1 + instruction.beside]))
            for at, instruction in enumerate(run.instructions)
            if instruction.beside
        )
        return run.ms_of(sum(each) - sum(hidden) + run.outside)


@cache
def _kinds(run: Run) -> tuple[tuple[tuple[object, ...], Instruction, float, int], ...]:
    """Instructions of a program that are alike: their key, one of them, their mean cycles, how many there are."""
    alike: dict[tuple[object, ...], list[tuple[Instruction, float]]] = {}
    for instruction, cycles in zip(run.instructions, run.counters.instruction_alone, strict=True):
        alike.setdefault(_key(instruction), []).append((instruction, float(cycles)))
    return tuple(
        (key, group[0][0], sum(cycles for _, cycles in group) / len(group), len(group)) for key, group in alike.items()
    )


def _key(instruction: Instruction) -> tuple[object, ...]:
    """What an instruction's cycles depend on."""
    return (instruction.op.name, *instruction.dimensions.items(), *sorted(instruction.flags))


def calibrate(runs: Iterable[Run]) -> Model:
    """Fit to all instructions of the runs, which share a configuration; the error is relative to each instruction."""
    runs = list(runs)
    config = runs[0].config
    found: dict[str, list[tuple[Instruction, float]]] = {}
    for run in runs:
        for _, instruction, cycles, _ in _kinds(run):
            found.setdefault(instruction.op.name, []).append((instruction, cycles))
    return Model(
        {name: _fit_gemm(found[name], config) for name in GEMM if name in found},
        {name: _fit_attention(found[name], config) for name in ATTENTION if name in found},
    )


def errors(model: Model, runs: Iterable[Run], config: HardwareConfig) -> dict[str, tuple[float, float]]:
    """By op: relative error of the sum over all instructions, and the largest one of an instruction."""
    totals: dict[str, list[tuple[float, float, int]]] = {}
    for run in runs:
        for _, instruction, cycles, count in _kinds(run):
            name = instruction.op.name
            if name in model.gemm or name in model.attention:
                totals.setdefault(name, []).append((model.cycles(instruction, cycles, config), cycles, count))
    return {
        name: (
            sum(n * m for m, _, n in cases) / sum(n * c for _, c, n in cases) - 1,
            max((m / c - 1 for m, c, _ in cases), key=abs),
        )
        for name, cases in totals.items()
    }


def _shape(instruction: Instruction) -> Shape:
    return shape_of(instruction.op.name, dict(instruction.dimensions), frozenset(instruction.flags))


def _fit_gemm(cases: list[tuple[Instruction, float]], config: HardwareConfig) -> gemm.Fit:
    shapes = [_shape(instruction) for instruction, _ in cases]
    measured = np.array([cycles for _, cycles in cases])

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        fit = gemm.Fit(*values)
        return np.array([gemm.cycles(shape, config, fit) for shape in shapes]) / measured - 1

    found = least_squares(
        residuals, [1.0, 1.0, 10.0, 200.0], bounds=([0.5, 0.5, 0, 0], [4, 4, 200, 4000]), loss="soft_l1"
    )
    return gemm.Fit(*found.x.tolist())


def _fit_attention(cases: list[tuple[Instruction, float]], config: HardwareConfig) -> NDArray[np.float64]:
    table = np.array([features(instruction, config) for instruction, _ in cases])
    measured = np.array([cycles for _, cycles in cases])
    solution, _ = nnls(table / measured[:, None], np.ones(len(cases)))
    return np.asarray(solution, np.float64)

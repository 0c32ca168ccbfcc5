"""Operands that stay on chip from one instruction to the next: the C simulation against the golden model, which reads
all of them from memory. What is claimed may be there, may have been overwritten on chip, or may not have fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from hls.spec.config import HardwareConfig, load
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import Instruction, Matrix, assemble, make, slot_span
from hls.spec.legality import words_per_row
from hls.spec.ops import BY_NAME, Access, evaluate
from hls.spec.slots import EMPTY, HISTORY, RECORD_WORDS
from hls.spec.status import Status
from host.devices.csim import CsimDevice
from sim.csim import build
from sim.golden.device import GoldenDevice
from tests.sim.op_cases import RECORD, Case
from tests.sim.test_executors import outcome

IMMEDIATES = {"epsilon_mantissa": 40000, "epsilon_shift": 12, "average_shift": 0}


@dataclass
class Program:
    """Instructions over named tensors, which are placed one behind the other when they are first named."""

    config: HardwareConfig
    rng: np.random.Generator
    places: dict[str, Matrix] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    words: int = 0
    slots: int = 0

    def add(self, op: str, *flags: str, names: dict[str, str], **dimensions: int) -> None:
        """An instruction whose operands are the tensors of `names`, or else tensors of their own."""
        row, index = BY_NAME[op], len(self.instructions)
        shape = Instruction(row, dimensions=dimensions)
        operands = {}
        for operand in row.operands:
            if operand.flag is None or operand.flag in flags:
                rows, columns = evaluate(operand.rows, dimensions), evaluate(operand.columns, dimensions)
                tensor = names.get(operand.name, f"{index}.{operand.name}")
                words = words_per_row(operand.element, columns) if operand.access is not Access.NONE else 0
                place = self._place(tensor, rows, words, slot_span(operand.slot, shape))
                has_slot, in_memory = slot_span(operand.slot, shape) > 0, operand.access is not Access.NONE
                operands[operand.name] = Matrix(
                    place.address if in_memory else 0, place.pitch if in_memory else 0, place.slot if has_slot else 0
                )
        immediates = {name: IMMEDIATES[name] for name in row.immediates}
        self.instructions.append(make(op, flags=flags, dimensions=dimensions, immediates=immediates, **operands))

    def _place(self, tensor: str, rows: int, words: int, slots: int) -> Matrix:
        if tensor not in self.places:
            self.places[tensor] = Matrix(self.words, words, self.slots)
            self.words += rows * words
            self.slots += max(slots, 2)  # what has one here may be a gradient elsewhere
        return self.places[tensor]

    def case(self) -> Case:
        """The program in a window of small random numbers."""
        program = self.words + RECORD_WORDS * self.slots
        code = assemble(self.instructions, self.config.hash, self.words, self.slots)
        values = np.rint(self.rng.normal(0, 900, self.words * WORD_BYTES // 2)).astype("<i2")
        fractions = self.rng.integers(9, 13, self.slots).tolist()
        records = b"".join(RECORD.pack(f, f, EMPTY, 0, *[EMPTY] * HISTORY) for f in fractions)
        data = values.tobytes() + records + code
        return Case(self.instructions, np.frombuffer(data, np.uint8).copy(), self.words, self.slots, program)


def norm_then_linear(p: Program, rows: int, n: int, k: int) -> None:
    p.add("layernorm", names={"y": "x"}, rows=rows, n=k)
    linear(p, rows, n, k, "SAME_X")


def norm_backward_then_input_gradient(p: Program, rows: int, n: int, k: int) -> None:
    split = int(p.rng.integers(0, rows + 1)) if rows <= 8 else 1
    p.add("layernorm_backward", names={"dx": "dy"}, rows=rows, split=split, n=k)
    input_gradient(p, rows, n, k, "SAME_DY", dy="dy", split=split)


def linears_of_one_input(p: Program, rows: int, n: int, k: int) -> None:
    linear(p, rows, n, k)
    linear(p, rows, 8 + n, k, "SAME_X", "BIAS")


def weights_that_came_ahead(p: Program, rows: int, n: int, k: int) -> None:
    """Each time those of another shape, at last of three parts."""
    part, skipped = 8 * ((k + 7) // 8), 16
    linear(p, 1, 3 * part + skipped, n, x="row", w="third")
    linear(p, rows, n, k, "BIAS", before=("first", n + 8, k))
    p.add("layernorm", names={"y": "x"}, rows=rows, n=k)
    linear(p, rows, n + 8, k, "LOADED_W", "SAME_X", "BIAS", "RESIDUAL", w="first", before=("second", n, n + 8))
    linear(p, rows, n, n + 8, "LOADED_W", "GELU", x="hidden", w="second", before=("third", part, n))
    p.add(
        "gemm_nt", "LOADED_W", names={"x": "narrow", "w": "third"},
        rows=rows, split=0, n=3 * part, k=n, period=rows, part=part, skipped=skipped, next_n=0, next_k=0,
    )  # fmt: skip


def loaded_weights(p: Program, rows: int, n: int, k: int) -> None:
    """Behind rows that stay, for one part or three; the last ones come for a layer that another one keeps away."""
    part = 8 * ((n + 7) // 8)
    linear(p, 1, 3 * part, k, x="row", w="second")
    p.add("layernorm", names={"y": "x"}, rows=rows, n=k)
    p.add("load_weights", names={"w": "first"}, n=n, k=k)
    linear(p, rows, n, k, "LOADED_W", "SAME_X", "BIAS", w="first")
    p.add("load_weights", names={"w": "second"}, n=part, k=k)
    p.add(
        "gemm_nt", "LOADED_W", "SAME_X", names={"x": "x", "w": "second"},
        rows=rows, split=0, n=3 * part, k=k, period=rows, part=part, skipped=0, next_n=0, next_k=0,
    )  # fmt: skip
    p.add("load_weights", names={"w": "third"}, n=n, k=k)
    linear(p, rows, n, k, "SAME_X")
    linear(p, rows, n, k, "SAME_X", "LOADED_W", w="third")


def pairs_of_column_tiles(p: Program, rows: int, n: int, k: int) -> None:
    """Of rows on chip or not, behind tiles that came ahead, which are in pairs with each other or with those that did
    not; with lines to read beside them and without."""
    columns = 3 * p.config.column_tile + n
    p.add("layernorm", names={"y": "x"}, rows=rows, n=k)
    linear(p, rows, columns, k, "SAME_X", "BIAS", before=("first", columns, k))
    linear(p, rows, columns, k, "LOADED_W", "GELU", "BIAS", x="other", w="first", before=("second", columns, k))
    linear(p, rows, columns, k, "LOADED_W", "RESIDUAL", "BIAS", x="third", w="second")
    linear(p, rows, columns, 3 * p.config.chunk, "BIAS", x="long")


def contraction_of_several_chunks(p: Program, rows: int, n: int, k: int) -> None:
    """Columns go on from tile to tile, but not where a chunk begins and rows come as well; so do those for later."""
    length = 2 * p.config.chunk + k
    columns = n + p.config.column_tile
    linear(p, rows, columns, length, "BIAS", before=("later", columns, length))
    linear(p, rows, columns, length, "LOADED_W", w="later")


def weights_that_were_overwritten_on_chip(p: Program, rows: int, n: int, k: int) -> None:
    linear(p, rows, n, k, before=("w", n, k))
    linear(p, rows, n, k)
    linear(p, rows, n, k, "LOADED_W", w="w")


def input_gradients_with_weights_that_came_ahead(p: Program, rows: int, n: int, k: int) -> None:
    """Of other shapes each time: of several column tiles and chunks, of three segments, behind rows that stay."""
    wide, third = n + p.config.column_tile, 24 * ((k + 23) // 24)
    input_gradient(p, 1, n, 3 * third, w="third", segments=3)
    input_gradient(p, rows, n, k, before=("first", wide, 2 * p.config.chunk + 8))
    input_gradient(p, rows, wide, 2 * p.config.chunk + 8, "LOADED_W", w="first", before=("second", n, k))
    p.add("layernorm_backward", names={"dx": "dy"}, rows=rows, split=0, n=k)
    input_gradient(
        p, rows, n, k, "LOADED_W", "SAME_DY", "GELU_BACKWARD", dy="dy", w="second", before=("third", n, third)
    )
    input_gradient(p, rows, n, 3 * third, "LOADED_W", "RESIDUAL", w="third", segments=3)


def weight_gradients_of_one_input(p: Program, rows: int, n: int, k: int) -> None:
    split = 1 if rows > 1 else 0
    p.add("gemm_tn", "BIAS", names={"x": "x"}, rows=rows, split=split, n=n, k=k)
    p.add("gemm_tn", "SAME_X", names={"x": "x"}, rows=rows, split=split, n=8 + n, k=k)


def weight_gradients_that_update_or_do_not(p: Program, rows: int, n: int, k: int) -> None:
    """Ports bring whole rows of what updates at once and parts of what does not, so words lie elsewhere on chip."""
    split = 1 if rows > 1 else 0
    for flags in ((), ("UPDATE",), ("UPDATE", "BIAS"), (), ("UPDATE", "ACCUMULATE"), ("UPDATE",)):
        p.add("gemm_tn", "SAME_X", *flags, names={"x": "x"}, rows=rows, split=split, n=n, k=k)


def claims_that_do_not_hold(p: Program, rows: int, n: int, k: int) -> None:
    """Of other rows, fewer rows, a shorter contraction, other weights, or what another form has left there."""
    p.add("layernorm", names={"y": "x"}, rows=rows, n=k)
    linear(p, rows, n, k, "SAME_X", "LOADED_W", x="other")
    linear(p, max(1, rows - 1), n, k, "SAME_X", x="other")
    linear(p, max(1, rows - 1), n, max(1, k - 8), "SAME_X", x="other")
    p.add("gemm_tn", "SAME_X", names={"x": "other"}, rows=rows, split=0, n=n, k=k)
    input_gradient(p, rows, n, k, "SAME_DY", "LOADED_W", dy="other")
    linear(p, rows, n, k, "SAME_X", "LOADED_W", x="other", w="2.w")


def linear(
    p: Program,
    rows: int,
    n: int,
    k: int,
    *flags: str,
    x: str = "x",
    w: str | None = None,
    before: tuple[str, int, int] = ("", 0, 0),
) -> None:
    """y = x w^T with a weight of its own unless it is named; `before` a layer by a weight of this name and shape."""
    next_w, next_n, next_k = before
    names = {"x": x} | ({"w": w} if w else {}) | ({"next_w": next_w} if next_w else {})
    flags += ("NEXT_W",) if next_w else ()
    p.add(
        "gemm_nt", *flags, names=names,
        rows=rows, split=0, n=n, k=k, period=rows, part=n, skipped=0, next_n=next_n, next_k=next_k,
    )  # fmt: skip


def input_gradient(
    p: Program,
    rows: int,
    n: int,
    k: int,
    *flags: str,
    dy: str | None = None,
    w: str | None = None,
    split: int = 0,
    segments: int = 1,
    before: tuple[str, int, int] = ("", 0, 0),
) -> None:
    """dx = dy w, with a weight of [k, n]; like `linear`."""
    next_w, next_n, next_k = before
    names = {name: tensor for name, tensor in (("dy", dy), ("w", w), ("next_w", next_w)) if tensor}
    flags += ("NEXT_W",) if next_w else ()
    p.add(
        "gemm_nn", *flags, names=names,
        rows=rows, split=split, n=n, k=k, segments=segments, next_n=next_n, next_k=next_k,
    )  # fmt: skip


PROGRAMS = [
    norm_then_linear,
    norm_backward_then_input_gradient,
    linears_of_one_input,
    weights_that_came_ahead,
    loaded_weights,
    input_gradients_with_weights_that_came_ahead,
    pairs_of_column_tiles,
    contraction_of_several_chunks,
    weights_that_were_overwritten_on_chip,
    weight_gradients_of_one_input,
    weight_gradients_that_update_or_do_not,
    claims_that_do_not_hold,
]


@pytest.mark.parametrize("write", PROGRAMS, ids=lambda write: write.__name__)
@pytest.mark.parametrize(
    "config_name, variant, seeds, sizes",
    [
        ("toy", "fast", range(25), (60, 60, 40)),  # panels of 40 rows, chunks of 24: some fit, some do not
        ("toy", "fidelity", range(25, 30), (60, 60, 40)),
        ("toy", "checked", range(30, 45), (60, 60, 40)),
        ("zcu102", "checked", range(6, 9), (230, 200, 420)),
        ("zcu102", "fast", range(6), (230, 200, 420)),
    ],
)
def test_what_stays_on_chip_is_what_memory_holds(
    write: Callable[[Program, int, int, int], None],
    config_name: str,
    variant: str,
    seeds: range,
    sizes: tuple[int, int, int],
) -> None:
    config = load(config_name)
    build(config, variant)
    golden, csim = GoldenDevice(config), CsimDevice(config, variant=variant)
    for seed in seeds:
        program = Program(config, np.random.default_rng(seed))
        write(program, *(int(program.rng.integers(1, size + 1)) for size in sizes))
        case = program.case()
        (wanted, expected), (got, window) = outcome(golden, case), outcome(csim, case)
        assert (wanted.status, got.status) == (Status.OK, Status.OK), f"seed {seed}: {case.instructions}"
        assert np.array_equal(expected, window), f"seed {seed}"

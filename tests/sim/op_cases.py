"""Random legal programs of one instruction, with everything that they read: how executors are held equal.

`random_case` draws shapes (odd ones, and ones that cross the tiles of the configuration), strides, places, data and
fractions from a seed. About a third of the cases have extreme fractions; most others have fractions that fit their
results, found as training finds them: from the peaks of a run. Everything that no operand covers is noise, so that a
write outside an operand shows.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES, STATE, WORD_BYTES, scale_mantissa, stored_as
from hls.spec.instruction import Instruction, Matrix, assemble, make, slot_span
from hls.spec.legality import words_per_row
from hls.spec.ops import BY_NAME, OPS, Access, Op, Operand, evaluate
from hls.spec.slots import EMPTY, F_MAX, F_MIN, HISTORY, RECORD_WORDS
from sim.golden.device import GoldenDevice

OP_NAMES = [op.name for op in OPS if op.name != "end"]
LOG2_E = math.log2(math.e)
RECORD = struct.Struct(f"<iiiI{HISTORY}b")
"""A slot's record: f, f_previous, peak, saturations, history."""


@dataclass(frozen=True)
class Case:
    """One program in one window."""

    instructions: list[Instruction]
    """Without the `end` that the program has."""
    memory: npt.NDArray[np.uint8]
    """The whole window: operands, slot table and program are in place."""
    slot_table: int
    slots: int
    program: int
    """Word address of the program."""

    @property
    def window_words(self) -> int:
        """Size of the window."""
        return len(self.memory) // WORD_BYTES


def random_case(op_name: str, seed: int, config: HardwareConfig) -> Case:
    """The case of this op with this seed; the same arguments give the same case."""
    return _Draw(BY_NAME[op_name], np.random.default_rng([BY_NAME[op_name].opcode, seed]), config).case()


def operand_shape(operand: Operand, dimensions: dict[str, int]) -> tuple[int, int]:
    """Rows and columns of an operand."""
    return evaluate(operand.rows, dimensions), evaluate(operand.columns, dimensions)


class _Draw:
    """Draws one case."""

    def __init__(self, op: Op, rng: np.random.Generator, config: HardwareConfig) -> None:
        self.op, self.rng, self.config = op, rng, config
        self.extreme = self.chance(0.35)
        self.dimensions: dict[str, int] = {}
        self.flags: set[str] = set()
        self.slot_count = 0
        self.fractions: list[int] = []

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """A number from low to high, both possible."""
        return int(self.rng.integers(low, high, endpoint=True))

    def size(self, largest: int) -> int:
        """A size from 1 to `largest`, small more often than not."""
        bound = int(self.rng.choice([3, 10, 30, 70]))
        return self.integer(1, min(bound, largest))

    def case(self) -> Case:
        self.flags = {flag for flag in self.op.flags if self.chance(0.5)}
        if self.op.name == "gemm_tn" and "UPDATE" not in self.flags:
            self.flags -= {"DECAY", "LATER_PART"}
        if self.op.name == "attention":
            self.flags |= {"VALUES"} if "SCORES" not in self.flags else set()
            self.flags -= {"MAP"} if "SCORES" not in self.flags else set()
        self.draw_dimensions()
        present = [o for o in self.op.operands if o.flag is None or o.flag in self.flags]
        matrices, slots, words = self.place(present)
        self.fractions = [self.fraction(slots.get(i)) for i in range(self.slot_count)]
        slot_table, words = words, words + RECORD_WORDS * self.slot_count
        program = words + self.integer(0, 3)
        instruction = make(
            self.op.name,
            flags=tuple(sorted(self.flags)),
            dimensions=self.dimensions,
            immediates=self.immediates(),
            **matrices,
        )
        code = assemble([instruction], self.config.hash, slot_table, self.slot_count)
        memory = self.noise((program + self.integer(0, 3)) * WORD_BYTES + len(code))
        for operand in present:
            if operand.access is not Access.NONE:
                self.fill(memory, operand, matrices[operand.name])
        memory[program * WORD_BYTES :][: len(code)] = np.frombuffer(code, np.uint8)
        case = Case([instruction], memory, slot_table, self.slot_count, program)
        if not self.extreme and self.chance(0.8):
            self.fit_fractions(case, slots)
        self.put_records(case)
        return case

    # Shapes

    def draw_dimensions(self) -> None:
        limits = self.config.limits
        for name, (low, high) in self.op.limits.items():
            self.dimensions[name] = max(low, self.size(limits[high]))
        d = self.dimensions
        if "split" in d:
            d["split"] = min(
                d["rows"], limits[self.op.limits["split"][1]], int(self.rng.choice([0, d["split"], 1 << 30]))
            )
        if self.op.name == "gemm_tn" and self.chance(0.4):  # as with a single image: the class row is no segment
            d["split"] = 1
            self.flags.discard("ACCUMULATE")
        if "period" in d:
            d["period"] = min(d["rows"], d["period"])
            if self.op.name == "column_sum":
                d["period"], d["split"] = (1, d["split"]) if self.chance(0.5) else (d["period"], 0)
        if "next_n" in d:
            self.draw_linear()
        if "segments" in d:
            self.draw_segments()
        if "heads" in d:
            self.draw_attention()
        if "keep" in d:
            d["keep"] = min(d["keep"], d["patches"])
            if "key_count" in d:
                d["key_count"] = min(d["key_count"], d["keep"])
        if self.op.name == "exponent_update":
            d["count"] = self.integer(1, 20)
            d["first"], d["bits"], d["margin"] = self.integer(0, 9), int(self.rng.choice([15, 31])), self.integer(0, 8)

    def draw_segments(self) -> None:
        d = self.dimensions
        d["segments"] = int(self.rng.choice([1, 3]))
        if d["segments"] > 1:
            d["k"] = 24 * self.integer(1, min(4, self.config.limits["max_contraction"] // 24))
            self.flags.discard("GELU_BACKWARD")

    def draw_linear(self) -> None:
        """Next weights with their flag; columns in three parts now and then, with or without others between them."""
        d = self.dimensions
        if "NEXT_W" not in self.flags:
            d["next_n"], d["next_k"] = 0, 0
        if "part" not in d:
            return
        d["part"], d["skipped"] = d["n"], 0
        if self.chance(0.4):
            d["part"] = 8 * self.integer(1, max(1, d["n"] // 8))
            d["n"], d["skipped"] = 3 * d["part"], 16 * self.integer(0, 5)

    def draw_attention(self) -> None:
        d = self.dimensions
        d["batch"], d["patches"] = min(d["batch"], 5), min(d["patches"], 40)
        d["heads"] = self.integer(1, min(3, self.config.max_heads))
        d["head_dim"] = 8 * self.integer(1, self.config.max_head_dim // 8)
        d["queries"] = 1 if self.chance(0.25) else 1 + d["patches"]
        d["key_count"] = self.integer(1, d["patches"]) if "SPARSE" in self.flags else 0
        if "count" in d:
            d["first"], d["count"] = 0, d["queries"]
            if self.chance(0.4):
                d["first"] = self.integer(0, d["queries"] - 1) if self.chance(0.7) else 0
                d["count"] = self.integer(1, d["queries"] - d["first"])
        if "gap" in d:
            d["gap"] = self.integer(1, 60) if d["queries"] > 1 and self.chance(0.4) else 0
        if "skipped" in d:
            d["skipped"] = 16 * self.integer(1, 12) if self.chance(0.4) else 0
        if "map_rows" in d:
            largest = d["queries"]
            d["map_rows"] = int(self.rng.choice([1, largest, self.integer(1, largest)])) if "MAP" in self.flags else 0

    def immediates(self) -> dict[str, int]:
        d, wild = self.dimensions, self.extreme and self.chance(0.5)
        head = d.get("head_dim", 1) ** -0.5
        mantissa, shift = scale_mantissa(head)
        epsilon, epsilon_shift = scale_mantissa(d.get("n", 1) ** 2 * 1e-6)
        smoothing = float(self.rng.choice([0.0, 0.1]))
        off = round(smoothing / d.get("n", 1) * 2**30)
        values = {
            "scale": int(self.rng.choice([0, 1, 1 << 23, self.integer(0, 1 << 23)]))
            if wild
            else round(head * LOG2_E * 2**20),
            "gradient_mantissa": mantissa,
            "gradient_shift": self.integer(-20, 60) if wild else shift,
            "epsilon_mantissa": epsilon,
            "epsilon_shift": self.integer(-40, 90) if wild else epsilon_shift,
            "target_on": round((1 - smoothing) * 2**30) + off,
            "target_off": off,
            "average_shift": self.integer(-8, 40) if wild else self.integer(0, 6),
        }
        return {name: values[name] for name in self.op.immediates}

    # Places

    def place(self, present: list[Operand]) -> tuple[dict[str, Matrix], dict[int, Operand], int]:
        """Where each operand lies, which operand each slot belongs to, and the first word after all."""
        shape = Instruction(self.op, dimensions=self.dimensions)
        matrices, slots, word = {}, {}, self.integer(0, 2)
        for index in self.rng.permutation(len(present)):
            operand = present[int(index)]
            slot, span = self.slot_count + self.integer(0, 1), slot_span(operand.slot, shape)
            if span:
                slots.update({slot + i: operand for i in range(span)})
                self.slot_count = slot + span
            slot = slot if span else 0
            if operand.access is Access.NONE:
                matrices[operand.name] = Matrix(slot=slot)
                continue
            rows, columns = operand_shape(operand, self.dimensions)
            words = words_per_row(operand.element, columns)
            pitch = words + int(self.rng.choice([0, 0, 1, 3]))
            matrices[operand.name] = Matrix(word, pitch, slot)
            word += (rows - 1) * pitch + words + self.integer(0, 2)
        self.slot_count = max(self.slot_count, evaluate(self.op.slot_end, self.dimensions)) + self.integer(0, 2)
        return matrices, slots, word

    # Data

    def noise(self, count: int) -> npt.NDArray[np.uint8]:
        return self.rng.integers(0, 256, -(-count // WORD_BYTES) * WORD_BYTES, np.uint8)

    def fill(self, memory: npt.NDArray[np.uint8], operand: Operand, matrix: Matrix) -> None:
        """Write the operand's data; the padding of what is read is zero, as every writer leaves it."""
        rows, columns = operand_shape(operand, self.dimensions)
        words = words_per_row(operand.element, columns)
        # The padding of results must be written, whatever is there.
        padding = 0 if operand.access is Access.READ else 0xFF
        element, stored = stored_as(operand.element, columns)
        padded = np.full((rows, words * WORD_BYTES), padding, np.uint8).view(f"<{_CODE[element]}")
        padded[:, :stored] = self.values(operand, matrix, rows, columns)
        first = matrix.address * WORD_BYTES
        for row in range(rows):
            start = first + row * matrix.pitch * WORD_BYTES
            memory[start : start + words * WORD_BYTES] = padded[row].view(np.uint8)

    def values(self, operand: Operand, matrix: Matrix, rows: int, columns: int) -> npt.NDArray[np.int64]:
        special: dict[str, Callable[[int, int], npt.NDArray[np.int64]]] = {
            "rstd": self.inverse_deviations,
            "map": self.probability_sums,
            "keys": self.indices,
            "kept": self.indices,
            "labels": self.labels,
            "hyperparameters": self.hyperparameters,
        }
        if operand.name in special and operand.access is Access.READ:
            return special[operand.name](rows, columns)
        if operand.element == STATE:
            return self.states(rows, -(-columns // LANES) * LANES)
        bits = 16 if operand.element != "i32" else 32
        if bits == 16 and operand.slot.value and not self.extreme and self.chance(0.5):
            return self.unit_values(rows, columns, self.fractions[matrix.slot])
        return self.mantissas(rows, columns, bits)

    def states(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """Low halves of master weights and what the optimizer keeps of them, in groups of eight."""
        low = self.mantissas(rows, columns, 16)
        has_codes = self.op.name == "adamw_update" and self.chance(0.7)
        kept = self.moment_codes(rows, columns) if has_codes else self.mantissas(rows, columns, 32)
        halves = kept.astype("<i4").view("<i2").reshape(rows, -1, 2 * LANES)
        return np.concatenate((low.reshape(rows, -1, LANES), halves), 2).reshape(rows, -1)

    def unit_values(self, rows: int, columns: int, f: int) -> npt.NDArray[np.int64]:
        """Values around one at fraction `f`."""
        size = 2.0**f * self.rng.uniform(0.2, 2.0)
        return np.clip(np.rint(self.rng.normal(0, size, (rows, columns))), -32767, 32767).astype(np.int64)

    def mantissas(self, rows: int, columns: int, bits: int) -> npt.NDArray[np.int64]:
        """Mantissas of a random magnitude; sometimes zeros, sometimes nothing but the ends of the range."""
        shape, end = (rows, columns), (1 << bits - 1) - 1
        style = self.rng.choice(["normal", "full", "ends", "zero"], p=[0.7, 0.15, 0.1, 0.05])
        if style == "normal":
            size = 2.0 ** self.integer(2, bits - 2)
            return np.clip(np.rint(self.rng.normal(0, size, shape)), -end, end).astype(np.int64)
        if style == "full":
            return self.rng.integers(-end - 1, end, shape, endpoint=True)
        if style == "ends":
            return self.rng.choice(np.array([-end - 1, -end, -1, 0, 1, end]), shape)
        return np.zeros(shape, np.int64)

    def inverse_deviations(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        if self.extreme and self.chance(0.3):
            return self.mantissas(rows, columns, 32)
        exponents = self.rng.integers(0, 28, (rows, columns))
        return exponents << 20 | self.rng.integers(1 << 15, 1 << 16, (rows, columns), endpoint=True)

    def probability_sums(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """Non-negative and few, so that ties are common; or anything."""
        if self.chance(0.2):
            return self.mantissas(rows, columns, 32)
        return self.rng.integers(0, int(self.rng.choice([2, 9, 1 << 17])), (rows, columns))

    def indices(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """Ascending lists of distinct patches; or anything, with repetitions and out of range."""
        if self.chance(0.25):
            return self.rng.integers(
                0, int(self.rng.choice([self.dimensions["patches"] + 2, 1 << 16])), (rows, columns)
            )
        order = self.rng.permuted(np.tile(np.arange(self.dimensions["patches"]), (rows, 1)), axis=1)
        return np.sort(order[:, :columns], axis=1)

    def labels(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        low, high = (-3, self.dimensions["n"] + 3) if self.chance(0.3) else (0, self.dimensions["n"] - 1)
        return self.rng.integers(low, high, (rows, columns), endpoint=True)

    def hyperparameters(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        if self.op.name == "adamw_update":
            return self.adamw_hyperparameters()
        values = np.zeros((rows, columns), np.int64)
        if self.extreme and self.chance(0.4):
            values[0, :5] = self.mantissas(1, 5, 32)
            values[0, [1, 4]] = self.rng.integers(-70, 70, 2)
            return values
        rate, rate_shift = scale_mantissa(float(10 ** self.rng.uniform(-4, 0)))
        decay, decay_shift = scale_mantissa(float(10 ** self.rng.uniform(-5, -1)))
        values[0, :5] = [rate, rate_shift, round(0.9 * 2**16), decay, decay_shift]
        return values

    def moment_codes(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """Codes of moments in a band of exponents, as training has them, or of any."""
        low, high = (0, 64) if self.extreme else (14, 50)
        exp_avg_sq = self.rng.integers(low << 10, high << 10, (rows, columns))
        exp_avg = self.rng.integers(low << 9, high << 9, (rows, columns)) | self.rng.integers(0, 2) << 15
        return (exp_avg_sq << 16 | exp_avg).astype(np.uint32).view(np.int32).astype(np.int64)

    def adamw_hyperparameters(self) -> npt.NDArray[np.int64]:
        if self.extreme and self.chance(0.4):
            values = self.mantissas(1, 8, 32)
            values[0, [1, 5]] = self.rng.integers(-70, 70, 2)
            return values
        rate, decay = (scale_mantissa(float(10 ** self.rng.uniform(low, 0))) for low in (-5, -7))
        shares = [self.integer(0, 1 << 16), 66] if self.chance(0.3) else [6554, 66]
        return np.array([[*rate, *shares, *decay, self.integer(0, 12000), 0]], np.int64)

    # Fractions

    def put_records(self, case: Case, **fixed: int) -> None:
        """Write the slot table: the fractions, and the other fields random or as `fixed`."""
        for slot, f in enumerate(self.fractions):
            fields = {
                "f_previous": max(F_MIN, min(F_MAX, f + self.integer(-3, 3))),
                "peak": EMPTY if self.chance(0.4) else self.integer(-60, 60),
                "saturations": int(self.rng.choice([0, 7, 0xFFFFFFFF])),
            } | fixed
            history = [EMPTY if self.chance(0.5) else self.integer(-40, 40) for _ in range(HISTORY)]
            start = case.slot_table * WORD_BYTES + slot * RECORD.size
            record = RECORD.pack(f, *fields.values(), *history)
            case.memory[start : start + RECORD.size] = np.frombuffer(record, np.uint8)

    def fit_fractions(self, case: Case, slots: dict[int, Operand]) -> None:
        """Give results fractions that suit their peaks, a bit more or less; twice, since some results feed others."""
        results = [slot for slot, operand in slots.items() if operand.access is not Access.READ]
        device = GoldenDevice(self.config)
        for _ in range(2):
            self.put_records(case, peak=EMPTY)
            device.allocate(case.window_words)
            device.write(0, case.memory)
            device.run(case.program)
            table = device.read(case.slot_table, (case.slots, RECORD.size // 4), np.int32)
            for slot in results:
                peak, bits = int(table[slot, 2]), 31 if slots[slot].element == "i32" else 15
                if peak != EMPTY:
                    self.fractions[slot] = max(F_MIN, min(F_MAX, bits - peak - self.integer(-1, 3)))

    def fraction(self, operand: Operand | None) -> int:
        if operand is None or self.extreme:
            beyond = 10 if self.chance(0.05) else 0  # the device clamps what it loads
            return self.integer(F_MIN - beyond, F_MAX + beyond)
        if operand.access is Access.READ:
            return self.integer(4, 15)
        return self.integer(-6, 18)


_CODE = {"i16": "i2", "u16": "u2", "i32": "i4"}

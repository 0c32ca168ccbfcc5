"""docs/numerics.md word by word in plain Python integers, one element at a time; shares nothing with the golden model.

Only the specification's primitives (`hls.spec.formats`) and tables are used. Wide values wrap at 64 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from operator import mul

import numpy as np
import numpy.typing as npt

from hls.spec import formats, tables
from hls.spec.formats import STATE, limit, reference_fraction, saturate, stored_as
from hls.spec.instruction import slot_span
from hls.spec.legality import words_per_row
from hls.spec.ops import Operand, evaluate
from hls.spec.slots import EMPTY, F_MAX, F_MIN, HISTORY, RECORD_WORDS, RESCALE_PEAK, updated_fraction
from tests.sim.op_cases import Case

Rows = list[list[int]]
TABLES = tables.load()
DTYPES = {"i16": "<i2", "u16": "<u2", "i32": "<i4"}


def wrap(value: int) -> int:
    """64-bit two's complement."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def low48(value: int) -> int:
    """48-bit two's complement."""
    return (value + (1 << 47)) % (1 << 48) - (1 << 47)


def round_shift(value: int, shift: int) -> int:
    if 0 < shift <= 62:
        return wrap(value + (1 << shift - 1)) >> shift
    return wrap(formats.round_shift(value, shift))


def align(value: int, fraction: int, to: int) -> int:
    return round_shift(value, fraction - to)


def dot(a: list[int], b: list[int]) -> int:
    return wrap(sum(map(mul, a, b)))


def columns(matrix: Rows) -> Rows:
    return [list(column) for column in zip(*matrix, strict=True)]


@dataclass
class Slot:
    f: int
    f_previous: int
    peak: int
    saturations: int
    history: list[int]

    def store(self, acc: int, fraction: int, bits: int = 16) -> int:
        """One stored element."""
        shift = fraction - self.f
        length = formats.bit_length(acc)
        if length:
            self.peak = max(self.peak, max(-127, min(127, length - fraction)))
        if shift > 0:
            rounded = round_shift(acc, shift)
        else:
            rounded = acc << min(-shift, bits)  # without wrapping: saturation is seen
        if abs(rounded) > limit(bits):
            self.saturations = (self.saturations + 1) % (1 << 32)
        return saturate(rounded, bits)


def rsqrt(value: int) -> tuple[int, int]:
    length = value.bit_length()
    e = (length - 1) >> 1
    n = value >> (2 * e - 24) if 2 * e >= 24 else value << (24 - 2 * e)
    assert 1 << 24 <= n < 1 << 26
    r0 = TABLES["rsqrt"][(n >> 17) - 128]
    a = (n * r0 + 2**21) >> 22
    b = (a * r0 + 2**13) >> 14
    c = 3 * 2**20 - b
    m = (r0 * c + 2**20) >> 21
    return max(1, min(65536, m)), e


def distance(d: int, fraction: int) -> int:
    return min(formats.round_shift(min(d, 2**40), fraction - 16), 2**24 - 1)


def exponential(d: int, fraction: int, scale: int) -> int:
    t = (distance(d, fraction) * scale + 2**19) >> 20
    n, u = t >> 16, t & 65535
    i, v = u >> 8, u & 255
    table = TABLES["exp2"]
    e = table[i] - (((table[i] - table[i + 1]) * v + 128) >> 8)
    if n > 21:
        return 0
    return e if n == 0 else (e + (1 << (n - 1))) >> n


def _gelu_place(x: int, fraction: int) -> tuple[int, int]:
    a = min(formats.round_shift(abs(x), fraction - 16), 2**19)
    i = min(a >> 10, 511)
    return i, a - (i << 10)


def gelu(x: int, fraction: int) -> int:
    i, v = _gelu_place(x, fraction)
    table = TABLES["gelu"]
    return align(max(x, 0), fraction, 20) - (table[i] + (((table[i + 1] - table[i]) * v + 512) >> 10))


def slope(x: int, fraction: int) -> int:
    i, v = _gelu_place(x, fraction)
    table = TABLES["gelu_slope"]
    h = table[i] + (((table[i + 1] - table[i]) * v + 512) >> 10)
    return h if x < 0 else 65536 - h


class Reference:
    """Runs the one instruction of a case; `memory` is the window afterwards."""

    def __init__(self, case: Case) -> None:
        self.case, self.memory = case, case.memory.copy()
        (self.instruction,) = case.instructions
        self.op = self.instruction.op
        self.d = self.instruction.dimensions
        self.immediates = self.instruction.immediates
        self.flags = self.instruction.flags
        self.slots = self.load_slots()

    def run(self) -> npt.NDArray[np.uint8]:
        for name, rows in getattr(self, self.op.name)().items():
            self.write(name, rows)
        self.save_slots()
        return self.memory

    # Memory

    def load_slots(self) -> list[Slot]:
        size = 16 * RECORD_WORDS
        start = 16 * self.case.slot_table
        slots = []
        for i in range(self.case.slots):
            data = self.memory[start + i * size :][:size].tobytes()
            f, previous, peak, saturations, *history = struct.unpack(f"<iiiI{HISTORY}b", data)
            f, previous = (max(F_MIN, min(F_MAX, v)) for v in (f, previous))
            slots.append(Slot(f, previous, max(EMPTY, min(127, peak)), saturations, history))
        return slots

    def save_slots(self) -> None:
        data = b"".join(
            struct.pack(f"<iiiI{HISTORY}b", s.f, s.f_previous, s.peak, s.saturations, *s.history) for s in self.slots
        )
        self.memory[16 * self.case.slot_table :][: len(data)] = np.frombuffer(data, np.uint8)

    def operand(self, name: str) -> Operand:
        return next(o for o in self.op.operands if o.name == name)

    def has(self, name: str) -> bool:
        flag = self.operand(name).flag
        return flag is None or flag in self.flags

    def spans(self, name: str) -> list[slice]:
        """Where in memory the rows of an operand are, padding included."""
        operand, place = self.operand(name), self.instruction.operand(name)
        words = words_per_row(operand.element, evaluate(operand.columns, self.d))
        gap = self.d["gap"] if operand.rows.startswith("gap") else 0
        rows = [r for r in self.own(operand.rows) if not 0 <= r - self.d.get("batch", 0) < gap]
        starts = [16 * (place.address + r * place.pitch) for r in rows]
        return [slice(start, start + 16 * words) for start in starts]

    def own(self, shape: str) -> list[int]:
        """Rows or columns but those that are skipped, half behind the first third of the rest, half behind the next."""
        count, skipped = evaluate(shape, self.d), self.d["skipped"] if shape.startswith("skipped") else 0
        part, between = (count - skipped) // 3, skipped // 2
        return [
            i
            for i in range(count)
            if not (skipped and (part <= i < part + between or 0 <= i - 2 * part - between < between))
        ]

    def read(self, name: str) -> Rows:
        operand = self.operand(name)
        element, width = stored_as(operand.element, evaluate(operand.columns, self.d))
        rows = [self.memory[span].view(DTYPES[element])[:width].tolist() for span in self.spans(name)]
        own = self.own(operand.columns) if operand.columns.startswith("skipped") else range(width)
        return [[row[i] for i in own] for row in rows]

    def states(self) -> tuple[Rows, Rows]:
        """Master weights, and what the optimizer keeps of them: in memory low halves and states of eight elements."""
        columns = evaluate(self.operand("state").columns, self.d)
        masters, kept = [], []
        for row, weights in zip(self.read("state"), self.read("weight"), strict=True):
            low = [row[i + k] for i in range(0, len(row), 24) for k in range(8)]
            pairs = [row[i + k : i + k + 2] for i in range(0, len(row), 24) for k in range(8, 24, 2)]
            masters.append(
                [(65536 * high + rest + 2**31) % 2**32 - 2**31 for high, rest in zip(weights, low, strict=False)]
            )
            kept.append([high * 65536 + rest % 65536 for rest, high in pairs[:columns]])
        return masters, kept

    @staticmethod
    def state_rows(masters: Rows, kept: Rows) -> Rows:
        """The rows that `states` read, padded with zeros."""
        rows = []
        for master, state in zip(masters, kept, strict=True):
            padding = [0] * (-len(master) % 8)
            low = [(w + 32768) % 65536 - 32768 for w in master + padding]
            halves = [half for v in state + padding for half in ((v + 32768) % 65536 - 32768, v >> 16)]
            rows.append([v for i in range(0, len(low), 8) for v in low[i : i + 8] + halves[2 * i : 2 * i + 16]])
        return rows

    def write(self, name: str, rows: Rows) -> None:
        """Write rows, each as long as it is; what lies behind a row's padding stays."""
        spans, element = self.spans(name), self.operand(name).element
        assert len(spans) == len(rows)
        shape = self.operand(name).columns
        if shape.startswith("skipped") and self.d["skipped"]:
            own = self.own(shape)
            for span, row in zip(spans, rows, strict=True):
                self.memory[span].view(DTYPES[element])[own] = row
            return
        for span, row in zip(spans, rows, strict=True):
            element = "i16" if element == STATE else element
            padded = np.zeros(16 * words_per_row(element, len(row)), np.uint8)
            content = np.array(row, np.int64).astype(DTYPES[element]).view(np.uint8)
            padded[: len(content)] = content
            self.memory[span.start : span.start + len(padded)] = padded

    # Slots

    def slot(self, name: str, i: int = 0) -> Slot:
        assert i < slot_span(self.operand(name).slot, self.instruction)
        return self.slots[self.instruction.operand(name).slot + i]

    def f(self, name: str, i: int = 0) -> int:
        return self.slot(name, i).f

    def kind(self, row: int) -> int:
        """1 for class rows."""
        return int(row < self.d["split"])

    def contract(self, terms: list[tuple[int, int]], f_patch: int, f_class: int) -> tuple[int, int]:
        """Sum of (kind, value)."""
        kinds = {kind for kind, _ in terms}
        if len(kinds) == 1:
            return wrap(sum(v for _, v in terms)), f_class if kinds == {1} else f_patch
        f = reference_fraction([f_patch, f_class])
        s_patch, s_class = (wrap(sum(v for k, v in terms if k == kind)) for kind in (0, 1))
        return wrap(round_shift(s_patch, f_patch - f) + round_shift(s_class, f_class - f)), f

    def accumulate(self, name: str, sums: list[list[tuple[int, int]]]) -> Rows:
        old, slot, out = self.read(name), self.slot(name), []
        for old_row, row in zip(old, sums, strict=True):
            out.append([])
            for value, (acc, fraction) in zip(old_row, row, strict=True):
                if "ACCUMULATE" in self.flags:
                    acc = wrap(acc + align(value, slot.f, fraction))
                out[-1].append(slot.store(acc, fraction, 32))
        return out

    # Operations

    def gemm_nt(self) -> dict[str, Rows]:
        x, w = self.read("x"), self.read("w")
        bias = self.read("bias")[0] if self.has("bias") else None
        residual = self.read("residual") if self.has("residual") else None
        fraction = self.f("x") + self.f("w")
        first = "pre" if "GELU" in self.flags else "y"
        out: Rows = []
        for r, row in enumerate(x):
            out.append([])
            for j, column in enumerate(w):
                acc = dot(row, column)
                if bias is not None:
                    acc = wrap(acc + align(bias[j], self.f("bias"), fraction))
                if residual is not None:
                    acc = wrap(acc + align(residual[r % self.d["period"]][j], self.f("residual"), fraction))
                out[-1].append(self.slot(first).store(acc, fraction))
        if first == "y":
            return {"y": out}
        return {"pre": out, "y": [[self.slot("y").store(gelu(v, self.f("pre")), 20) for v in row] for row in out]}

    def gemm_nn(self) -> dict[str, Rows]:
        dy, w = self.read("dy"), columns(self.read("w"))
        pre = self.read("pre") if self.has("pre") else None
        residual = self.read("residual") if self.has("residual") else None
        count = self.d["segments"]
        width = self.d["k"] // count
        out: Rows = []
        for r, row in enumerate(dy):
            kind = self.kind(r)
            fractions = [self.f("dy", 2 * s + kind) + self.f("w") for s in range(count)]
            out.append([])
            for j, column in enumerate(w):
                fraction, acc = reference_fraction(fractions), 0
                for s in range(count):
                    part = slice(s * width, (s + 1) * width)
                    acc = wrap(acc + round_shift(dot(row[part], column[part]), fractions[s] - fraction))
                if pre is not None:
                    acc, fraction = wrap(acc * slope(pre[r][j], self.f("pre"))), fraction + 16
                if residual is not None:
                    acc = wrap(acc + align(residual[r][j], self.f("residual", kind), fraction))
                out[-1].append(self.slot("dx", kind).store(acc, fraction))
        return {"dx": out}

    def gemm_tn(self) -> dict[str, Rows]:
        dy, x = columns(self.read("dy")), columns(self.read("x"))
        kinds = [self.kind(r) for r in range(self.d["rows"])]
        f_patch, f_class = (self.f("dy", kind) + self.f("x") for kind in (0, 1))
        sums = [[self.contract(list(zip(kinds, map(mul, a, b), strict=True)), f_patch, f_class) for b in x] for a in dy]
        results = {"dw": self.accumulate("dw", sums)}
        if "BIAS" in self.flags:
            bias = [self.contract(list(zip(kinds, a, strict=True)), self.f("dy"), self.f("dy", 1)) for a in dy]
            results["dbias"] = self.accumulate("dbias", [bias])
        return results | self.sgd("dw", results.pop("dw")) if "UPDATE" in self.flags else results

    def column_sum(self) -> dict[str, Rows]:
        dy, period = self.read("dy"), self.d["period"]
        sums = [
            [
                self.contract(
                    [(self.kind(r), dy[r][j]) for r in range(p, len(dy), period)], self.f("dy"), self.f("dy", 1)
                )
                for j in range(self.d["n"])
            ]
            for p in range(period)
        ]
        return {"dw": self.accumulate("dw", sums)}

    def embed_class(self) -> dict[str, Rows]:
        (token,), (position,) = self.read("token"), self.read("position")
        ft, fp = self.f("token"), self.f("position")
        fraction = max(ft, fp)
        accs = [wrap(align(t, ft, fraction) + align(p, fp, fraction)) for t, p in zip(token, position, strict=True)]
        return {"x": [[self.slot("x").store(acc, fraction) for acc in accs] for _ in range(self.d["batch"])]}

    def layernorm(self) -> dict[str, Rows]:
        (gamma,), (beta,), d = self.read("gamma"), self.read("beta"), self.d["n"]
        mantissa, shift = self.immediates["epsilon_mantissa"], self.immediates["epsilon_shift"]
        eps = max(1, formats.round_shift(mantissa, shift - 2 * self.f("x")))
        fn = self.f("normalised")
        fy = self.f("gamma") + fn
        results: dict[str, Rows] = {"saved": [], "y": [], "rstd": [[]]}
        for x in self.read("x"):
            s1, s2 = sum(x), sum(v * v for v in x)
            m, e = rsqrt(d * s2 - s1 * s1 + eps)
            normalised = [self.slot("normalised").store((d * v - s1) * m, 16 + e) for v in x]
            accs = [wrap(g * v + align(b, self.f("beta"), fy)) for g, v, b in zip(gamma, normalised, beta, strict=True)]
            results["saved"].append(normalised)
            results["y"].append([self.slot("y").store(acc, fy) for acc in accs])
            results["rstd"][0].append(e << 20 | m)
        return results if self.has("saved") else {"y": results["y"]}

    def layernorm_backward(self) -> dict[str, Rows]:
        dy, normalised, (rstd,), (gamma,) = (self.read(n) for n in ("dy", "normalised", "rstd", "gamma"))
        residual = self.read("residual") if self.has("residual") else None
        d, fn, fx, fg = self.d["n"], self.f("normalised"), self.f("rstd"), self.f("gamma")
        dx: Rows = []
        for r, (row, normal) in enumerate(zip(dy, normalised, strict=True)):
            kind = self.kind(r)
            g = [a * b for a, b in zip(row, gamma, strict=True)]
            places = max(0, min(31, fn))
            a1, a2 = sum(g), low48(round_shift(dot(g, normal), places))
            m, e = rstd[r] & 0x1FFFF, max(0, min(31, rstd[r] >> 20))
            own = fraction = self.f("dy", kind) + fg + 16 + e - fx
            if residual is not None:
                fraction = reference_fraction([own, self.f("residual", kind)])
            dx.append([])
            for i, (gi, ni) in enumerate(zip(g, normal, strict=True)):
                w = low48(d * gi - a1 - round_shift(ni * a2, places))
                acc = wrap(round_shift(wrap(w * m), own - fraction))
                if residual is not None:
                    acc = wrap(acc + align(residual[r][i], self.f("residual", kind), fraction))
                dx[-1].append(self.slot("dx", kind).store(acc, fraction))
        f = [self.f("dy", kind) for kind in (0, 1)]
        rows, cols = range(self.d["rows"]), range(d)
        scaled = [
            self.contract([(self.kind(r), dy[r][j] * normalised[r][j]) for r in rows], f[0] + fn, f[1] + fn)
            for j in cols
        ]
        plain = [self.contract([(self.kind(r), dy[r][j]) for r in rows], f[0], f[1]) for j in cols]
        return {"dx": dx, "dgamma": self.accumulate("dgamma", [scaled]), "dbeta": self.accumulate("dbeta", [plain])}

    def softmax(self) -> dict[str, Rows]:
        y = []
        for x in self.read("x"):
            e = [exponential(max(x) - v, self.f("x"), self.immediates["scale"]) for v in x]
            y.append([self.slot("y").store(v * (2**48 // sum(e)), 48) for v in e])
        return {"y": y}

    def softmax_backward(self) -> dict[str, Rows]:
        dx = []
        for r, (dy, y) in enumerate(zip(self.read("dy"), self.read("y"), strict=True)):
            kind = self.kind(r)
            m = round_shift(dot(y, dy), self.f("y"))
            accs = [wrap(p * wrap(g - m)) for p, g in zip(y, dy, strict=True)]
            dx.append([self.slot("dx", kind).store(acc, self.f("dy", kind) + self.f("y")) for acc in accs])
        return {"dx": dx}

    def gelu(self) -> dict[str, Rows]:
        return {"y": [[self.slot("y").store(gelu(v, self.f("x")), 20) for v in row] for row in self.read("x")]}

    def gelu_backward(self) -> dict[str, Rows]:
        dx = []
        for r, (dy, x) in enumerate(zip(self.read("dy"), self.read("x"), strict=True)):
            slot, fraction = self.slot("dx", self.kind(r)), self.f("dy", self.kind(r)) + 16
            dx.append([slot.store(g * slope(v, self.f("x")), fraction) for g, v in zip(dy, x, strict=True)])
        return {"dx": dx}

    # Attention

    def row(self, image: int, token: int) -> int:
        return image if token == 0 else self.d["batch"] + image * self.d["patches"] + token - 1

    def key_lists(self, image: int) -> list[list[tuple[int, int]]]:
        """Keys of each query that count: (position, token)."""
        patches, everyone = self.d["patches"], [(j, j) for j in range(1 + self.d["patches"])]
        if "SPARSE" not in self.flags:
            return [everyone] * self.d["queries"]
        lists = [everyone]
        for row in self.read("keys")[image * patches : (image + 1) * patches]:
            lists.append([(0, 0)])
            for position, key in enumerate(row, 1):
                token = 1 + min(key, patches - 1)
                if token > max(t for _, t in lists[-1]):
                    lists[-1].append((position, token))
        return lists[: self.d["queries"]]

    def columns(self, query: int) -> int:
        """Columns of a query's row of probabilities."""
        is_listed = "SPARSE" in self.flags and query > 0
        return 1 + self.d["key_count"] if is_listed else 1 + self.d["patches"]

    def by_position(self, values: Rows, lists: list[list[tuple[int, int]]]) -> Rows:
        rows = [[0] * self.columns(t) for t in range(self.d["queries"])]
        for row, numbers, keys in zip(rows, values, lists, strict=True):
            for value, (position, _) in zip(numbers, keys, strict=True):
                row[position] = value
        return rows

    def head(self, matrix: Rows, image: int, tokens: int, part: int, head: int) -> Rows:
        width, heads = self.d["head_dim"], self.d["heads"]
        start = (part * heads + head) * width
        return [matrix[self.row(image, t)][start : start + width] for t in range(tokens)]

    def probabilities(self, q: Rows, k: Rows, lists: Rows, slot: Slot) -> Rows:
        fraction, result = 2 * self.f("qkv"), []
        for query, keys in zip(q, lists, strict=False):
            s = [dot(query, k[j]) for j in keys]
            e = [exponential(max(s) - v, fraction, self.immediates["scale"]) for v in s]
            result.append([slot.store(v * (2**48 // sum(e)), 48) for v in e])
        return result

    def attention(self) -> dict[str, Rows]:
        d, qkv, before = self.d, self.read("qkv"), self.read("probability")
        stored: Rows = []
        asked = range(d["first"], d["first"] + d["count"])
        y: Rows = [[] for _ in range(d["batch"] * d["queries"])]  # without an entry a row stays
        maps: Rows = [[] for _ in range(d["batch"] * d["map_rows"])]
        for b in range(d["batch"]):
            lists = self.key_lists(b)
            tokens = [[j for _, j in keys] for keys in lists]
            for h in range(d["heads"]):
                q, k, v = (self.head(qkv, b, 1 + d["patches"], part, h) for part in range(3))
                if "SCORES" in self.flags:
                    own = slice(asked.start, asked.stop)
                    p = self.probabilities(q[own], k, tokens[own], self.slot("probability"))
                    before_asked: Rows = [[0] * len(keys) for keys in lists[: asked.start]]
                    behind_asked: Rows = [[0] * len(keys) for keys in lists[asked.stop :]]
                    rows = self.by_position(before_asked + p + behind_asked, lists)
                    stored += [row if t in asked else [] for t, row in enumerate(rows)]
                else:
                    first = (b * d["heads"] + h) * d["queries"]
                    p = [[before[first + t][i] for i, _ in lists[t]] for t in asked]
                for t, row in zip(asked, p, strict=True):
                    keys = tokens[t]
                    if "VALUES" in self.flags:
                        accs = [dot(row, [v[j][c] for j in keys]) for c in range(d["head_dim"])]
                        out = [self.slot("y").store(acc, self.f("probability") + self.f("qkv")) for acc in accs]
                        y[self.row(b, t)] += out
                    if t < d["map_rows"]:
                        sums = maps[b * d["map_rows"] + t] or [0] * (1 + d["patches"])
                        for value, j in zip(row, keys, strict=True):
                            sums[j] += value
                        maps[b * d["map_rows"] + t] = sums
        made = {"SCORES": ("probability", stored), "VALUES": ("y", y), "MAP": ("map", maps)}
        return dict(result for flag, result in made.items() if flag in self.flags)

    def attention_backward(self) -> dict[str, Rows]:
        d, qkv, dy, stored = self.d, self.read("qkv"), self.read("dy"), self.read("probability")
        tokens, fx, fp = 1 + d["patches"], self.f("qkv"), self.f("probability")
        gm, gs = self.immediates["gradient_mantissa"] % (1 << 17), self.immediates["gradient_shift"]
        dqkv = [[0] * (3 * d["heads"] * d["head_dim"]) for _ in range(d["batch"] * tokens)]
        dscore: Rows = []
        kinds = [int(t == 0) for t in range(tokens)]
        for b in range(d["batch"]):
            positions = self.key_lists(b)
            lists = [[j for _, j in keys] for keys in positions]
            for h in range(d["heads"]):
                q, k, v = (self.head(qkv, b, tokens, part, h) for part in range(3))
                out = self.head(dy, b, d["queries"], 0, h)
                first = (b * d["heads"] + h) * d["queries"]
                p = [[stored[first + t][i] for i, _ in keys] for t, keys in enumerate(positions)]
                ds: Rows = []
                for t, keys in enumerate(lists):
                    fo = self.f("dy", kinds[t])
                    dp = [dot(out[t], v[j]) for j in keys]
                    m = saturate(round_shift(dot(p[t], dp), fp), 38)
                    slot = self.slot("dscore", kinds[t])
                    ds.append([slot.store(wrap(a * wrap(g - m)), fp + fo + fx) for a, g in zip(p[t], dp, strict=True)])
                dscore += self.by_position(ds, positions)
                for c in range(d["head_dim"]):
                    column = [(part * d["heads"] + h) * d["head_dim"] + c for part in range(3)]
                    for t, keys in enumerate(lists):
                        acc = wrap(dot(ds[t], [k[j][c] for j in keys]) * gm)
                        fraction = self.f("dscore", kinds[t]) + fx + gs
                        dqkv[self.row(b, t)][column[0]] = self.slot("dqkv", kinds[t]).store(acc, fraction)
                    pairs = [
                        [(t, i) for t, keys in enumerate(lists) for i, key in enumerate(keys) if key == j]
                        for j in range(tokens)
                    ]
                    for j in range(tokens):
                        # A class query exists always, patch queries when queries > 1, whether or not they list the key.
                        exist = [(kinds[t], 0) for t in range(d["queries"])]
                        terms = [(kinds[t], ds[t][i] * q[t][c]) for t, i in pairs[j]]
                        acc, fraction = self.contract(exist + terms, self.f("dscore") + fx, self.f("dscore", 1) + fx)
                        dqkv[self.row(b, j)][column[1]] = self.slot("dqkv", 2 + kinds[j]).store(
                            wrap(acc * gm), fraction + gs
                        )
                        terms = [(kinds[t], p[t][i] * out[t][c]) for t, i in pairs[j]]
                        acc, fraction = self.contract(exist + terms, fp + self.f("dy"), fp + self.f("dy", 1))
                        dqkv[self.row(b, j)][column[2]] = self.slot("dqkv", 4 + kinds[j]).store(acc, fraction)
        return {"dscore": dscore, "dqkv": dqkv}

    # Tokens

    def select_tokens(self) -> dict[str, Rows]:
        rows = self.read("map")[:: self.d["map_rows"]]
        return {"kept": [_largest(row[1:], self.d["keep"]) for row in rows]}

    def kept(self) -> Rows:
        return [[min(i, self.d["patches"] - 1) for i in row] for row in self.read("kept")]

    def select_keys(self) -> dict[str, Rows]:
        maps, keys = self.read("map"), []
        for b, kept in enumerate(self.kept()):
            for i, query in enumerate(kept):
                row = maps[b * (1 + self.d["patches"]) + 1 + query]
                values = [2**40 if i == j else row[1 + key] for j, key in enumerate(kept)]
                keys.append(_largest(values, self.d["key_count"]))
        return {"keys": keys}

    def gather_tokens(self) -> dict[str, Rows]:
        x, batch = self.read("x"), self.d["batch"]
        return {"y": x[:batch] + [x[self.row(b, 1 + i)] for b, kept in enumerate(self.kept()) for i in kept]}

    def scatter_tokens(self) -> dict[str, Rows]:
        d, dy = self.d, self.read("dy")
        dx = [[0] * d["n"] for _ in range(d["batch"] * (1 + d["patches"]))]
        dx[: d["batch"]] = dy[: d["batch"]]
        for b, kept in enumerate(self.kept()):
            for i, patch in enumerate(kept):
                dx[self.row(b, 1 + patch)] = dy[d["batch"] + b * d["keep"] + i]
        return {"dx": dx}

    def class_variance(self) -> dict[str, Rows]:
        rows, patches = self.read("map")[:: self.d["map_rows"]], self.d["patches"]
        results = []
        for row in rows:
            v = wrap(patches * sum(m * m for m in row[1:]) - sum(row[1:]) ** 2) % (1 << 64)
            results.append([v % (1 << 32), v >> 32, self.f("map"), patches, 0, 0, 0, 0])
        return {"variance": results}

    # Loss and update

    def cross_entropy(self) -> dict[str, Rows]:
        n, f = self.d["n"], self.f("logits")
        (labels,) = self.read("labels")
        on, off = self.immediates["target_on"], self.immediates["target_off"]
        dlogits, terms = [], []
        for logits, raw_label in zip(self.read("logits"), labels, strict=True):
            label = max(0, min(n - 1, raw_label))
            d = [max(logits) - v for v in logits]
            e = [exponential(v, f, 1512775) for v in d]
            total, target = sum(e), [on if j == label else off for j in range(n)]
            if "GRADIENT" in self.flags:
                p = [round_shift(v * (2**48 // total), 18) for v in e]
                dlogits.append([self.slot("dlogits", 1).store(a - b, 30) for a, b in zip(p, target, strict=True)])
            weighted = wrap(sum(t * distance(v, f) for t, v in zip(target, d, strict=True)))
            best = logits.index(max(logits))
            loss = saturate(round_shift(weighted, 30), 32)
            terms.append([min(total, 2**31 - 1), loss, best, int(best == label), 0, 0, 0, 0])
        return {"dlogits": dlogits, "terms": terms} if "GRADIENT" in self.flags else {"terms": terms}

    def sgd_update(self) -> dict[str, Rows]:
        return self.sgd("gradient", [[max(g, 1 - 2**31) for g in row] for row in self.read("gradient")])

    def sgd(self, source: str, gradients: Rows) -> dict[str, Rows]:
        """The update by gradients with the slot of the operand `source`."""
        (hyper,) = self.read("hyperparameters")
        lr, mu, decay = (hyper[i] % (1 << 17) for i in (0, 2, 3))
        lr_shift, decay_shift = (max(-64, min(64, hyper[i])) for i in (1, 4))
        weight, gradient = self.slot("weight"), self.slot(source)
        later = "LATER_PART" in self.flags
        rescale = self.rescales(weight, later)
        fv, f_master = gradient.f - 4, weight.f + 16
        masters, momenta = self.states()
        results: tuple[Rows, Rows, Rows] = ([], [], [])
        longest = 0
        requantise = formats.requantise
        for rows in zip(masters, momenta, gradients, strict=True):
            for out in results:
                out.append([])
            for w, v, g in zip(*rows, strict=True):
                w = round_shift(w, 1) if rescale else w
                v = round_shift(requantise(v, gradient.f_previous - gradient.f, 32) * mu, 16)
                v += requantise(g, 4 + self.immediates["average_shift"], 32)
                if "DECAY" in self.flags:
                    v += requantise(w * decay, f_master + decay_shift - fv, 32)
                v = saturate(v, 32)
                new = w - requantise(v * lr, fv + lr_shift - f_master, 32)
                w = max(-0x7FFF8000, min(0x7FFF7FFF, new))
                weight.saturations = (weight.saturations + (w != new)) % (1 << 32)
                longest = max(longest, formats.bit_length(w))
                for out, value in zip(results, (w, v, requantise(w, 16, 16)), strict=True):
                    out[-1].append(value)
        weight.peak = max(longest or EMPTY, weight.peak if later else EMPTY)
        return {"state": self.state_rows(*results[:2]), "weight": results[2]}

    @staticmethod
    def rescales(weight: Slot, later: bool = False) -> bool:
        """Whether master weights are halved; the first part of a weight notes it in the slot's fractions."""
        if later:
            return weight.f != weight.f_previous
        weight.f_previous = weight.f
        rescale = weight.peak >= RESCALE_PEAK
        if rescale:
            weight.f = max(F_MIN, weight.f - 1)
        return rescale

    def adamw_update(self) -> dict[str, Rows]:
        (hyper,) = self.read("hyperparameters")
        rate, decay = hyper[0] % (1 << 17), hyper[4] % (1 << 17)
        rate_shift, decay_shift = (max(-64, min(64, hyper[i])) for i in (1, 5))
        share1, share2 = (min(hyper[i] % (1 << 17), 1 << 16) for i in (2, 3))
        floor, average_shift = hyper[6] % (1 << 16), max(-256, min(256, self.immediates["average_shift"]))
        weight, gradient = self.slot("weight"), self.slot("gradient")
        rescale = self.rescales(weight)
        f_master, f_average = weight.f + 16, gradient.f + average_shift
        results: tuple[Rows, Rows, Rows] = ([], [], [])
        longest = 0
        requantise, decode, encode = formats.requantise, formats.decode_moment, formats.encode_moment
        for rows in zip(*self.states(), self.read("gradient"), strict=True):
            for out in results:
                out.append([])
            for w, codes, g in zip(*rows, strict=True):
                w = round_shift(w, 1) if rescale else w
                drop = abs(g).bit_length() - 16
                n = round_shift(abs(g), drop)
                old, exponent = decode(codes & 0x7FFF)
                first, scale = formats.blend(
                    (-old if codes & 0x8000 else old, exponent), (-n if g < 0 else n, drop - f_average + 37), share1
                )
                m, sign = encode(abs(first), scale, 15), first < 0
                square = (round_shift(n * n, 16), 2 * (drop - f_average) + 80)
                v = encode(*formats.blend(decode(codes >> 16 & 0xFFFF), square, share2), 16)
                numerator, e1 = decode(m)
                denominator, e2 = decode(max(v, floor))
                r, e = rsqrt(max(1, denominator << e2 % 2))
                ratio = round_shift(-numerator * r if sign else numerator * r, 8)
                new = w - requantise(ratio * rate, rate_shift + 13 + e + e2 // 2 - e1 - f_master, 32)
                if "DECAY" in self.flags:
                    new -= requantise(round_shift(w, 8) * decay, decay_shift - 8, 32)
                w = max(-0x7FFF8000, min(0x7FFF7FFF, new))
                weight.saturations = (weight.saturations + (w != new or m == 0x7FFF or v == 0xFFFF)) % (1 << 32)
                longest = max(longest, formats.bit_length(w))
                record = v << 16 | sign << 15 | m
                record -= (record >> 31) << 32
                for out, value in zip(results, (w, record, requantise(w, 16, 16)), strict=True):
                    out[-1].append(value)
        weight.peak = longest or EMPTY
        return {"state": self.state_rows(*results[:2]), "weight": results[2]}

    def load_weights(self) -> dict[str, Rows]:
        return {}

    def exponent_update(self) -> dict[str, Rows]:
        for slot in self.slots[self.d["first"] : self.d["first"] + self.d["count"]]:
            slot.f_previous = slot.f
            if slot.peak > EMPTY:
                slot.history = [slot.peak] + slot.history[:-1]
                slot.f = updated_fraction(slot.history, self.d["bits"], self.d["margin"])
                slot.peak = EMPTY
        return {}


def _largest(values: list[int], count: int) -> list[int]:
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    return sorted(order[:count])

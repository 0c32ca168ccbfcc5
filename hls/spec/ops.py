"""The op table: one row an operation, and everything else is rendered or checked from it.

Operands are matrices in DDR. A matrix has `rows` x `columns` elements of one type; a row starts at a word boundary, is
padded with zeros to a multiple of eight elements, and `pitch` words lie between two rows. Shapes are expressions over
the op's dimensions (only names, integers, ``+`` and ``*``: valid Python and C++; they may begin with ``gap +`` or
``skipped +``, which stand for rows or columns that belong to others: `hls/spec/pieces.py`).

Token tensors hold the class-token rows of all images first (row b is image b), then the patch rows image by image (row
``batch + b * patches + i``). `split` is the number of class-token rows at the front of an operand. A gradient has two
fractions: its `slot` for patch rows and the next one for class-token rows (`Slot.GRADIENT`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import CodeType

from hls.spec.formats import STATE


class Access(Enum):
    """What an op does with an operand."""

    READ = "read"
    WRITE = "write"
    UPDATE = "update"
    """Read and written, or one of both, depending on flags (ACCUMULATE; SCORES)."""
    NONE = "none"
    """No memory: a value inside the op that has a fraction (its slot is used)."""


class Slot(Enum):
    """How many neighbouring slots an operand has."""

    NONE = 0
    ONE = 1
    GRADIENT = 2
    THREE_GRADIENTS = 6
    """Gradients of query, key and value side by side: three pairs."""


@dataclass(frozen=True)
class Operand:
    """One operand of an op.

    `flag` names the flag without which the operand is absent: its address, pitch and slot are then zero. `made_by`
    names the flag without which one that is updated is only read.
    """

    name: str
    access: Access
    element: str
    rows: str
    columns: str
    slot: Slot = Slot.ONE
    flag: str | None = None
    made_by: str | None = None

    def is_written(self, flags: Collection[str]) -> bool:
        """Whether an instruction with these flags writes it."""
        missing = {self.flag, self.made_by} - {None, *flags}
        return self.access in (Access.WRITE, Access.UPDATE) and not missing


@dataclass(frozen=True)
class Op:
    """One row of the table. `limits` bounds each dimension: (smallest, name of a limit of the hardware configuration).

    `rules` are further conditions on dimensions and flags, where a flag's name is 1 when it is set and else 0 (valid
    C++, and Python once ``||`` and ``&&`` are replaced). `slot_end` is the end of the slots that the op uses by number.
    `macs` counts multiply-accumulates of the array and may name flags as rules do, `nest` is the loop nest or formula
    in words, `unit` the part of the accelerator that runs it.
    """

    name: str
    opcode: int
    unit: str
    dimensions: tuple[str, ...]
    operands: tuple[Operand, ...]
    limits: dict[str, tuple[int, str]]
    nest: str
    flags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    immediates: tuple[str, ...] = ()
    macs: str = "0"
    slot_end: str = "0"
    flag_bits: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.flag_bits.update({name: 1 << i for i, name in enumerate(self.flags)})


def _read(
    name: str, rows: str, columns: str, slot: Slot = Slot.ONE, element: str = "i16", flag: str | None = None
) -> Operand:
    return Operand(name, Access.READ, element, rows, columns, slot, flag)


def _write(
    name: str, rows: str, columns: str, slot: Slot = Slot.ONE, element: str = "i16", flag: str | None = None
) -> Operand:
    return Operand(name, Access.WRITE, element, rows, columns, slot, flag)


def _sum(name: str, rows: str, columns: str, flag: str | None = None) -> Operand:
    """A weight gradient: int32, added to when ACCUMULATE is set."""
    return Operand(name, Access.UPDATE, "i32", rows, columns, Slot.ONE, flag)


def _updated(rows: str, columns: str, flag: str | None = None) -> tuple[Operand, ...]:
    """What an optimizer updates, and what it updates by."""
    return (
        Operand("state", Access.UPDATE, STATE, rows, columns, Slot.NONE, flag),
        Operand("weight", Access.UPDATE, "i16", rows, columns, flag=flag),
        _read("hyperparameters", "1", "8", Slot.NONE, "i32", flag),
    )


def _inner(name: str, slot: Slot) -> Operand:
    return Operand(name, Access.NONE, "i16", "0", "0", slot)


_G = Slot.GRADIENT
_GEMM_LIMITS = {"rows": (1, "max_rows"), "split": (0, "max_split"), "n": (1, "max_rows"), "k": (1, "max_contraction")}
_NEXT_LIMITS = {"next_n": (0, "max_rows"), "next_k": (0, "max_contraction")}
_NEXT_RULE = "NEXT_W == (next_n > 0) && NEXT_W == (next_k > 0)"
_VECTOR_LIMITS = {"rows": (1, "max_rows"), "split": (0, "max_rows"), "n": (1, "max_columns")}
_SKIPPED_WORDS = "skipped % 16 == 0"
_PARTS = (
    "n == part || n == 3 * part",
    "n == part || part % 8 == 0",
    "skipped == 0 || n == 3 * part",
    _SKIPPED_WORDS,
)
_NORMALISED = "n < 1024 || n < 2048 && n % 4 == 0"
"""Columns of a layer norm: n times an inverse deviation is a factor of 26 bits."""
_TOKENS = "batch * (1 + patches)"
_QUERIES = "batch * heads * queries"
_ATTENTION_LIMITS = {
    "batch": (1, "max_split"),
    "patches": (1, "max_patches"),
    "heads": (1, "max_heads"),
    "head_dim": (1, "max_head_dim"),
    "key_count": (0, "max_patches"),
    "queries": (1, "max_tokens"),
    "map_rows": (0, "max_tokens"),
}
_SELECT_LIMITS = {
    "batch": (1, "max_split"),
    "patches": (1, "max_patches"),
    "map_rows": (1, "max_tokens"),
    "keep": (1, "max_patches"),
}

_GATHER_LIMITS = {k: v for k, v in _SELECT_LIMITS.items() if k != "map_rows"} | {"n": (1, "max_columns")}

OPS: tuple[Op, ...] = (
    Op(
        "end",
        0,
        "control",
        (),
        (),
        {},
        "Ends the program.",
    ),
    Op(
        "gemm_nt",
        1,
        "gemm",
        ("rows", "split", "n", "k", "period", "part", "skipped", "next_n", "next_k"),
        (
            _read("x", "rows", "k"),
            _read("w", "skipped + n", "k"),
            _read("bias", "1", "skipped + n", flag="BIAS"),
            _read("residual", "period", "skipped + n", flag="RESIDUAL"),
            _write("y", "rows", "skipped + n"),
            _write("pre", "rows", "skipped + n", flag="GELU"),
            _read("next_w", "next_n", "next_k", Slot.NONE, flag="NEXT_W"),
        ),
        _GEMM_LIMITS | {"period": (1, "max_rows"), "part": (1, "max_rows"), "skipped": (0, "max_rows")} | _NEXT_LIMITS,
        "acc[i][j] = sum_k x[i][k] * w[j][k] + bias[j] + residual[i % period][j]; y = round(acc), or with GELU "
        "pre = round(acc), y = GELU(pre). A linear layer forward; with a residual of `period` rows patch embedding. "
        "The n columns are one part or three of `part` columns, between which `skipped` columns belong to others. "
        "SAME_X: x is what the instruction before read as x or, a layernorm, wrote as y, and nothing has written it "
        "since, so rows still on chip need not be read. NEXT_W: the first rows of next_w, of a gemm_nt behind, come on "
        "chip while the last sums are finished. LOADED_W: the instruction of this unit before has brought w, and "
        "nothing has written it since; of several parts, the first one's rows count.",
        flags=("BIAS", "RESIDUAL", "GELU", "SAME_X", "NEXT_W", "LOADED_W"),
        rules=("split <= rows", "period <= rows", *_PARTS, _NEXT_RULE),
        macs="rows * n * k",
    ),
    Op(
        "gemm_nn",
        2,
        "gemm",
        ("rows", "split", "n", "k", "segments", "next_n", "next_k"),
        (
            _read("dy", "rows", "k", Slot.THREE_GRADIENTS),
            _read("w", "k", "n"),
            _read("residual", "rows", "n", _G, flag="RESIDUAL"),
            _read("pre", "rows", "n", flag="GELU_BACKWARD"),
            _write("dx", "rows", "n", _G),
            _read("next_w", "next_k", "next_n", Slot.NONE, flag="NEXT_W"),
        ),
        _GEMM_LIMITS | {"segments": (1, "max_segments")} | _NEXT_LIMITS,
        "acc[i][j] = sum_k dy[i][k] * w[k][j], each of the `segments` equal parts of k with its own fraction; with "
        "GELU_BACKWARD times GELU'(pre[i][j]); + residual[i][j]; dx = round(acc). A linear layer's input gradient. "
        "SAME_DY: dy is what the instruction before, a layernorm_backward, wrote as dx. NEXT_W and LOADED_W as in "
        "gemm_nt, for a gemm_nn behind: next_w are the rows of its first segment.",
        flags=("RESIDUAL", "GELU_BACKWARD", "SAME_DY", "NEXT_W", "LOADED_W"),
        # A raised sum of several segments has more bits than a slope multiplies; no layer has both.
        rules=(
            "split <= rows",
            "segments == 1 || k % 24 == 0",
            "segments != 2",
            "GELU_BACKWARD == 0 || segments == 1",
            _NEXT_RULE,
        ),
        macs="rows * n * k",
    ),
    Op(
        "gemm_tn",
        3,
        "gemm",
        ("rows", "split", "n", "k"),
        (
            _read("dy", "rows", "n", _G),
            _read("x", "rows", "k"),
            _sum("dw", "n", "k"),
            _sum("dbias", "1", "n", flag="BIAS"),
            *_updated("n", "k", "UPDATE"),
        ),
        {"rows": (1, "max_contraction"), "split": (0, "max_split"), "n": (1, "max_rows"), "k": (1, "max_rows")},
        "dw[i][j] (+)= sum_r dy[r][i] * x[r][j], patch rows and class rows summed apart; with BIAS also "
        "dbias[i] (+)= sum_r dy[r][i]. The gradients of a weight and of its bias. With UPDATE dw is not written: as "
        "sgd_update does, it updates the weight at once. LATER_PART: rows of a weight whose first rows were updated by "
        "an instruction before. "
        "SAME_X: x is that of the gemm_tn before, and nothing has written it since.",
        flags=("ACCUMULATE", "BIAS", "UPDATE", "DECAY", "LATER_PART", "SAME_X"),
        rules=("split <= rows", "DECAY <= UPDATE", "LATER_PART <= UPDATE"),
        immediates=("average_shift",),
        macs="rows * n * k",
    ),
    Op(
        "column_sum",
        4,
        "vector",
        ("rows", "split", "n", "period"),
        (_read("dy", "rows", "n", _G), _sum("dw", "period", "n")),
        _VECTOR_LIMITS | {"period": (1, "max_rows")},
        "dw[p][j] (+)= sum over rows r with r % period == p of dy[r][j]. The gradient of the class token (period 1) "
        "and of the position embedding (period: patches, no class rows).",
        flags=("ACCUMULATE",),
        rules=("split <= rows", "period <= rows", "period == 1 || split == 0"),
    ),
    Op(
        "embed_class",
        5,
        "vector",
        ("batch", "n"),
        (_read("token", "1", "n"), _read("position", "1", "n"), _write("x", "batch", "n")),
        {"batch": (1, "max_split"), "n": (1, "max_columns")},
        "x[b][j] = round(token[j] + position[j]): the class-token rows of the first layer's input.",
    ),
    Op(
        "layernorm",
        6,
        "vector",
        ("rows", "n"),
        (
            _read("x", "rows", "n"),
            _read("gamma", "1", "n"),
            _read("beta", "1", "n"),
            _inner("normalised", Slot.ONE),
            _write("y", "rows", "n"),
            _write("saved", "rows", "n", Slot.NONE, flag="SAVE"),
            _write("rstd", "1", "rows", Slot.NONE, "i32", flag="SAVE"),
        ),
        {"rows": (1, "max_rows"), "n": (1, "max_columns")},
        "s = sum x, N = n * sum x^2 - s^2 + eps, normalised = round((n * x - s) / sqrt(N)), "
        "y = round(gamma * normalised + beta); with SAVE, for the backward pass, saved keeps normalised and rstd "
        "1 / sqrt(N) as ``e << 20 | mantissa``.",
        flags=("SAVE",),
        rules=(_NORMALISED,),
        immediates=("epsilon_mantissa", "epsilon_shift"),
    ),
    Op(
        "layernorm_backward",
        7,
        "vector",
        ("rows", "split", "n"),
        (
            _read("dy", "rows", "n", _G),
            _read("normalised", "rows", "n"),
            _read("rstd", "1", "rows", Slot.ONE, "i32"),
            _read("gamma", "1", "n"),
            _read("residual", "rows", "n", _G, flag="RESIDUAL"),
            _write("dx", "rows", "n", _G),
            _sum("dgamma", "1", "n"),
            _sum("dbeta", "1", "n"),
        ),
        _VECTOR_LIMITS,
        "g = dy * gamma; dx = round(rstd * (g - mean(g) - normalised * mean(g * normalised)) + residual); "
        "dgamma (+)= sum_rows dy * normalised; dbeta (+)= sum_rows dy. The slot of `rstd` is that of the input x.",
        flags=("RESIDUAL", "ACCUMULATE"),
        rules=("split <= rows", _NORMALISED),
    ),
    Op(
        "softmax",
        8,
        "vector",
        ("rows", "n"),
        (_read("x", "rows", "n"), _write("y", "rows", "n")),
        {"rows": (1, "max_rows"), "n": (1, "max_columns")},
        "y[i][j] = exp2(scale * (x[i][j] - max_j x[i][j])) / sum_j; scale holds log2(e).",
        immediates=("scale",),
    ),
    Op(
        "softmax_backward",
        9,
        "vector",
        ("rows", "split", "n"),
        (_read("dy", "rows", "n", _G), _read("y", "rows", "n"), _write("dx", "rows", "n", _G)),
        _VECTOR_LIMITS,
        "dx[i][j] = y[i][j] * (dy[i][j] - sum_j y[i][j] * dy[i][j]).",
        rules=("split <= rows",),
    ),
    Op(
        "gelu",
        10,
        "vector",
        ("rows", "n"),
        (_read("x", "rows", "n"), _write("y", "rows", "n")),
        {"rows": (1, "max_rows"), "n": (1, "max_columns")},
        "y = relu(x) - table(abs(x)).",
    ),
    Op(
        "gelu_backward",
        11,
        "vector",
        ("rows", "split", "n"),
        (_read("dy", "rows", "n", _G), _read("x", "rows", "n"), _write("dx", "rows", "n", _G)),
        _VECTOR_LIMITS,
        "dx = dy * GELU'(x).",
        rules=("split <= rows",),
    ),
    Op(
        "attention",
        12,
        "attention",
        (
            "batch",
            "patches",
            "heads",
            "head_dim",
            "key_count",
            "queries",
            "first",
            "count",
            "map_rows",
            "gap",
            "skipped",
        ),
        (
            _read("qkv", f"gap + {_TOKENS}", "skipped + 3 * heads * head_dim"),
            _read("keys", "batch * patches", "key_count", Slot.NONE, "u16", flag="SPARSE"),
            Operand("probability", Access.UPDATE, "i16", _QUERIES, "1 + patches", made_by="SCORES"),
            _write("y", "gap + batch * queries", "heads * head_dim", flag="VALUES"),
            _write("map", "batch * map_rows", "1 + patches", Slot.NONE, "i32", flag="MAP"),
        ),
        _ATTENTION_LIMITS
        | {"first": (0, "max_patches"), "count": (1, "max_tokens"), "gap": (0, "max_rows"), "skipped": (0, "max_rows")},
        "per image and head: p = softmax(q k^T), y = p v; with SPARSE a patch query reads the class key and its "
        "`key_count` listed patch keys; with MAP probabilities of the first `map_rows` queries are summed over heads. "
        "Queries may be some of each image's that follow each other: `count` from the `first` on; rows of others stay. "
        "Images may be some of a batch that follow each other: `gap` rows of others lie between class and patch rows. "
        "Heads may be some of a model: `skipped` columns of others lie between queries, keys and values. "
        "SCORES makes p (and the map) of q and k, VALUES makes y of p and v; without SCORES p is the stored "
        "`probability`.",
        flags=("SPARSE", "MAP", "SCORES", "VALUES"),
        rules=(
            "head_dim % 8 == 0",
            "queries == 1 || queries == 1 + patches",
            "first + count <= queries",
            "map_rows <= queries",
            "key_count <= patches",
            "SPARSE == (key_count > 0)",
            "MAP == (map_rows > 0)",
            "SCORES == 1 || VALUES == 1",
            "SCORES == 1 || map_rows == 0",
            "gap == 0 || queries > 1",
            _SKIPPED_WORDS,
        ),
        immediates=("scale",),
        macs="(SCORES + VALUES) * batch * count * (1 + patches) * heads * head_dim",
    ),
    Op(
        "attention_backward",
        13,
        "attention",
        ("batch", "patches", "heads", "head_dim", "key_count", "queries"),
        (
            _read("qkv", _TOKENS, "3 * heads * head_dim"),
            _read("keys", "batch * patches", "key_count", Slot.NONE, "u16", flag="SPARSE"),
            _read("probability", _QUERIES, "1 + patches"),
            _read("dy", "batch * queries", "heads * head_dim", _G),
            _write("dscore", _QUERIES, "1 + patches", _G),
            _write("dqkv", _TOKENS, "3 * heads * head_dim", Slot.THREE_GRADIENTS),
        ),
        {k: v for k, v in _ATTENTION_LIMITS.items() if k != "map_rows"},
        "per image and head, with the stored p: dp = dy v^T, ds = p * (dp - sum_j p dp), "
        "dq = scale ds k, dk = scale ds^T q, dv = p^T dy.",
        flags=("SPARSE",),
        rules=(
            "head_dim % 8 == 0",
            "queries == 1 || queries == 1 + patches",
            "key_count <= patches",
            "SPARSE == (key_count > 0)",
        ),
        immediates=("gradient_mantissa", "gradient_shift"),
        macs="4 * batch * queries * (1 + patches) * heads * head_dim",
    ),
    Op(
        "select_tokens",
        14,
        "selection",
        ("batch", "patches", "map_rows", "keep"),
        (
            _read("map", "batch * map_rows", "1 + patches", Slot.NONE, "i32"),
            _write("kept", "batch", "keep", Slot.NONE, "u16"),
        ),
        _SELECT_LIMITS,
        "kept[b] = the `keep` patches with largest map[b * map_rows][1 + i], lowest index first in ties, ascending.",
        rules=("keep <= patches",),
    ),
    Op(
        "select_keys",
        15,
        "selection",
        ("batch", "patches", "keep", "key_count"),
        (
            _read("map", _TOKENS, "1 + patches", Slot.NONE, "i32"),
            _read("kept", "batch", "keep", Slot.NONE, "u16"),
            _write("keys", "batch * keep", "key_count", Slot.NONE, "u16"),
        ),
        {k: v for k, v in _SELECT_LIMITS.items() if k != "map_rows"} | {"key_count": (1, "max_patches")},
        "keys[b * keep + i] = i and the `key_count - 1` other kept j with the largest "
        "map[b * (1 + patches) + 1 + kept[i]][1 + kept[j]], the lowest j winning ties, ascending.",
        rules=("keep <= patches", "key_count <= keep"),
    ),
    Op(
        "gather_tokens",
        16,
        "selection",
        ("batch", "patches", "keep", "n"),
        (
            _read("x", _TOKENS, "n", Slot.NONE),
            _read("kept", "batch", "keep", Slot.NONE, "u16"),
            _write("y", "batch * (1 + keep)", "n", Slot.NONE),
        ),
        _GATHER_LIMITS,
        "The class rows, then of each image the kept patch rows.",
        rules=("keep <= patches",),
    ),
    Op(
        "scatter_tokens",
        17,
        "selection",
        ("batch", "patches", "keep", "n"),
        (
            _read("dy", "batch * (1 + keep)", "n", Slot.NONE),
            _read("kept", "batch", "keep", Slot.NONE, "u16"),
            _write("dx", _TOKENS, "n", Slot.NONE),
        ),
        _GATHER_LIMITS,
        "The backward of gather_tokens: rows that were pruned become zero.",
        rules=("keep <= patches",),
    ),
    Op(
        "class_variance",
        18,
        "vector",
        ("batch", "patches", "map_rows"),
        (
            _read("map", "batch * map_rows", "1 + patches", Slot.ONE, "i32"),
            _write("variance", "batch", "8", Slot.NONE, "i32"),
        ),
        {k: v for k, v in _SELECT_LIMITS.items() if k != "keep"},
        "v = patches * sum_i m^2 - (sum_i m)^2 over m = map[b * map_rows][1 + i]; variance[b] = (low 32 bits of v, "
        "high 32 bits of v, fraction of the map, patches, 0, 0, 0, 0).",
    ),
    Op(
        "cross_entropy",
        19,
        "vector",
        ("batch", "n"),
        (
            _read("logits", "batch", "n"),
            _read("labels", "1", "batch", Slot.NONE, "i32"),
            _write("dlogits", "batch", "n", _G, flag="GRADIENT"),
            _write("terms", "batch", "8", Slot.NONE, "i32"),
        ),
        {"batch": (1, "max_split"), "n": (1, "max_columns")},
        "dlogits = softmax(logits) - target, target = off everywhere and on at the label; terms[b] = (sum of "
        "exponentials U.20, sum of target * distance to the largest logit Q.16, predicted class, 1 if right, 0...): "
        "loss = ln(terms[0] * 2^-20) + terms[1] * 2^-16.",
        flags=("GRADIENT",),
        immediates=("target_on", "target_off"),
    ),
    Op(
        "sgd_update",
        20,
        "gemm",
        ("rows", "n"),
        (_read("gradient", "rows", "n", Slot.ONE, "i32"), *_updated("rows", "n")),
        {"rows": (1, "max_rows"), "n": (1, "max_rows")},
        "v = mu * v + g / 2^average_shift + decay * w; w = w - lr * v; weight = round(w / 2^16). A state element is "
        "what is left of w, and v. Hyperparameters: (lr mantissa, lr shift, mu in Q16, decay mantissa, decay shift, 0, "
        "0, 0). Fractions: numerics.md.",
        flags=("DECAY",),
        immediates=("average_shift",),
    ),
    Op(
        "exponent_update",
        21,
        "control",
        ("first", "count", "bits", "margin"),
        (),
        {
            "first": (0, "max_slots"),
            "count": (1, "max_slots"),
            "bits": (15, "max_exponent_bits"),
            "margin": (0, "max_margin"),
        },
        "f_previous = f; of each slot in first ... first + count - 1 that saw a non-zero value, the peak enters the "
        "history and f = bits - margin - max(history).",
        slot_end="first + count",
    ),
    Op(
        "adamw_update",
        22,
        "vector",
        ("rows", "n"),
        (_read("gradient", "rows", "n", Slot.ONE, "i32"), *_updated("rows", "n")),
        {"rows": (1, "max_rows"), "n": (1, "max_rows")},
        "m += share1 * (g - m); v += share2 * (g^2 - v); w -= decay * w + rate * m / sqrt(max(v, floor)); "
        "weight = round(w / 2^16). A state element is what is left of w, and the moments, the code of v above that of "
        "m. Hyperparameters: (rate mantissa, rate shift, share1 and share2 in Q16, decay mantissa, decay shift, "
        "floor's code, 0): numerics.md.",
        flags=("DECAY",),
        immediates=("average_shift",),
    ),
    Op(
        "load_weights",
        23,
        "gemm",
        ("n", "k"),
        (_read("w", "n", "k", Slot.NONE),),
        {"n": (1, "max_rows"), "k": (1, "max_contraction")},
        "Writes nothing: the first rows of w come on chip, for a gemm_nt with LOADED_W. Beside attention that takes no "
        "time.",
    ),
)

BY_NAME = {op.name: op for op in OPS}
BY_OPCODE = {op.opcode: op for op in OPS}


@cache
def _compiled(expression: str) -> CodeType:
    return compile(expression.replace("||", " or ").replace("&&", " and "), expression, "eval")


def evaluate(expression: str, names: Mapping[str, int]) -> int:
    """Value of an expression of the table; `names` are the dimensions and, for rules and `macs`, the flags."""
    return int(eval(_compiled(expression), {"__builtins__": {}}, dict(names)))

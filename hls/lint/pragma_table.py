"""The pragmas Vitis HLS knows: their options, the values these take, and where each may stand (UG1399, 2021.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Place(Enum):
    """Where a pragma may stand."""

    LOOP_START = "as the first statement of a loop's body"
    LOOP_OR_FUNCTION_START = "as the first statement of a function's or loop's body"
    TOP = "in the body of the top function, outside its loops"
    FUNCTION = "in a function's body, outside its loops"
    ANYWHERE = "inside a function"


class Kind(Enum):
    """What an option's value is."""

    NUMBER = "a number or the name of a constant"
    VARIABLE = "the name of a variable"
    TEXT = "a name"
    FLAG = "a bare word"


Value = Kind | frozenset[str]
"""A kind of value, or the words allowed; such a word may also stand alone, without `key=`."""


@dataclass(frozen=True)
class Directive:
    """What may and must follow a directive."""

    place: Place
    options: dict[str, Value]
    required: tuple[str, ...] = ()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


N, V, T, FLAG = Kind.NUMBER, Kind.VARIABLE, Kind.TEXT, Kind.FLAG

_ARRAY = {"variable": V, "type": _words("complete cyclic block"), "factor": N, "dim": N}
_RAMS = _words("fifo ram_1p ram_1wnr ram_2p ram_s2p ram_t2p rom_1p rom_2p rom_np")
_MODES = _words(
    "ap_none ap_vld ap_ack ap_hs ap_ovld ap_memory bram ap_fifo axis s_axilite m_axi ap_stable "
    "ap_ctrl_none ap_ctrl_hs ap_ctrl_chain"
)
_OPERATIONS = _words(
    "mul add sub fadd fsub fdiv fexp flog fmul frsqrt frecip fsqrt dadd dsub ddiv dexp dlog dmul drsqrt drecip dsqrt "
    "hadd hsub hdiv hmul hsqrt"
)

DIRECTIVES: dict[str, Directive] = {
    "aggregate": Directive(Place.ANYWHERE, {"variable": V, "compact": _words("bit byte none auto")}, ("variable",)),
    "allocation": Directive(
        Place.ANYWHERE,
        {"type": _words("function operation"), "instances": T, "limit": N},
        ("type", "instances", "limit"),
    ),
    "array_partition": Directive(Place.ANYWHERE, _ARRAY, ("variable", "type")),
    "array_reshape": Directive(Place.ANYWHERE, {**_ARRAY, "object": FLAG}, ("variable", "type")),
    "bind_op": Directive(
        Place.ANYWHERE,
        {
            "variable": V,
            "op": _OPERATIONS,
            "impl": _words("fabric dsp meddsp fulldsp maxdsp primitivedsp auto"),
            "latency": N,
        },
        ("variable", "op"),
    ),
    "bind_storage": Directive(
        Place.ANYWHERE,
        {
            "variable": V,
            "type": _RAMS,
            "impl": _words("bram bram_ecc lutram uram uram_ecc srl memory auto"),
            "latency": N,
        },
        ("variable", "type"),
    ),
    "dataflow": Directive(Place.LOOP_OR_FUNCTION_START, {"disable_start_propagation": FLAG}),
    "dependence": Directive(
        Place.ANYWHERE,
        {
            "variable": V,
            "class": _words("array pointer"),
            "type": _words("inter intra"),
            "direction": _words("raw war waw"),
            "distance": N,
            "dependent": _words("true false"),
        },
    ),
    "disaggregate": Directive(Place.ANYWHERE, {"variable": V}, ("variable",)),
    "expression_balance": Directive(Place.ANYWHERE, {"off": FLAG}),
    "function_instantiate": Directive(Place.FUNCTION, {"variable": V}, ("variable",)),
    "inline": Directive(Place.FUNCTION, {"off": FLAG, "recursive": FLAG}),
    "interface": Directive(
        Place.TOP,
        {
            "mode": _MODES,
            "port": V,
            "bundle": T,
            "register": FLAG,
            "register_mode": _words("both forward reverse off"),
            "depth": N,
            "offset": T,
            "clock": T,
            "name": T,
            "num_read_outstanding": N,
            "num_write_outstanding": N,
            "max_read_burst_length": N,
            "max_write_burst_length": N,
            "max_widen_bitwidth": N,
            "latency": N,
            "storage_type": _RAMS,
            "storage_impl": _words("bram uram auto"),
        },
        ("mode", "port"),
    ),
    "latency": Directive(Place.ANYWHERE, {"min": N, "max": N}),
    "loop_flatten": Directive(Place.LOOP_START, {"off": FLAG}),
    "loop_merge": Directive(Place.ANYWHERE, {"force": FLAG}),
    "loop_tripcount": Directive(Place.LOOP_START, {"min": N, "max": N, "avg": N}, ("max",)),
    "occurrence": Directive(Place.ANYWHERE, {"cycle": N, "off": FLAG}),
    "performance": Directive(Place.ANYWHERE, {"target_ti": N, "target_tl": N, "unit": _words("cycle sec")}),
    "pipeline": Directive(
        Place.LOOP_OR_FUNCTION_START, {"ii": N, "off": FLAG, "rewind": FLAG, "style": _words("stp frp flp")}
    ),
    "protocol": Directive(Place.ANYWHERE, {"mode": _words("floating fixed")}),
    "reset": Directive(Place.FUNCTION, {"variable": V, "off": FLAG}, ("variable",)),
    "stable": Directive(Place.FUNCTION, {"variable": V}, ("variable",)),
    "stream": Directive(
        Place.ANYWHERE,
        {"variable": V, "type": _words("fifo pipo shared unsync"), "depth": N, "dim": N, "off": FLAG},
        ("variable",),
    ),
    "top": Directive(Place.FUNCTION, {"name": T}),
    "unroll": Directive(Place.LOOP_START, {"factor": N, "skip_exit_check": FLAG, "off": FLAG}),
}

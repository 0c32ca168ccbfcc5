"""Small kernels whose operators, multipliers and memories are counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from hls.area.cost import dsp_slices
from hls.area.memory import Array
from hls.area.module import Module, Multiplier, slices
from hls.area.reader import Reader
from hls.lint.check import Options, unit_of
from hls.spec.devices import Resources

CELLS = """
void @(const i16 x[1024][4], const i16 y[1024][8], acc_t out[4][8], int count) {
    acc_t acc[4][8];
#pragma HLS array_partition variable=acc type=complete dim=0
    for (int c = 0; c < count; ++c) {
#pragma HLS pipeline II=1
        for (int i = 0; i < 4; ++i) {
#pragma HLS unroll
            for (int j = 0; j < 8; ++j) {
#pragma HLS unroll
                const acc_t before = c == 0 ? acc_t(0) : acc[i][j];
                acc[i][j] = before + PRODUCT;
            }
        }
    }
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 8; ++j) out[i][j] = acc[i][j];
}
"""
SUM = """
void @(const i16 x[1024], const i16 y[1024], int out[1024], int count) {
PRAGMA
    for (int c = 0; c < count; ++c) {
#pragma HLS pipeline II=INTERVAL
        int sum = 0;
        BODY
        out[c] = sum;
    }
}
"""
TASKS = """
void load_@(const i16 in[1024], i16 buffer[512], int count) {
#pragma HLS inline off
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        buffer[i] = in[i];
    }
}
void store_@(const i16 buffer[512], i16 out[1024], int count) {
#pragma HLS inline off
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        out[i] = buffer[i] + buffer[(i + 1) & 511];
    }
}
void @(const i16 in[1024], i16 out[1024], int count) {
    for (int n = 0; n < count; ++n) {
PRAGMA
        i16 buffer[512];
        load_@(in, buffer, count);
        AGAIN
        store_@(buffer, out, count);
    }
}
"""
BANKS = """
void @(const i16 in[1024], i16 out[1024], int first, int count) {
    Buffer a;
#pragma HLS array_partition variable=a type=complete dim=2
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        for (int lane = 0; lane < 8; ++lane) {
#pragma HLS unroll
            a[i][INDEX] = in[i];
        }
    }
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        out[i] = a[i][0];
    }
}
"""
PORTS = """
template <int kPort> void put_@(int at, i16 value, Store& to) { to.word[kPort][at] = value; }
void @(const i16 in[1024], i16 out[1024], int count) {
    Store store;
PRAGMA
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        for (int lane = 0; lane < 2; ++lane) {
#pragma HLS unroll
            put_@<0>(i, in[i], store);
            put_@<1>(i, in[i] + 1, store);
        }
    }
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        for (int port = 0; port < 2; ++port) {
#pragma HLS unroll
            out[i] = store.word[port][i];
        }
    }
}
"""
TABLE = """
const int kTable[256] = {NUMBERS};
void @(const i16 x[1024], int out[1024], int count) {
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        out[i] = kTable[x[i] & 255];
    }
}
"""
LANES_OF_TABLE = """
const int kLanes_@[256] = {NUMBERS};
void @(const i16 x[1024][8], int out[1024][8], int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        for (int l = 0; l < 8; ++l) {
#pragma HLS unroll
            sum += kLanes_@[x[i][l] & 255];
        }
        out[i][0] = sum;
    }
}
"""
JUMP = """
void @(const i16 x[1024], int out[1024], int count) {
    int a = 0, b = 0;
    for (int i = 0; i < count; ++i) {
        if (x[i] == 7) LEAVE;
        else { a = x[i] + 1; b = x[i] - 1; }
        out[i] = a;
        out[i + 1] = b;
    }
    out[0] = a + b;
}
"""
SWITCH = """
int @(const i16 x[1024], int out[1024], int which) {
    switch (which) {
        case 0: return x[0] * x[1];
        case 1: return out[2] * out[3];
        default: break;
    }
    return 0;
}
"""
PERIOD = 5.0
SHARED = """
int unit_@(const i16 x[1024], bool squares) {
#pragma HLS inline off
    return squares ? int(x[0] * x[0]) : int(x[0] + x[1]);
}
int @(const i16 x[1024], int count) {
PRAGMA
    int sum = unit_@(x, false);
    if (count > 7) sum += unit_@(x, true);
    return sum;
}
"""
LIMIT = "#pragma HLS allocation operation instances=mul limit=1"
TWO = "sum = int(x[c] * y[c]) + int(x[c] * x[c]);"


def sums(body: str, pragma: str = "", interval: int = 1) -> str:
    return SUM.replace("PRAGMA", pragma).replace("BODY", body).replace("INTERVAL", str(interval))


KERNELS = {
    "cells": CELLS.replace("PRODUCT", "x[c][i] * y[c][j]"),
    "cells_cast": CELLS.replace("PRODUCT", "wide_t(x[c][i]) * wide_t(y[c][j])"),
    "cells_wide": CELLS.replace("PRODUCT", "wide_t(wide_t(x[c][i]) << 19) * wide_t(wide_t(y[c][j]) << 10)"),
    "cells_one": CELLS.replace("PRODUCT", "x[c][0] * y[c][0]"),
    "cells_row": CELLS.replace("PRODUCT", "x[c][0] * y[c][j]"),
    "times_five": CELLS.replace("PRODUCT", "x[c][i] * 5"),
    "times_four": CELLS.replace("PRODUCT", "x[c][i] * 4"),
    "two": sums(TWO),
    "fork": sums("if (y[c] > 0) sum = x[c] * y[c]; else sum = x[c] * x[c];"),
    "equal": sums("sum = int(x[c] * y[c]) + int(x[c] * y[c]);"),
    "two_cycles": sums(TWO, interval=2),
    "limited": sums(TWO, LIMIT),
    "narrowed": """
template <int kBits> int narrow_@(int value) { return int(ap_int<kBits>(value)); }
"""
    + sums("sum = narrow_@<17>(int(x[c]) * 2) * narrow_@<18>(int(y[c]) * 4);"),
    "two_bits": sums("sum = (int(x[c]) * 65536 >> (y[c] & 31)) & 3;"),
    "all_bits": sums("sum = int(x[c]) * 65536 >> (y[c] & 31);"),
    "count": sums("for (int i = 0; i < 64; ++i) if (x[(c + i) & 1023] > y[c]) ++sum;"),
    "count_in_register": sums(
        "int counts[8];\n#pragma HLS array_partition variable=counts type=complete\ncounts[1] = 0;\n"
        "for (int i = 0; i < 64; ++i) {\n#pragma HLS unroll\ncounts[1] += x[(c + i) & 1023] > y[c] ? 1 : 0;\n}\n"
        "sum = counts[1];"
    ),
    "leaf": """
inline int leaf_@(int a, int b) { return a + b; }
"""
    + sums("sum = leaf_@(x[c], y[c]) - (x[c] + 1);"),
    "tasks": TASKS.replace("PRAGMA", "#pragma HLS dataflow").replace("AGAIN", ""),
    "in_a_row": TASKS.replace("PRAGMA", "").replace("AGAIN", "load_@(in, buffer, count);"),
    "lanes": BANKS.replace("INDEX", "lane"),
    "aligned_lanes": BANKS.replace("INDEX", "8 * first + lane"),
    "moving_lanes": BANKS.replace("INDEX", "first + lane"),
    "ports": PORTS.replace("PRAGMA", "#pragma HLS array_partition variable=store.word type=complete dim=1"),
    "one_bank": PORTS.replace("PRAGMA", ""),
    "shared": SHARED.replace("PRAGMA", "#pragma HLS allocation function instances=unit_@ limit=1"),
    "cases": SWITCH,
    "jump": JUMP.replace("LEAVE", "break"),
    "no_jump": JUMP.replace("LEAVE", "out[2] = 1"),
    "chosen": sums("if (y[c] > 0) sum = x[c] + y[c];"),
    "chosen_by_way_of_a_local": sums("if (y[c] > 0) { int part = x[c]; part += y[c]; sum = part; }"),
    "left_open": sums("wide_t part; if (y[c] > 0) part = x[c] + 1; sum = int(part);"),
    "not_left_open": sums("wide_t part = 0; if (y[c] > 0) part = x[c] + 1; sum = int(part);"),
    "either": sums("int part; if (y[c] > 0) part = x[c]; else part = y[c] + 1; sum = part;"),
    "either_of_a_field": sums(
        "Pair part; if (y[c] > 0) part.first = x[c]; else part.first = y[c] + 1; sum = part.first;"
    ),
    "lanes_of_table": LANES_OF_TABLE.replace("NUMBERS", ", ".join(map(str, range(256)))),
    "table": TABLE.replace("NUMBERS", ", ".join(map(str, range(256)))),
}
SUMS = {
    "sum_of_two": "out[c] = x[c] + y[c];",
    "sum_of_three": "out[c] = x[c] + y[c] + z[c];",
    "sum_of_five": "out[c] = x[c] + y[c] + z[c] + int(x[c + 1]) + int(y[c + 1]);",
    "partial_sum_used_twice": "const int part = x[c] + y[c]; out[c] = part + z[c]; z[c] = i16(part);",
    "factor": "out[c] = i16(x[c]) * i16(y[c]);",
    "factor_is_a_sum": "out[c] = (x[c] + z[c]) * i16(y[c]);",
    "factor_is_a_wide_sum": "out[c] = (int(x[c]) * 4096 + z[c]) * i16(y[c]);",
}
KERNELS |= {
    name: f"void @(const i16 x[1024], const i16 y[1024], i16 z[1024], int out[1024], int count) {{\n"
    f"    for (int c = 0; c < count; ++c) {{\n#pragma HLS pipeline II=1\n        {body}\n    }}\n}}\n"
    for name, body in SUMS.items()
}
HEAD = """
#include <ap_int.h>
typedef ap_int<16> i16;
typedef ap_int<48> acc_t;
typedef ap_int<64> wide_t;
using Buffer = i16[512][16];
struct Store { i16 word[2][512]; };
struct Pair { int first, second; };
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Module]:
    source = tmp_path_factory.mktemp("area") / "kernels.cpp"
    source.write_text(HEAD + "".join(text.replace("@", name) for name, text in KERNELS.items()))
    unit = unit_of(source, Options())
    return {name: Reader(unit, name, 150).top for name in KERNELS}


def dsp(module: Module) -> float:
    return sum(slices(m.multipliers()) for _, m in module.walk())


def array(module: Module, name: str) -> Array:
    return next(a for _, m in module.walk() for a in m.arrays if a.name == name)


@pytest.mark.parametrize(
    "a, b, result, expected",
    [
        (16, 16, 32, 1),
        (27, 18, 45, 1),
        (28, 18, 46, 2),
        (18, 28, 46, 2),
        (35, 26, 61, 2),  # 26 on the wide port, 35 as 17 and 18
        (36, 26, 62, 3),
        (32, 32, 64, 4),
        (33, 33, 32, 3),  # the highest partial product is above bit 32
    ],
)
def test_slices_of_a_product(a: int, b: int, result: int, expected: int) -> None:
    assert dsp_slices(a, b, result) == expected


@pytest.mark.parametrize(
    "kernel, expected",
    [
        ("cells", 32),
        ("cells_cast", 32),  # widths are those of the numbers, not of the type
        ("cells_wide", 64),
        ("cells_one", 1),  # what does not depend on an unrolled loop is made once
        ("cells_row", 8),
        ("times_five", 0),
        ("two", 2),
        ("fork", 1),  # never in the same cycle
        ("equal", 1),  # one product
        ("two_cycles", 1),  # one slice in two cycles
        ("limited", 1),
        ("narrowed", 1),
    ],
)
def test_multipliers(kernels: dict[str, Module], kernel: str, expected: int) -> None:
    assert dsp(kernels[kernel]) == expected


def test_sums_stay_in_the_slices(kernels: dict[str, Module]) -> None:
    assert array(kernels["cells"], "acc").resources() == Resources()


def test_a_product_with_a_constant_is_additions(kernels: dict[str, Module]) -> None:
    five, four = (kernels[name].total(5.0).lut for name in ("times_five", "times_four"))
    assert five >= four + 4 * 16


def test_bits_that_no_use_needs_are_not_made(kernels: dict[str, Module]) -> None:
    two, every = (kernels[name].total(5.0).lut for name in ("two_bits", "all_bits"))
    assert every - two > 50  # 5 levels of 32 bits, or 2, 3, 5, 9 and 17


def test_sharing_a_multiplier_takes_multiplexers(kernels: dict[str, Module]) -> None:
    fork, two = (kernels[name].sections[-1].sharing() for name in ("fork", "two"))
    assert (fork, two) == (16, 0)  # 2 x 16 bits, two a LUT


def test_an_unrolled_sum_is_a_tree(kernels: dict[str, Module]) -> None:
    comparisons, loop = 64 * (8 + 3), 40 + 60 + 60 + 100
    assert kernels["count"].total(5.0).lut < comparisons + 64 * 12 + loop


def test_a_sum_in_a_register_of_an_array_is_a_tree(kernels: dict[str, Module]) -> None:
    assert kernels["count_in_register"].total(5.0).lut <= kernels["count"].total(5.0).lut


def sum_luts(kernels: dict[str, Module], name: str) -> float:
    return kernels[name].sections[-1].lut


def test_three_numbers_are_added_in_one_carry_chain(kernels: dict[str, Module]) -> None:
    two, three, five = (sum_luts(kernels, f"sum_of_{n}") for n in ("two", "three", "five"))
    assert 0 < three - two <= 2  # a bit more of the sum, not another adder
    assert 16 <= five - three <= 20 + 32  # one more chain, and an address
    assert sum_luts(kernels, "partial_sum_used_twice") >= three + 16


def test_a_slice_adds_before_it_multiplies(kernels: dict[str, Module]) -> None:
    assert sum_luts(kernels, "factor_is_a_sum") == sum_luts(kernels, "factor")
    assert sum_luts(kernels, "factor_is_a_wide_sum") > sum_luts(kernels, "factor") + 16


def test_operators_of_a_leaf_are_scaled_by_what_yosys_counted(tmp_path: Path) -> None:
    source = tmp_path / "leaf.cpp"
    source.write_text(HEAD + KERNELS["leaf"].replace("@", "f"))
    unit = unit_of(source, Options())
    plain, scaled = (Reader(unit, "f", 150, scales).top.total(5.0).lut for scales in ({}, {"leaf_f": 2.0}))
    assert scaled - plain == 17  # the sum of two 16-bit numbers; what is outside of the leaf stays


def test_an_array_between_tasks_is_doubled_and_its_ports_are_counted(kernels: dict[str, Module]) -> None:
    buffer = array(kernels["tasks"], "buffer")
    assert (buffer.copies, buffer.reads, buffer.writes) == (2, 2, 1)
    assert buffer.resources().bram36 == 1


def test_a_function_called_twice_in_a_row_is_one_instance(kernels: dict[str, Module]) -> None:
    assert [child.name for child in kernels["in_a_row"].children.values()] == ["load_in_a_row", "store_in_a_row"]


@pytest.mark.parametrize("kernel, writes", [("lanes", 1), ("aligned_lanes", 1), ("moving_lanes", 8)])
def test_lanes_that_may_meet_in_a_bank_need_a_port_each(kernels: dict[str, Module], kernel: str, writes: int) -> None:
    assert array(kernels[kernel], "a").writes == writes


@pytest.mark.parametrize("kernel, banks, writes", [("ports", 2, 1), ("one_bank", 1, 2)])
def test_constant_indices_name_a_bank(kernels: dict[str, Module], kernel: str, banks: int, writes: int) -> None:
    """Also of a struct's array that is first named where a loop is read ahead without counting."""
    found = array(kernels[kernel], "store.word")
    assert (found.banks, found.writes) == (banks, writes)


def test_a_table_takes_the_width_of_its_numbers(kernels: dict[str, Module]) -> None:
    table = array(kernels["table"], "kTable")
    assert (table.is_rom, table.bits, table.resources().bram36) == (True, 8, 0.5)


def test_lanes_that_read_a_table_have_a_copy_of_it_for_two(kernels: dict[str, Module]) -> None:
    """Although loops are read ahead without counting."""
    table = array(kernels["lanes_of_table"], "kLanes_lanes_of_table")
    assert (table.replicas, table.resources().bram36) == (4, 2)


def test_all_cases_are_read(kernels: dict[str, Module]) -> None:
    assert {(m.a, m.b) for _, m in multipliers(kernels["cases"])} == {(16, 16), (32, 32)}


def test_a_shared_instance_does_what_any_of_its_calls_asks(kernels: dict[str, Module]) -> None:
    assert dsp(kernels["shared"]) == 1


def test_what_a_jump_leaves_behind_is_not_chosen_between(kernels: dict[str, Module]) -> None:
    assert kernels["jump"].own(PERIOD).lut + 16 <= kernels["no_jump"].own(PERIOD).lut


def test_what_a_branch_declares_ends_with_it(kernels: dict[str, Module]) -> None:
    """But not a field of what was declared before, though it is first named there."""
    assert sum_luts(kernels, "chosen_by_way_of_a_local") == sum_luts(kernels, "chosen")
    assert sum_luts(kernels, "either_of_a_field") == sum_luts(kernels, "either") > sum_luts(kernels, "chosen") + 4


def test_what_comes_is_not_chosen_against_a_number_left_open(kernels: dict[str, Module]) -> None:
    """17 bits and their sign, four of which a LUT chooses between nothing and something."""
    assert sum_luts(kernels, "left_open") + 4 <= sum_luts(kernels, "not_left_open")


def multipliers(module: Module) -> list[tuple[str, Multiplier]]:
    return [(m.name, found) for _, m in module.walk() for s in m.sections for found in s.operators.multipliers]

"""Every leaf datapath: XLS's compilation of it equals the golden model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from hls.spec.config import load
from host.errors import PeelVitError
from sim.rtl.leaf import mac_cell
from sim.rtl.leaf.depth import LOOPS, depths, stages
from sim.rtl.leaf.estimated import estimates
from sim.rtl.leaf.flow import FOLDER, made, translated
from sim.rtl.leaf.jit import mismatch
from sim.rtl.leaf.leaf import Leaf
from sim.rtl.leaf.report import loop_table, table
from sim.rtl.leaf.simulate import failures, simulate
from sim.rtl.leaf.synthesis import Area, synthesise, without_tables
from sim.rtl.leaf.table import leaves
from sim.rtl.leaf.vectors import SOURCES
from sim.rtl.leaf.xls_ir import Translated, table_of, translate

CONFIG = load("toy")
DOCS = Path(__file__).resolve().parents[4] / "docs"


@pytest.fixture(scope="module")
def in_xls() -> dict[str, Translated]:
    return {each.leaf.name: each for each in translated(CONFIG)}


def test_every_leaf_has_vectors() -> None:
    assert set(SOURCES) == {*leaves(CONFIG), *mac_cell.NAMES}


@pytest.mark.parametrize("name", list(leaves(CONFIG)))
def test_a_leaf_equals_the_golden_model(name: str, in_xls: dict[str, Translated]) -> None:
    assert mismatch(CONFIG, in_xls[name], 1000) == ""


def test_loops_are_as_deep_as_their_leaves() -> None:
    # The toy accelerator has few candidates; everything else is as on the board.
    board = dataclasses.replace(CONFIG, clock_mhz=load("zcu102").clock_mhz)
    found = depths(board, stages(made(board)))
    assert len(found) == len(LOOPS)
    assert [depth for depth in found if depth.needed > depth.stated] == []


def test_loops_are_as_deep_as_the_counts_that_are_kept() -> None:
    kept = json.loads((DOCS / "results/leaves.json").read_text())
    needed = {"mac_cell": mac_cell.LATENCY - 1} | {name: leaf["stages"] for name, leaf in kept["leaves"].items()}
    found = depths(load("zcu102"), needed)
    assert len(found) == len(LOOPS)
    assert [depth for depth in found if depth.needed > depth.stated] == []


def test_what_is_kept_was_simulated_in_full() -> None:
    kept = json.loads((DOCS / "results/leaves.json").read_text())
    assert [name for name, leaf in kept["leaves"].items() if leaf["vectors"] < 100_000] == []
    assert kept["leaves"].keys() == {*leaves(load("zcu102")), "mac_cell_primitive"}


def test_tables_are_left_out_of_the_cells() -> None:
    (module,) = made(CONFIG, ["gelu_value"])
    text = without_tables(module.text)
    assert module.table_bits > 9000
    assert "(* blackbox *)" in text
    assert len(text) < len(module.text) / 1.3
    assert without_tables("module f(); endmodule\n") == "module f(); endmodule\n"


def test_a_table_that_is_read_in_another_form_is_refused() -> None:
    text = "  wire [3:0] literal_1[2];\n  assign literal_1 = '{4'h1, 4'h2};\n  assign a = 1 + literal_1[b];\n"
    with pytest.raises(PeelVitError, match="a form that is not known"):
        without_tables(text)


def test_every_leaf_is_read_by_the_estimate(tmp_path: Path) -> None:
    found = estimates(CONFIG, list(leaves(CONFIG).values()), tmp_path)
    assert found.keys() == set(leaves(CONFIG))
    assert all(each.lut > 40 for each in found.values())


def test_a_faster_clock_takes_more_stages() -> None:
    slow, fast = (made(dataclasses.replace(CONFIG, clock_mhz=mhz), ["reciprocal"])[0].stages for mhz in (100, 300))
    assert slow < fast


def test_a_clock_that_one_operation_misses_is_refused() -> None:
    with pytest.raises(PeelVitError, match="one of its operations alone takes longer"):
        made(dataclasses.replace(CONFIG, clock_mhz=1000), ["rsqrt"])


def test_a_table_with_a_tail_of_zeros_is_read_whole() -> None:
    text = (
        "@t = internal constant <{ [2 x i32], [3 x i32] }> <{ [2 x i32] [i32 7, i32 -1], [3 x i32] zeroinitializer }>"
    )
    (variable,) = llvm.parse_assembly(text).global_variables
    assert table_of(variable) == (32, [7, -1, 0, 0, 0])


@pytest.mark.parametrize(
    "body, message",
    [
        ("entry:\n br label %again\nagain:\n br label %again", "still has a loop"),
        ("%x = udiv i32 7, 3\n ret void", "no hardware form"),
    ],
)
def test_what_has_no_hardware_form_is_refused(body: str, message: str) -> None:
    with pytest.raises(PeelVitError, match=message):
        translate(f"define void @f() {{\n{body}\n}}", Leaf("f", (), ()))


def test_an_unknown_leaf_is_refused() -> None:
    with pytest.raises(PeelVitError, match="there is no leaf sine"):
        made(CONFIG, ["sine"])


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PeelVitError, match="apt-get install clang-16"):
        made(CONFIG)


def test_the_page_quotes_the_report_that_is_kept() -> None:
    page, kept = (DOCS / "rtl.md").read_text(), json.loads((DOCS / "results/leaves.json").read_text())
    assert table(kept) in page
    assert loop_table(kept) in page


@pytest.mark.parametrize("names", [["mac", "rsqrt"], [f"leaf{i}" for i in range(12)]])
@pytest.mark.parametrize("by_number", [False, True])
def test_failures_are_found_by_name_or_number(tmp_path: Path, names: list[str], by_number: bool) -> None:
    cases = [
        f'<testcase name="leaf/name={at if by_number else name}">{"<failure/>" if at == 1 else ""}</testcase>'
        for at, name in enumerate(names[:-1] if len(names) > 2 else names)
    ]
    path = tmp_path / "results.xml"
    path.write_text(f"<testsuites>{''.join(cases)}</testsuites>")
    assert list(failures(path, names)) == [names[1], *([names[-1]] if len(names) > 2 else [])]


@pytest.mark.slow
def test_the_verilog_of_all_leaves_gives_a_result_a_cycle() -> None:
    assert simulate(CONFIG, made(CONFIG), FOLDER / "test", 5000) == {}


@pytest.mark.slow
def test_a_wrong_circuit_is_noticed() -> None:
    (module,) = made(CONFIG, ["reciprocal"])
    late = dataclasses.replace(module, latency=module.latency + 1)
    assert list(simulate(CONFIG, [late], FOLDER / "late", 100)) == ["reciprocal"]


@pytest.mark.slow
def test_a_multiply_accumulate_cell_is_one_dsp() -> None:
    folder = FOLDER / "test"
    folder.mkdir(parents=True, exist_ok=True)
    assert synthesise([mac_cell.SOURCE], "mac_cell_primitive", folder) == Area(dsp=1, lut=16, ff=19)

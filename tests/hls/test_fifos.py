"""FIFOs of the checked C simulation: written once and in order, each element read once, in that order."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hls.render import HERE

PROGRAM = """
#include "fifos.hpp"
#include <cstdio>
using Buffer = peelvit::Fifos<int, 8, 2, 3>;
void pass(Buffer& all) {
    BODY
}
int main() {
    { Buffer all; pass(all); }
    std::puts("ended");
}
"""
WRITE = "all[0][1][2] = 5; all[3][1][2] = 7; all[1][0][0] = 9; "
READ = "const int first = all[0][1][2], second = all[3][1][2], other = all[1][0][0]; "


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("fifos")

    def compiled(body: str) -> subprocess.CompletedProcess[str]:
        source, program = folder / "pass.cpp", folder / "pass"
        source.write_text(PROGRAM.replace("BODY", body))
        flags = ["-std=c++14", "-DPEELVIT_CHECKS_FIFOS", f"-I{HERE / 'include'}"]
        subprocess.run(["g++", *flags, str(source), "-o", str(program)], check=True)
        return subprocess.run([str(program)], capture_output=True, text=True)

    return compiled


@pytest.mark.parametrize(
    "body",
    [
        WRITE + READ + "if (first != 5 || second != 7 || other != 9) throw 0;",
        "all[2][0][1] = 1; const int read = all[2][0][1]; all[4][0][1] = read; (void)int(all[4][0][1]);",
        "",
    ],
    ids=["several FIFOs", "in turns", "nothing"],
)
def test_what_is_in_order_passes(run, body: str) -> None:
    assert run(body).stdout == "ended\n"


@pytest.mark.parametrize(
    "body, fault",
    [
        ("all[3][0][0] = 1; all[2][0][0] = 1;", "element 2 is written out of order"),
        ("all[8][0][0] = 1;", "element 8 is written out of order"),
        ("all[1][0][0] = 1; all[2][0][0] = 2; (void)int(all[2][0][0]);", "element 2 is read out of order"),
        ("(void)int(all[0][0][0]);", "element 0 is read out of order"),
        ("all[1][0][0] = 1; (void)int(all[1][0][0]); (void)int(all[1][0][0]);", "element 1 is read out of order"),
        (WRITE, "is left"),
    ],
)
def test_anything_else_ends_the_program(run, body: str, fault: str) -> None:
    ended = run(body)
    assert ended.returncode < 0  # by a signal
    assert fault in ended.stderr
    assert ended.stdout == ""


def test_the_kernels_take_them_where_they_are_checked() -> None:
    """Each buffer of FIFOs of the engine that the macro places."""
    folder = Path(HERE / "templates" / "gemm")
    placed = {name for path in folder.glob("*.j2") for name in path.read_text().split("fifos(")[1:]}
    assert {name.split('"')[1] for name in placed} == {
        "ColumnBuffer", "StateBuffer", "MadeBuffer", "ResultBuffer", "SecondBuffer", "WeightBuffer"
    }  # fmt: skip

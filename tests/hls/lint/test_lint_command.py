"""The command line: exit codes, sentences for what cannot be checked, suppressions, macros and headers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hls.lint import clang, source
from hls.lint.__main__ import main

GOTO = "int f(int x) {\n  goto end;\nend:\n  return x;\n}\n"


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_clean_file_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write(tmp_path, "a.cpp", "int f(int x) { return x; }\n"))]) == 0
    assert capsys.readouterr().out.strip() == "hls.lint: 0 findings, 0 suppressions in 1 file"


def test_finding_exits_1_and_names_file_line_and_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a.cpp", GOTO)
    assert main([str(path)]) == 1
    assert f"{path}:2: [goto] " in capsys.readouterr().out


def test_json_report_holds_findings_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a.cpp", GOTO.replace("end;\n", "end;  // lint: allow goto kept for the test\n", 1))
    assert main([str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["findings"], report["files"]) == ([], [str(path)])
    assert [(found["rule"], found["reason"]) for found in report["suppressed"]] == [("goto", "kept for the test")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("int f( {\n", "does not parse"),
        ('#include "nowhere.h"\n', "cannot be preprocessed"),
    ],
)
def test_broken_source_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str) -> None:
    assert main([str(write(tmp_path, "a.cpp", text))]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_missing_path_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_directory_without_sources_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "No C++ file" in capsys.readouterr().err


def test_missing_compiler_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write(tmp_path, "a.cpp", GOTO)), "--cxx", "no-such-compiler"]) == 2
    assert "not installed" in capsys.readouterr().err


def test_missing_libclang_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clang.cindex.cache_clear()
    monkeypatch.setitem(sys.modules, "clang", None)
    assert main([str(write(tmp_path, "a.cpp", GOTO))]) == 2
    assert "pip install libclang" in capsys.readouterr().err


def test_missing_ap_types_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "ap_types", lambda: None)
    assert main([str(write(tmp_path, "a.cpp", "#include <ap_int.h>\n"))]) == 2
    assert "hls4ml" in capsys.readouterr().err


def test_header_is_checked_once_where_it_is_included(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "shared.h", "#pragma once\ninline " + GOTO)
    write(tmp_path, "a.cpp", '#include "shared.h"\n')
    write(tmp_path, "b.cpp", '#include "shared.h"\n')
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("[goto]") == 1


def test_header_that_no_source_includes_is_checked_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "alone.h", "#pragma once\ninline " + GOTO)
    assert main([str(tmp_path)]) == 1
    assert "alone.h:3: [goto]" in capsys.readouterr().out


def test_files_outside_the_given_paths_are_not_checked(tmp_path: Path) -> None:
    include, kernel = tmp_path / "include", tmp_path / "kernel"
    include.mkdir(), kernel.mkdir()
    write(include, "shared.h", "#pragma once\ninline " + GOTO)
    write(kernel, "a.cpp", "#include <shared.h>\n")
    assert main([str(kernel), "-I", str(include)]) == 0
    assert main([str(tmp_path), "-I", str(include)]) == 1


def test_macro_from_the_command_line_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, "a.cpp", f"#ifdef BROKEN\n{GOTO}#endif\n")
    assert main([str(path)]) == 0
    assert main([str(path), "-D", "BROKEN"]) == 1


def test_code_hidden_from_synthesis_is_not_checked(tmp_path: Path) -> None:
    assert main([str(write(tmp_path, "a.cpp", f"#ifndef __SYNTHESIS__\n{GOTO}#endif\n"))]) == 0


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rules"]) == 0
    assert "unbounded-loop" in capsys.readouterr().out


def test_lines_map_back_through_includes() -> None:
    text = b'# 1 "a.cpp"\nint a;\n# 1 "/usr/include/b.h" 1 3\nint b;\n# 2 "a.cpp" 2\n#pragma HLS inline\n'
    unit = source.Source(Path("a.cpp"), text)
    assert unit.origin(2) == source.Origin("a.cpp", 1, False)
    assert unit.origin(4) == source.Origin("/usr/include/b.h", 1, True)
    assert [(pragma.line, unit.origin(pragma.line).line) for pragma in unit.pragmas] == [(6, 2)]

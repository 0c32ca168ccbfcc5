"""The folder for a board: made alike each time, checked by one sentence, and enough with numpy alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hls.spec.config import load
from hls.spec.system import TOP
from host import deployment
from host.errors import PeelVitError
from host.float_weights import load_float_weights
from tools.deploy.__main__ import deploy
from tools.deploy.bitstream import copy_bitstream
from tools.deploy.products import Product, parse_weights, product_of, write_weights
from tools.deploy.sources import sources

CONFIG = load("toy")
MODEL = "vit:image=8,patch=2,dim=16,depth=3,heads=2,mlp=32,classes=10"
FORBIDDEN = ("torch", "jinja2", "PIL", "tqdm", "scipy", "sklearn", "sim", "trainer", "tools", "pytest")
"""What a board does not have: an import of one of these fails."""


def products() -> list[Product]:
    return [product_of(MODEL, batch=4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "toy"
    deploy(CONFIG, folder, products(), {}, None)
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def on_a_board(folder: Path, hook: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python as the board has it, in the copied folder."""
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({FORBIDDEN}))\n")
    environment = {**os.environ, "PYTHONPATH": str(hook)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_equal_sources_give_an_equal_folder(folder: Path, tmp_path: Path) -> None:
    count = deploy(CONFIG, tmp_path / "toy", products(), {}, None)
    checksums = deployment.read_checksums(folder)
    assert checksums == deployment.read_checksums(tmp_path / "toy")
    assert len(checksums) == count


def test_every_file_has_its_checksum(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files - {deployment.CHECKSUMS} == set(deployment.read_checksums(folder))
    assert {path.as_posix() for path in sources()} < files


def test_the_wheel_holds_the_board_s_half_and_wants_numpy_alone(folder: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        wanted = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
    assert names == {path.as_posix() for path in sources()} - {"LICENSE"}
    assert [line.split()[1].rstrip("<,>=0123456789.;") for line in wanted] == ["numpy", "pynq"]
    assert 'extra == "board"' in wanted[1]


def test_provenance_names_what_was_built(folder: Path) -> None:
    found = deployment.provenance(folder)
    assert (found["config"], found["config_hash"]) == ("toy", f"{CONFIG.hash:016x}")
    assert len(found["git_revision"]) == 40


def test_a_sound_folder_verifies_with_numpy_alone(folder: Path, tmp_path: Path) -> None:
    run = on_a_board(folder, tmp_path / "hook", "-m", "host", "verify")
    assert run.returncode == 0, run.stderr
    assert "files match their checksums, 4 programs compile to the same bytes here" in run.stdout


def test_the_host_program_starts_with_numpy_alone(folder: Path, tmp_path: Path) -> None:
    run = on_a_board(folder, tmp_path / "hook", "host/train_edge.py", "--help")
    assert run.returncode == 0, run.stderr
    assert "--backend" in run.stdout


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_file_is_named_in_one_sentence(copy: Path, tmp_path: Path, damage: str) -> None:
    victim = copy / "hls/configs/toy.json"
    victim.write_text(victim.read_text() + " ") if damage == "changed" else victim.unlink()
    run = on_a_board(copy, tmp_path / "hook", "-m", "host", "verify")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "hls/configs/toy.json does not match SHA256SUMS; copy the folder to the board again" in run.stderr


def test_a_folder_without_checksums_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PeelVitError, match="holds no SHA256SUMS; give the folder that `make deploy` wrote"):
        deployment.verify(tmp_path)


def test_a_program_that_compiles_otherwise_is_named(copy: Path) -> None:
    program = copy / "programs" / product_of(MODEL).name / "train-dense-b4.bin"
    program.write_bytes(program.read_bytes()[:-16])
    with pytest.raises(PeelVitError, match=r"compiles .*train-dense-b4.bin to other bytes"):
        deployment.verify_programs(copy)


def test_given_weights_take_the_place_of_fresh_ones(tmp_path: Path, folder: Path) -> None:
    (product,) = products()
    fresh = load_float_weights(folder / "weights" / f"{product.name}.safetensors")
    np.savez(tmp_path / "mine.npz", **{name: array + 1 for name, array in fresh.items()})
    given = parse_weights([f"{product.name}={tmp_path / 'mine.npz'}"], [product])
    write_weights(product, given[product.name], tmp_path)
    found = load_float_weights(tmp_path / "weights" / f"{product.name}.safetensors")
    assert all(np.array_equal(found[name], fresh[name] + 1) for name in fresh)


@pytest.mark.parametrize("text", ["other=pyproject.toml", f"{product_of(MODEL).name}=nowhere.npz"])
def test_weights_that_fit_nothing_are_refused(text: str) -> None:
    with pytest.raises(PeelVitError, match="must be NAME=FILE"):
        parse_weights([text], products())


def test_bit_and_hwh_come_together(tmp_path: Path) -> None:
    (tmp_path / "made.bit").write_bytes(b"bits")
    with pytest.raises(PeelVitError, match=r"PYNQ needs .bit and .hwh of one name"):
        copy_bitstream(tmp_path / "made.bit", CONFIG, tmp_path)
    (tmp_path / "made.hwh").write_text("<MODULE/>")
    with pytest.raises(PeelVitError, match="it is of another design"):
        copy_bitstream(tmp_path / "made.bit", CONFIG, tmp_path)
    (tmp_path / "made.hwh").write_text(f'<MODULE MODTYPE="{TOP}"/>')
    assert copy_bitstream(tmp_path / "made.bit", CONFIG, tmp_path) == ["toy.bit", "toy.hwh"]
    assert (tmp_path / "toy.bit").read_bytes() == b"bits"


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PeelVitError, match="is no deployed folder; choose another --output"):
        deploy(CONFIG, tmp_path, products(), {}, None)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"

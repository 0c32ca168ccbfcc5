"""The clients are small shell scripts here: what matters is how they are called and what is made of their failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.data import packages
from host.errors import PeelVitError


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script on the path in place of a client."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def write(name: str, script: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    return write


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def silent(line: str) -> None:
    pass


def test_npm_packs_into_the_work_folder_with_a_private_cache(client, work: Path):
    client("npm", 'echo "$@" > called; : > thing-1.0.tgz')
    assert packages.npm_pack("thing@1.0", work, silent) == work / "thing-1.0.tgz"
    called = (work / "called").read_text()
    assert called.startswith("pack thing@1.0")
    assert f"--cache={work}" in called


@pytest.mark.parametrize(
    "printed, reason",
    [
        ("npm error code ENOTFOUND", "cannot be reached"),
        ("npm error code EAI_AGAIN", "cannot be reached"),
        ("npm error code ENOSPC\nnpm error nospc", "the disk is full"),
        ("first\nnpm error something odd\n", "npm error something odd"),
        ("", "it printed no reason"),
    ],
)
def test_failure_gives_its_reason(client, work: Path, printed: str, reason: str):
    client("npm", f"echo '{printed}' >&2; exit 1")
    with pytest.raises(PeelVitError, match=f"`npm pack thing@1.0` failed: .*{reason}"):
        packages.npm_pack("thing@1.0", work, silent)


DPKG_DEB = 'mkdir -p "$3"; cp "$2" "$3/content"'


def test_apt_uses_the_lists_of_the_system_when_they_serve(client, work: Path):
    client("apt-get", 'echo "$@" >> called; : > thing_1_all.deb')
    client("dpkg-deb", DPKG_DEB)
    assert (packages.apt_download("thing", work, silent) / "content").exists()
    assert (work / "called").read_text().splitlines() == ["download thing"]


def test_apt_falls_back_to_private_lists(client, work: Path):
    client("apt-get", 'echo "$@" >> called; [ "$1" = download ] && exit 100; touch thing_1_all.deb')
    client("dpkg-deb", DPKG_DEB)
    lines: list[str] = []
    assert (packages.apt_download("thing", work, lines.append) / "content").exists()
    first, update, download = (work / "called").read_text().splitlines()
    private = f"-o Dir::State={work / 'state'} -o Dir::Cache={work / 'cache'}"
    assert (first, update, download) == ("download thing", f"{private} update", f"{private} download thing")
    assert any("private folder" in line for line in lines)


def test_apt_without_network(client, work: Path):
    client("apt-get", "echo 'E: Unable to locate package thing' >&2; exit 100")
    client("dpkg-deb", DPKG_DEB)
    with pytest.raises(PeelVitError, match="failed: the package registry cannot be reached"):
        packages.apt_download("thing", work, silent)


@pytest.mark.parametrize("missing, fetch", [("npm", packages.npm_pack), ("apt-get", packages.apt_download)])
def test_missing_client(work: Path, monkeypatch, missing: str, fetch):
    monkeypatch.setenv("PATH", str(work))
    with pytest.raises(PeelVitError, match=f"the program {missing} is not installed"):
        fetch("thing", work, silent)


def test_what_has_arrived_is_reported(client, work: Path, monkeypatch):
    # Two polls run out before the client ends, as if it were slow.
    endings = iter([False, False, True])

    def ended(process) -> bool:
        process.wait()
        return next(endings)

    monkeypatch.setattr(packages, "_ended", ended)
    client("npm", "head -c 3000000 /dev/zero > thing-1.0.tgz")
    lines: list[str] = []
    packages.npm_pack("thing@1.0", work, lines.append)
    assert lines == ["  npm: 3 MB so far"] * 2

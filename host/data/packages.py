"""Packages from the registries, taken with their own clients: npm, and apt-get without root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from host.data.source import Report
from host.errors import PeelVitError

_POLL_SECONDS = 2.0
_NETWORK_SIGNS = (
    "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT", "Temporary failure",
    "Could not resolve", "Could not connect", "Failed to fetch", "Unable to locate package", "Unable to fetch",
    "Cannot initiate the connection", "network",
)  # fmt: skip
_DISK_SIGNS = ("ENOSPC", "No space left", "Disk quota", "enough free space")


def npm_pack(package: str, work: Path, report: Report) -> Path:
    """Download `name@version` from the npm registry into `work`; returns the tarball.

    `pack` and not `install`, which would run scripts and pull in dependencies. The npm cache is private to `work`,
    so nothing stays behind and no home folder is needed.
    """
    _require("npm")
    options = [f"--cache={work / 'npm-cache'}", "--loglevel=error", "--ignore-scripts"]
    patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    _run(["npm", "pack", package, *options, *patience], work, report)
    return next(work.glob("*.tgz"))


def apt_download(package: str, work: Path, report: Report) -> Path:
    """Download a Debian package into `work` and unpack it there; returns the root of its files. Needs no root.

    When apt's own package lists are empty or stale, fresh ones are taken into `work`; the system's stay untouched.
    """
    _require("apt-get")
    _require("dpkg-deb")
    try:
        _run(["apt-get", "download", package], work, report)
    except PeelVitError:
        report("apt's package lists do not serve; taking fresh ones into a private folder")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (work / folder).mkdir(parents=True, exist_ok=True)
        private = ["-o", f"Dir::State={work / 'state'}", "-o", f"Dir::Cache={work / 'cache'}"]
        _run(["apt-get", *private, "update"], work, report)
        _run(["apt-get", *private, "download", package], work, report)
    unpacked = work / "unpacked"
    _run(["dpkg-deb", "-x", str(next(work.glob("*.deb"))), str(unpacked)], work, report)
    return unpacked


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise PeelVitError(f"the program {program} is not installed")


def _run(command: list[str], work: Path, report: Report) -> None:
    """Run a client in `work`, reporting how much has arrived; a sentence when it fails."""
    log = work / "client.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            while not _ended(process):
                report(f"  {command[0]}: {_megabytes(work)} MB so far")
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise PeelVitError(f"`{_shown(command)}` failed: {_reason(log.read_text(errors='replace'))}")


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _megabytes(folder: Path) -> int:
    """What lies below a folder in which files come and go."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total // 1_000_000


def _shown(command: list[str]) -> str:
    """The command without its options."""
    return " ".join(word for word in command if not word.startswith("-") and "=" not in word)


def _reason(log: str) -> str:
    """Why a client failed, from what it printed."""
    if any(sign in log for sign in _DISK_SIGNS):
        return "the disk is full"
    if any(sign in log for sign in _NETWORK_SIGNS):
        return "the package registry cannot be reached, or does not have the package"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed no reason"

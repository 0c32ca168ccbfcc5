"""Checks of the machine on which the host program runs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys

from host.deployment import CHECKSUMS, verify
from host.doctor.findings import Finding, fail, failed_by, ok, skip, warn
from host.doctor.site import Site
from host.errors import PeelVitError

_PYTHONS = ((3, 10), (3, 12))
_LITTLE_SPACE, _TOO_LITTLE_SPACE = 2 << 30, 200 << 20
"""Bytes: a run of DeiT-T keeps two checkpoints of 92 MB and writes a third beside them."""


def versions(site: Site) -> Finding:
    """Python, numpy and pynq."""
    check = "versions"
    found = {name: _version(name) for name in ("numpy", "pynq", "pycparser")}
    text = f"Python {platform.python_version()}, numpy {found['numpy']}, pynq {found['pynq']}"
    first, last = _PYTHONS
    if not first <= sys.version_info[:2] <= last:
        return fail(check, text, "use Python 3.10 to 3.12, which pynq and this program support")
    if found["pynq"] is None:
        return fail(check, f"{text}: there is no pynq", "pip install pynq==4.0.0, or use the board's own Python")
    if _major(found["numpy"]) >= 2:
        return fail(check, f"{text}: pynq does not work with numpy 2", "pip install 'numpy<2'")
    if not 3 <= _major(found["pynq"]) <= 4:
        return fail(check, f"{text}: only pynq 3 and 4 are supported", "pip install pynq==4.0.0")
    if _major(found["pynq"]) == 3 and found["pycparser"] and _major(found["pycparser"]) >= 3:
        return fail(check, f"{text}: pynq 3 cannot be imported with pycparser 3", "pip install 'pycparser<3'")
    if site.remote and _major(found["pynq"]) < 4:
        return fail(check, f"{text}: a board elsewhere needs pynq 4", "pip install pynq==4.0.0, or work on the board")
    return ok(check, text)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _major(version: str | None) -> int:
    return int((version or "0").split(".")[0])


def root(site: Site) -> Finding:
    """The right to map registers and to load bitstreams."""
    check = "root"
    if site.remote:
        return skip(check, "needed on the board only, where pynq's server runs as root")
    if site.user == 0:
        return ok(check, "this is root")
    return fail(check, "only root may map the board's registers and memory", "sudo -E python3 -m host doctor")


def xrt(site: Site) -> Finding:
    """XRT's environment, without which pynq finds no device and says so only in a warning."""
    check = "XRT"
    if site.remote:
        return skip(check, "the board's server brings its own")
    folder = site.environment.get("XILINX_XRT")
    if not folder:
        cure = "source /etc/profile.d/xrt_setup.sh (sudo needs -E to keep it), or export XILINX_XRT=/usr"
        return fail(check, "the environment variable XILINX_XRT is not set, so pynq finds no device", cure)
    if not os.path.isdir(folder):
        return fail(check, f"XILINX_XRT names {folder}, which is not there", "export XILINX_XRT=/usr, where XRT lies")
    return ok(check, f"XILINX_XRT is {folder}")


def disk(site: Site) -> Finding:
    """Space and the right to write where checkpoints go, and where pynq puts its loaded.xclbin."""
    check = "disk"
    if not os.access(site.here, os.W_OK):
        return fail(
            check, f"{site.here} cannot be written, and pynq writes loaded.xclbin there", "change to another folder"
        )
    free = shutil.disk_usage(site.here).free
    text = f"{free / (1 << 30):.1f} GiB free in {site.here}"
    if free < _TOO_LITTLE_SPACE:
        return fail(
            check, f"{text}, less than a checkpoint and its two copies", "free some space or use --output elsewhere"
        )
    if free < _LITTLE_SPACE:
        return warn(check, f"{text}, enough for a few checkpoints", "free some space or use --output elsewhere")
    return ok(check, text)


def deployment(site: Site) -> Finding:
    """The copied folder against its checksums."""
    check = "files"
    if not (site.folder / CHECKSUMS).is_file():
        return skip(check, f"{site.folder} is no folder of `make deploy`, so there are no checksums")
    try:
        return ok(check, f"{verify(site.folder)} files match their checksums")
    except PeelVitError as error:
        return failed_by(check, error)

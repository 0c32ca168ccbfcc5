"""Checks of the board's memory."""

from __future__ import annotations

import json

from hls.spec.formats import WORD_BYTES
from host.board_files import Files, read_number, read_text
from host.deployment import PROGRAMS
from host.doctor.findings import Finding, fail, ok, skip, warn
from host.doctor.handoff import read_handoff
from host.doctor.site import Site
from host.errors import PeelVitError
from host.layout import plan_layout
from host.memory import megabytes
from host.model import Sparsity, parse_model
from host.tensors import Use

_EDAC = "/sys/devices/system/edac/mc/mc0"
_LOW = 2 << 30
"""Bytes of DDR that lie below 4 GiB; the rest begins at 32 GiB."""

_MODEL, _BATCH = "deit_tiny_patch16_224", 16


def contiguous_memory(site: Site) -> Finding:
    """CMA against what training takes."""
    check = "CMA"
    sizes = meminfo(site.files)
    total, free = sizes.get("CmaTotal"), sizes.get("CmaFree")
    if total is None or free is None:
        cure = "use a kernel with CONFIG_CMA and CONFIG_DMA_CMA, as PYNQ's images have (docs/board.md)"
        return fail(check, "the board's kernel has no contiguous memory", cure)
    need, what = _need(site)
    text = f"{megabytes(free)} of {megabytes(total)} are free, {what} takes {megabytes(need)}"
    if total < need:
        return fail(
            check, text, f"boot with cma={_power_of_two(need) >> 20}M in the kernel's arguments (docs/board.md)"
        )
    if free < need:
        return fail(check, text, "end the programs that hold buffers, or boot again")
    return ok(check, text)


def _need(site: Site) -> tuple[int, str]:
    """Bytes of the largest deployed program's window, or of DeiT-T's training."""
    windows = [json.loads(path.read_text())["window_words"] for path in (site.folder / PROGRAMS).glob("*/*.json")]
    if windows:
        return max(windows) * WORD_BYTES, "the largest deployed program"
    model = parse_model(_MODEL)
    selectors = Sparsity(0.7, 0.6).plan(model).selectors
    try:
        layout = plan_layout(site.config, model, Use(_BATCH, True, selectors=selectors), 1 << 40)
    except PeelVitError:  # a configuration too small for it
        return 16 << 20, "a small model"
    return layout.memory.bytes, f"training {_MODEL} at {_BATCH} images"


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


def high_memory(site: Site) -> Finding:
    """Memory above 4 GiB, which buffers may come from: the design's ports have to reach it."""
    check = "memory above 4 GiB"
    total = meminfo(site.files).get("MemTotal")
    if total is None:
        return skip(check, "the board does not tell its memory (/proc/meminfo)")
    if total <= _LOW:
        return ok(check, f"the board has {megabytes(total)}, all below")
    if site.bitfile is None:
        return skip(check, "there is no bitstream whose ports could be looked at")
    try:
        ports, reaching = read_handoff(site.bitfile.with_suffix(".hwh")).memory_ports
    except PeelVitError:
        return skip(check, "the .hwh cannot be read")
    if reaching < ports or not ports:
        cure = "map S_AXI_HPx_FPD's HPx_DDR_HIGH segment in the block design (vitis_project), or boot with mem=2G"
        return fail(check, f"only {reaching} of {ports} memory ports of the design reach it", cure)
    return ok(
        check, f"{megabytes(total)}, and all {ports} memory ports of the design reach it; addresses take both words"
    )


def flipped_bits(site: Site) -> Finding:
    """ECC's counts since the board was booted."""
    check = "ECC"
    lost, corrected = (read_number(site.files, f"{_EDAC}/{name}") for name in ("ue_count", "ce_count"))
    if lost is None or corrected is None:
        cure = "train without, or use a DIMM with ECC and a kernel with CONFIG_EDAC_SYNOPSYS"
        return warn(check, "nobody counts flipped bits of this memory", cure)
    if lost:
        cure = "boot again, go on from a checkpoint, and replace the DIMM if it comes back"
        return fail(check, f"{lost} flipped bits were not corrected since the board was booted", cure)
    if corrected:
        return warn(check, f"{corrected} flipped bits were corrected", "replace the DIMM if their number grows")
    return ok(check, "no flipped bits since the board was booted")


def meminfo(files: Files) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    lines = (read_text(files, "/proc/meminfo") or "").splitlines()
    parts = [line.replace(":", " ").split() for line in lines]
    return {part[0]: int(part[1]) << 10 for part in parts if len(part) >= 2 and part[1].isdecimal()}

"""Hardware configurations: sizes of the arrays and buffers, validated, hashed.

A configuration is a JSON file in `hls/configs/`. Its hash covers its content and the instruction format; programs carry
it and the accelerator shows it in a register, so a program never runs on hardware it was not compiled for.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hls.spec import instruction, ops
from hls.spec.devices import device_of
from hls.spec.formats import LANES, MAX_CONTRACTION, WORD_BYTES

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SHIPPED = tuple(sorted(path.stem for path in CONFIGS.glob("*.json")))
"""Names of the configurations that come with the source."""
BOARDS = tuple(name for name in SHIPPED if name != "toy")
"""Those of boards; `toy` is for tests."""
LINE_WORDS = 512
"""Words of a buffer of lines: the depth of a block RAM at its widest."""


class ConfigError(ValueError):
    """A hardware configuration that cannot be built; the sentence says which value and why."""


@dataclass(frozen=True)
class HardwareConfig:
    """Sizes of one accelerator. Counts are elements unless the name says otherwise."""

    name: str
    part: str
    """Device, as the vendor tools name it."""
    dsp: int
    """DSP slices of the device."""
    clock_mhz: int
    without: tuple[str, ...]
    """Operations that this accelerator does not have: an instruction with their opcode is refused."""
    row_tile: int
    """Rows of the multiply-accumulate array: output rows a tile, even, at least 8, in at most three words of eight."""
    column_tile: int
    """Columns of the array: output columns a tile, a multiple of 24 (a word for each of the GEMM's three ports)."""
    step_tiles: int
    """Most row tiles of a pass through the GEMM engine's dataflow region that brings rows; others take a panel."""
    step_buffers: int
    """Passes whose operands fit on chip at once, 2 to 5: loading runs ahead by one less."""
    panel_rows: int
    """Most output rows whose part of the first operand stays on chip, a multiple of `row_tile` and of 8."""
    chunk: int
    """Contraction steps that both operands' buffers hold, a multiple of 24."""
    sum_rows: int
    """Rows of `column_tile` sums that each of two memories holds until further chunks come, at least `panel_rows`."""
    max_rows: int
    max_split: int
    """Most class-token rows (images a micro-batch); at most `chunk`."""
    max_contraction: int
    max_columns: int
    """Widest row of the vector unit."""
    max_patches: int
    """Most patches of an image. The rows of two heads' keys or values and of two blocks of queries, `2 * (max_patches +
    1) + 4 * lanes` of them, lie behind each other in attention's largest memories: more than 512 double these."""
    max_heads: int
    max_head_dim: int
    lanes: int
    """Queries (or keys) that attention works on at once, with `lanes * max_head_dim` multipliers of its own."""
    update_lanes: int
    """Weights that the GEMM engine's update makes in a cycle, 4 or 8. The memory of a ZCU102 moves what five of them
    take."""
    max_slots: int
    read_latency: int
    """Cycles from a read request to its first word."""
    write_latency: int
    """Cycles from a burst's last word to the memory's response."""
    burst_words: int
    """Most words of a burst."""
    outstanding: int
    """Bursts that a port keeps in flight, in each direction."""
    ddr_mega_transfers: int
    """Data rate of the board's memory in millions of transfers a second."""
    ddr_bytes: int
    """Bytes of a transfer: the memory's width."""
    ddr_burst: int
    """Transfers of the memory's own burst: what it moves at least."""
    ddr_percent: int
    """Part of the peak rate that is reached."""

    @property
    def operations(self) -> tuple[ops.Op, ...]:
        """The rows of the op table that this accelerator runs."""
        return tuple(op for op in ops.OPS if op.name not in self.without)

    @property
    def ports(self) -> int:
        """Memory masters over which the GEMM engine cuts its matrices; the system has more (`MEMORY_PORTS`)."""
        return 3

    @property
    def max_tokens(self) -> int:
        """Class token and patches of one image."""
        return self.max_patches + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates a cycle: two in each cell of the array, one in each multiplier of the attention unit."""
        return 2 * self.row_tile * self.column_tile + self.lanes * self.max_head_dim

    @property
    def multipliers(self) -> int:
        """DSP slices that make them: cells, those beside the rows and columns of the array, and attention's own."""
        cells = self.row_tile * self.column_tile + self.row_tile + self.column_tile
        return cells + self.lanes * self.max_head_dim

    @property
    def key_words(self) -> int:
        """Words that a row over all keys takes on chip: a power of two, whose multiples are cheap, unless that is more
        than a quarter longer."""
        words = -(-(-(-self.max_tokens // self.lanes) * self.lanes) // LANES)
        power = 1 << (words - 1).bit_length()
        return power if 4 * power <= 5 * words else words

    @property
    def moves_rows(self) -> bool:
        """Whether a port moves whole rows of a weight that its gradient updates at once, where the update keeps up with
        the memory: thirds of a row are shorter than what the memory moves at least."""
        return self.update_lanes == LANES and self.column_tile // LANES // self.ports % self.ddr_burst_words != 0

    @property
    def update_columns(self) -> int:
        """Columns of a tile whose rows move so: as many as fill whole bursts of the memory, if these are at least three
        quarters of a column tile, else all."""
        step = LANES * self.ddr_burst_words
        whole = self.column_tile // step * step
        return whole if self.moves_rows and 4 * whole >= 3 * self.column_tile else self.column_tile

    @property
    def weight_words(self) -> int:
        """Most words of weights that a port moves in a pass that updates: thirds of all rows, or every third row."""
        third = self.column_tile // LANES // self.ports
        rows = self.update_tiles * self.row_tile
        whole = -(-rows // self.ports) * self.update_columns // LANES
        return max(rows * third, whole) if self.moves_rows else rows * third

    @property
    def deep_memory(self) -> str:
        """What holds memories that are much deeper or wider than a block RAM: URAM, where the device has it."""
        device = device_of(self.part)
        return "uram" if device is not None and device.has.uram else "bram"

    @property
    def word_fifos(self) -> str:
        """What holds short FIFOs of words: LUTs, unless the device has rather block RAM to spare."""
        return "bram" if self.deep_memory == "bram" else "srl"

    @property
    def tile_words(self) -> int:
        """Words of eight rows that hold a row tile, which may begin inside of one."""
        return -(-(self.row_tile + LANES - self.row_grain) // LANES)

    @property
    def row_grain(self) -> int:
        """Rows that the place of a row tile in a word of eight is a multiple of."""
        return math.gcd(self.row_tile, LANES)

    @property
    def line_tiles(self) -> int:
        """Most row tiles of a pass whose epilogue reads a line a row: what a block RAM holds, at least `step_tiles`."""
        fit = (LINE_WORDS // (self.column_tile // LANES // self.ports) - 1) // self.row_tile
        return min(self.panel_rows // self.row_tile, max(self.step_tiles, fit))

    @property
    def update_tiles(self) -> int:
        """Most row tiles of a pass whose epilogue updates weights: a block RAM holds the momenta of two passes,
        or a part of each eight that an update takes at once."""
        parts = LANES // self.update_lanes
        fit = LINE_WORDS // (2 * parts * self.row_tile * (self.column_tile // LANES // self.ports))
        return max(1, min(self.panel_rows // self.row_tile // 2, self.step_tiles, fit))

    @property
    def update_shares(self) -> tuple[int, ...]:
        """By the row tiles that a panel has left, those of the next pass that updates weights: as few passes as there
        can be, each as long as the others. Entries up to a power of two, so that any count of its bits is one."""
        counts = range(1 << (self.panel_rows // self.row_tile).bit_length())
        return tuple(-(-count // max(1, -(-count // self.update_tiles))) for count in counts)

    @property
    def column_pairs(self) -> int:
        """Pairs of contraction steps that the FIFOs of new column tiles hold: at least those of a block RAM."""
        return max(self.chunk // 2, LINE_WORDS)

    @property
    def kept_pairs(self) -> int:
        """Those of column tiles that stay on chip over panels: the new ones of a pass find room at once."""
        return self.column_pairs

    @property
    def panel_groups(self) -> int:
        """Groups of a word for each port that hold a panel's rows."""
        return self._last_group(self.panel_rows // self.row_tile - 1) + 1

    @property
    def step_groups(self) -> int:
        """Those that hold what any pass brings, in rounds of a word for each port; the first pass may be one tile."""
        tiles, most = self.panel_rows // self.row_tile, 0
        for start in {*range(0, tiles, self.step_tiles), *range(1, tiles, self.step_tiles)}:
            end = min(tiles, start + self.step_tiles)
            first, last = (-(-tile * self.row_tile // LANES) for tile in (start, end))
            written = (first + -(-(last - first) // self.ports) * self.ports - 1) // self.ports
            most = max(most, max(written, self._last_group(end - 1)) - first // self.ports + 1)
        return most

    def _last_group(self, tile: int) -> int:
        """Group of the last word that a tile of the panel reads."""
        return (tile * self.row_tile // LANES + self.tile_words - 1) // self.ports

    @property
    def ddr_burst_words(self) -> int:
        """Words that the memory moves at least."""
        return max(1, self.ddr_burst * self.ddr_bytes // WORD_BYTES)

    @property
    def ddr_words_per_thousand_cycles(self) -> int:
        """What the memory moves for all ports together, reads and writes."""
        rate = self.ddr_mega_transfers * self.ddr_bytes * self.ddr_percent  # MB/s, times 100
        return rate * 10 // (WORD_BYTES * self.clock_mhz)

    @property
    def limits(self) -> dict[str, int]:
        """The limits that the op table names."""
        sizes = {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith("max_")}
        return sizes | {"max_tokens": self.max_tokens, "max_segments": 3, "max_exponent_bits": 31, "max_margin": 8}

    @property
    def hash(self) -> int:
        """64 bits over the configuration and the instruction format."""
        table = [[op.name, op.opcode, op.dimensions, op.immediates, op.flags] for op in ops.OPS]
        content = json.dumps([asdict(self), instruction.VERSION, table], sort_keys=True)
        return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "little")


def check(config: HardwareConfig) -> None:
    """`ConfigError` with the first size that is not legal."""

    def need(condition: bool, sentence: str) -> None:
        if not condition:
            raise ConfigError(f"configuration {config.name}: {sentence}")

    for f in fields(config):
        value = getattr(config, f.name)
        if f.type == "int":
            need(type(value) is int and value > 0, f"{f.name} must be a positive integer, not {value!r}")
    unknown = sorted(set(config.without) - set(ops.BY_NAME))
    need(not unknown, f"without names operations that do not exist: {', '.join(unknown)}")
    need(not {"end", "exponent_update"} & set(config.without), "every accelerator has end and exponent_update")
    for name in ("panel_rows", "max_contraction", "max_head_dim", "max_columns"):
        need(getattr(config, name) % LANES == 0, f"{name} must be a multiple of {LANES}, the elements of a memory word")
    wave = LANES * config.ports  # elements that all ports bring together
    for name in ("column_tile", "chunk"):
        need(getattr(config, name) % wave == 0, f"{name} must be a multiple of {wave}")
    need(config.row_tile % 2 == 0 and config.row_tile >= LANES, f"row_tile must be even and at least {LANES}")
    need(
        config.tile_words <= config.ports, f"row_tile {config.row_tile} must lie in {config.ports} words of eight rows"
    )
    need(
        config.row_tile * config.column_tile <= 255 * wave,
        f"row_tile times column_tile must be at most {255 * wave}: a row tile's words a port are counted in eight bits",
    )
    need(2 <= config.step_buffers <= 5, "step_buffers must be between 2 and 5")
    need(config.panel_rows % config.row_tile == 0, "panel_rows must be a multiple of row_tile")
    need(config.sum_rows >= config.panel_rows, "sum_rows must be at least panel_rows")
    need(config.lanes in (4, 8, 12, 16), "lanes must be 4, 8, 12 or 16: halves of them fill and empty memory words")
    need(config.update_lanes in (4, 8), "update_lanes must be 4 or 8: half of a word of weights or a whole one")
    need(config.max_head_dim >= 3 * LANES, f"max_head_dim must be at least {3 * LANES}: a word for each port")
    need(config.max_split <= config.chunk, "max_split must not exceed chunk: class-token rows are summed in one pass")
    need(
        config.max_contraction < MAX_CONTRACTION,
        f"max_contraction must stay below {MAX_CONTRACTION}: 48-bit sums would wrap",
    )
    need(config.ddr_percent <= 100, "ddr_percent must be at most 100")
    need(config.max_patches < 1 << 15, "max_patches must be below 32768: token indices are 16 bits")
    need(
        config.multipliers <= config.dsp,
        f"{config.multipliers} multipliers do not fit the {config.dsp} DSP slices of {config.part}",
    )


def resized(config: HardwareConfig, sizes: Mapping[str, int], name: str = "") -> HardwareConfig:
    """A configuration with other sizes, not yet checked."""
    changed: dict[str, Any] = {**vars(config), **sizes, "name": name or config.name}
    return HardwareConfig(**changed)


def load(name: str | Path) -> HardwareConfig:
    """A shipped configuration by name, or any JSON file by path; `ConfigError` says what does not fit."""
    path = Path(name) if str(name).endswith(".json") else CONFIGS / f"{name}.json"
    if not path.is_file():
        raise ConfigError(f"there is no hardware configuration {name}; the shipped ones are {', '.join(SHIPPED)}")
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from None
    known = {f.name for f in fields(HardwareConfig)}
    if set(content) != known:
        raise ConfigError(f"{path}: missing {sorted(known - set(content))}, unknown {sorted(set(content) - known)}")
    names = content["without"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: without must be a list of operations, not {names!r}")
    config = HardwareConfig(**content | {"without": tuple(names)})
    check(config)
    return config

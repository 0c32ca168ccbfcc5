"""The walk of the GEMM engine through the steps of an instruction, as in hls/templates/gemm/walk.hpp.j2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES

BURST = 8
"""Words of a row that a transposing load reads at once, and rows that it reads them of."""
MOST_HELD_TILES = 3
"""Column tiles that a linear layer brings for the next one at most."""


@dataclass(frozen=True)
class Shape:
    """Of one instruction: output rows and columns, contraction, and what the epilogue moves."""

    op: str
    rows: int
    columns: int
    segments: tuple[int, ...]
    """Lengths of the parts of the contraction with fractions of their own."""
    flags: frozenset[str]
    adds_class_row: bool = False
    """Its products are addends, not a part of the contraction."""
    parts: int = 1
    """Equal parts of the columns, which no column tile crosses."""
    has_rows: bool = False
    """Of the first operand: they may be on chip from the instruction before."""
    has_columns: bool = False
    """Of the second operand likewise: all of a weight gradient's, the first ones of weights."""
    next_columns: int = 0
    """Output columns of a later instruction whose first weights come ahead; 0 if none do."""
    next_length: int = 0
    """Its contraction steps."""


class Sizes(NamedTuple):
    """What of a configuration the engine's cycles depend on."""

    row_tile: int
    column_tile: int
    step_tiles: int
    line_tiles: int
    update_shares: tuple[int, ...]
    moves_rows: bool
    update_columns: int
    step_buffers: int
    panel_rows: int
    chunk: int
    kept_pairs: int
    column_pairs: int
    sum_rows: int
    update_lanes: int
    ports: int
    read_latency: int
    write_latency: int
    outstanding: int
    ddr_burst_words: int
    ddr_words_per_thousand_cycles: int


class Block(NamedTuple):
    """What one pass through the region works on (`GemmStep` of the kernels)."""

    tiles: int
    row: int
    rows: int
    reached: int
    """Rows of the panel up to its last one."""
    columns: int
    """Of a column tile."""
    column_tiles: int
    new_tiles: int
    """Column tiles that are loaded, the last ones."""
    length: int
    """Contraction steps."""
    loads_rows: bool
    closes: bool
    makes_bias_gradient: bool
    has_begun: bool = False
    """Whether the pass before has read the first words of its operands."""


def shape_of(op: str, d: dict[str, int], flags: frozenset[str]) -> Shape:
    """From an instruction's dimensions."""
    if op == "gemm_tn":
        adds_class_row = d["split"] == 1 and d["rows"] > 1 and "ACCUMULATE" not in flags
        kinds = (d["rows"] - d["split"], 0 if adds_class_row else d["split"])  # class rows last
        lengths = tuple(rows for rows in kinds if rows)
        return Shape(op, d["n"], d["k"], lengths, flags, adds_class_row, has_columns="SAME_X" in flags)
    segments = d.get("segments", 1) if op == "gemm_nn" else 1
    parts = d["n"] // d["part"] if op == "gemm_nt" else 1
    lengths = (d["k"] // segments,) * segments
    return Shape(
        op, d["rows"], d["n"], lengths, flags, parts=parts,
        has_rows=bool(flags & {"SAME_X", "SAME_DY"}), has_columns="LOADED_W" in flags,
        next_columns=d.get("next_n", 0), next_length=d.get("next_k", 0),
    )  # fmt: skip


def sizes_of(config: HardwareConfig) -> Sizes:
    """Those of a configuration."""
    return Sizes(*(getattr(config, name) for name in Sizes._fields))


def blocks(shape: Shape, sizes: Sizes) -> Iterator[Block]:
    """Those of the instruction, and of the weights of the next one; loads go on from pass to pass where they may."""
    before = None
    for block in (*_walk(shape, sizes), *_next_weights(shape, sizes)):
        goes_on = shape.op == "gemm_nt" and before is not None and _goes_on(before, block)
        yield block._replace(has_begun=goes_on)
        before = block


def _goes_on(before: Block, block: Block) -> bool:
    """Whether a load also reads what the next one begins with, while it writes its own last words."""
    return all((one.loads_rows or one.new_tiles) and is_long(one) for one in (before, block))


def is_long(block: Block) -> bool:
    """Whether a row of it fills the bursts of a load."""
    return block.length > LANES * (BURST - 1)


def _next_weights(shape: Shape, sizes: Sizes) -> Iterator[Block]:
    """Passes that bring the first column tiles of a later instruction."""
    if not shape.next_columns:
        return
    length = next(_chunks(shape.next_length, sizes.chunk))
    for tile in range(_tiles_ahead(sizes, length, shape.next_columns)):
        columns = min(sizes.column_tile, shape.next_columns - tile * sizes.column_tile)
        yield Block(1, 0, 0, 0, columns, 1, 1, length, False, False, False)


def _tiles_ahead(sizes: Sizes, length: int, columns: int) -> int:
    """Column tiles of weights that have room beside each other; one, if there are no two whole ones."""
    tiles = math.ceil(columns / sizes.column_tile)
    most = MOST_HELD_TILES if columns >= 2 * sizes.column_tile else 1
    return max(1, min(tiles, sizes.kept_pairs // pairs(length), most))


class Plan(NamedTuple):
    """What the walk of an instruction keeps to."""

    chunks: list[int]
    """Their lengths, of all segments."""
    widths: list[int]
    """Columns of each column tile."""
    has_rows: bool
    """All rows of the first operand are on chip."""
    held_tiles: int
    """Column tiles that are, before the first pass."""
    keeps_columns: bool
    """All have room beside each other."""


def _plan(shape: Shape, sizes: Sizes) -> Plan:
    chunks = [length for part in shape.segments for length in _chunks(part, sizes.chunk)]
    widths = _widths(shape, sizes)
    has_rows = shape.has_rows and len(chunks) == 1 and shape.rows <= sizes.panel_rows
    keeps_columns = len(chunks) == 1 and len(widths) * pairs(chunks[0]) <= sizes.kept_pairs
    return Plan(chunks, widths, has_rows, _held_tiles(shape, sizes, chunks, len(widths)), keeps_columns)


def _walk(shape: Shape, sizes: Sizes) -> Iterator[Block]:
    """From the outermost loop: panels of rows, groups of column tiles, chunks, column tiles, blocks of row tiles."""
    plan = _plan(shape, sizes)
    sums_rows = shape.op == "gemm_tn" and "BIAS" in shape.flags
    is_first = not plan.has_rows
    for panel in range(0, shape.rows, sizes.panel_rows):
        rows = min(sizes.panel_rows, shape.rows - panel)
        of_panel = math.ceil(rows / sizes.row_tile)
        for group in _groups(shape, sizes, plan, rows):
            for place, count in enumerate(plan.chunks):
                closes = place == len(plan.chunks) - 1
                for tile, together in _column_steps(shape, sizes, plan, group, closes):
                    brings_rows = tile == group.start and not plan.has_rows
                    shares = _shares(shape, sizes, closes, brings_rows, of_panel)
                    for first, end in _row_steps(of_panel, shares, is_first):
                        row, reached = first * sizes.row_tile, min(end * sizes.row_tile, rows)
                        new = 0 if first else _new_tiles(plan, tile, together, panel == 0, place == 0)
                        block = Block(
                            end - first, panel + row, reached - row, reached, plan.widths[tile], together, new, count,
                            False, closes, sums_rows and tile == 0 and closes,
                        )  # fmt: skip
                        yield block._replace(loads_rows=brings_rows and new_words(block) > 0)
                    is_first = False


def _column_steps(shape: Shape, sizes: Sizes, plan: Plan, group: range, closes: bool) -> Iterator[tuple[int, int]]:
    """Column tiles of a group, one or two at once: the first tile, and how many."""
    tile = group.start
    while tile < group.stop:
        brings_rows = tile == group.start and not plan.has_rows
        takes_two = not brings_rows and _may_take_two(shape, sizes, plan.chunks, closes)
        together = 2 if takes_two and _are_alike(shape, sizes, plan.widths, tile, group.stop) else 1
        yield tile, together
        tile += together


def _row_steps(of_panel: int, shares: Sequence[int], is_first: bool) -> Iterator[tuple[int, int]]:
    """Ranges of the panel's row tiles that a pass takes, by how many are left; the first of all takes one."""
    first = 0
    while first < of_panel:
        end = first + (1 if is_first and first == 0 else shares[of_panel - first])
        yield first, end
        first = end


def _new_tiles(plan: Plan, tile: int, together: int, is_first_panel: bool, is_first_chunk: bool) -> int:
    """Column tiles of a pass that are loaded, the last ones."""
    if not is_first_panel:
        return 0 if plan.keeps_columns else together
    return min(together, max(0, tile + together - plan.held_tiles)) if is_first_chunk else together


def _may_take_two(shape: Shape, sizes: Sizes, chunks: list[int], closes: bool) -> bool:
    """Whether a pass over a panel may take two column tiles: both have room, and no line is read beside each row."""
    longest = chunks[0] if len(chunks) == 1 else sizes.chunk
    has_lines = closes and "RESIDUAL" in shape.flags
    return shape.op == "gemm_nt" and 2 * pairs(longest) <= sizes.column_pairs and not has_lines


def _are_alike(shape: Shape, sizes: Sizes, widths: list[int], tile: int, end: int) -> bool:
    """Whether a column tile and the one behind it are whole ones of one part and one group."""
    of_part = len(widths) // shape.parts
    return tile + 1 < end and (tile + 1) % of_part != 0 and widths[tile + 1] == sizes.column_tile


def _held_tiles(shape: Shape, sizes: Sizes, chunks: list[int], tiles: int) -> int:
    """Column tiles that are on chip before the first pass."""
    if not shape.has_columns:
        return 0
    if shape.op == "gemm_tn":
        return tiles if len(chunks) == 1 and tiles * pairs(chunks[0]) <= sizes.kept_pairs else 0
    return _tiles_ahead(sizes, chunks[0], shape.columns // shape.parts)


def _shares(shape: Shape, sizes: Sizes, closes: bool, brings_rows: bool, of_panel: int) -> Sequence[int]:
    """By the row tiles that a panel has left, those of the next pass."""
    if closes and "UPDATE" in shape.flags:
        return sizes.update_shares
    most = _most_tiles(shape, sizes, closes, brings_rows, of_panel)
    return [min(most, rest) for rest in range(of_panel + 1)]


def _most_tiles(shape: Shape, sizes: Sizes, closes: bool, brings_rows: bool, of_panel: int) -> int:
    """Row tiles of a pass, by what the buffers of its rows, or of what the epilogue reads, hold."""
    if brings_rows:
        return sizes.step_tiles
    lines = shape.flags & {"RESIDUAL", "GELU_BACKWARD", "ACCUMULATE"}
    if not closes or not lines:
        return of_panel
    has_two = "ACCUMULATE" in lines or len(lines) == 2
    return sizes.line_tiles if has_two else min(of_panel, 2 * sizes.line_tiles)


def _widths(shape: Shape, sizes: Sizes) -> list[int]:
    """Columns of each column tile; the last one of a part may be narrow."""
    part, tile = shape.columns // shape.parts, sizes.update_columns if moves_rows(shape, sizes) else sizes.column_tile
    return [min(tile, part - first) for first in range(0, part, tile)] * shape.parts


def _groups(shape: Shape, sizes: Sizes, plan: Plan, rows: int) -> Iterator[range]:
    """Column tiles of each group: as many as find room for their sums, or all."""
    holds_both = any(length > sizes.chunk for length in shape.segments[1:])
    room = (1 if holds_both else 2) * sizes.sum_rows * sizes.column_tile // LANES
    start = taken = 0
    for tile, columns in enumerate(plan.widths):
        words = rows * sizes.ports * port_words(sizes, columns)
        if len(plan.chunks) > 1 and tile > start and taken + words > room:
            yield range(start, tile)
            start, taken = tile, 0
        taken += words
    yield range(start, len(plan.widths))


def moves_rows(shape: Shape, sizes: Sizes) -> bool:
    """Whether ports move whole rows of the column tiles, each every third one, and not thirds of them."""
    is_update = "UPDATE" in shape.flags and "ACCUMULATE" not in shape.flags
    chunks = [length for part in shape.segments for length in _chunks(part, sizes.chunk)]
    return sizes.moves_rows and is_update and len(chunks) == 1


def pairs(steps: int) -> int:
    """Contraction steps are taken two at once."""
    return math.ceil(steps / 2)


def _chunks(part: int, chunk: int) -> Iterator[int]:
    """Lengths of a segment's chunks; the last two share what is left."""
    while part > 0:
        length = min(chunk, part)
        if chunk < part < 2 * chunk:
            length = math.ceil(math.ceil(part / 2) / LANES) * LANES
        yield length
        part -= length


def new_words(block: Block) -> int:
    """Words of eight rows that no earlier pass of the panel has brought."""
    return math.ceil((block.row + block.rows) / LANES) - math.ceil(block.row / LANES)


def port_words(sizes: Sizes, columns: int) -> int:
    """Words of a row of a column tile that each port moves."""
    return math.ceil(math.ceil(columns / LANES) / sizes.ports)

"""Cycles of a GEMM instruction from the sizes of the engine: its walk of steps, scheduled task by task.

The walk, the iterations and the words of each loop are those of hls/templates/gemm; when a task starts, and when
streams and memory hold it up, those of hls/include/model.hpp. What a task costs beside is fitted to the C simulation
(`calibrate.py`), so the model follows the sizes, and the fit follows the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES

BURST = 8
"""Words of a row that a transposing load reads at once, and rows that it reads them of."""
MULTIPLY_DEPTH = 12
FINISH_DEPTH = 28
"""Cycles from a sum to its word."""
PASS_DEPTH = 2
UPDATE_DEPTH = 40
"""Cycles from a word to where it is written, as it is or with the weight that it updates."""
STORE_DEPTH = 4
MOST_HELD_TILES = 3
"""Column tiles that a linear layer brings for the next one at most."""
HANDSHAKE = 2
WIDE_LANES = LANES // 2


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
    update_tiles: int
    step_buffers: int
    panel_rows: int
    chunk: int
    kept_pairs: int
    column_pairs: int
    sum_rows: int
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


class Moved(NamedTuple):
    """Cycles of loops that move words, the cycles that they keep a port's stream busy, and the words of the memory."""

    cycles: float = 0
    busy: float = 0
    words: float = 0


class Draw(NamedTuple):
    """How the multipliers empty the FIFO of columns: a word a cycle, from each of so many column tiles."""

    late: int = 0
    """Cycles behind their start."""
    words: int = 0
    """Of a column tile."""
    tiles: int = 0
    apart: int = 0
    """Cycles from one tile to the next."""

    def when(self, taken: int) -> int:
        """Cycles from their start until so many words have left."""
        before = (taken - 1) // self.words
        return self.late + before * self.apart + taken - before * self.words


class Step(NamedTuple):
    """Cycles of the tasks of a pass through the region, and what streams and memory need for it."""

    load: Moved
    multiply: int
    finish: int
    update: int
    store: Moved
    first: int
    """From the start of `multiply` to its first sums."""
    last: int
    """From its end to that of `finish`."""
    passing: int
    """From a word's start in `update` to its end there."""
    stocks: bool
    """Whether states are loaded."""
    draw: Draw = Draw()


class Fit(NamedTuple):
    """Of one form: what words loaded and stored cost by what they should, and cycles of a task and an instruction."""

    load: float = 1
    store: float = 1
    task: float = 0
    instruction: float = 0


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


def cycles(shape: Shape, config: HardwareConfig, fit: Fit) -> float:
    """Of an instruction."""
    return region(shape, sizes_of(config), fit[:3]) + fit.instruction


@cache
def region(shape: Shape, sizes: Sizes, fit: tuple[float, float, float]) -> float:
    """Of all passes through the dataflow region.

    A task starts when the one before has ended this pass (or feeds it, where a FIFO is between them), itself the last
    one, and the one behind it the pass whose block it overwrites. The last task that uses a stream or the memory ends
    when that has served the pass.
    """
    load_scale, store_scale, task = fit
    beats = sizes.column_tile // LANES
    store_tail = 2 * beats // sizes.ports + STORE_DEPTH + sizes.write_latency
    rate = sizes.ddr_words_per_thousand_cycles / 1000
    # Ends of the tasks, the latest pass first: the multipliers' of as many passes as operands fit on chip.
    load = finish = update = store = finish_before = update_before = store_before = 0.0
    multiply = [0.0] * sizes.step_buffers
    draws: list[tuple[float, Draw]] = []  # of the last passes, the latest first, and when they began
    read = write = memory = 0.0  # when these have served all passes so far
    for step in steps(shape, sizes):
        loading = load_scale * step.load.cycles
        load_start = max(load, multiply[-1])
        load_end = load_start + loading + task * (loading > 0)
        if step.stocks:
            load_end = max(load_end, update_before)
        load_end = max(load_end, _room(step.draw, draws, sizes.column_pairs))
        multiply_start = max(load_end, multiply[0], finish_before)
        multiply_end = multiply_start + step.multiply + task
        draws = [(multiply_start, step.draw), *draws[:1]]
        finish_start = max(multiply_start + step.first, finish, update_before)
        finish_end = max(finish_start + step.finish + task, multiply_end + step.last)
        update_start = max(finish_start + FINISH_DEPTH + beats, update, store_before)
        update_end = max(update_start + step.update + task, finish_end + step.passing)
        store_start = max(update_start + step.passing, store)
        storing = store_scale * step.store.cycles
        store_end = store_start
        if storing:
            store_end = max(store_start + storing + task, update_end + store_tail)
        update_end = max(update_end, store_end - store_tail)
        finish_end = max(finish_end, update_end - step.passing)
        multiply_end = max(multiply_end, finish_end - step.last)
        delay = 0.0
        if loading:
            read = max(read, load_start) + step.load.busy
            delay = max(delay, read - load_end)
        if storing:
            write = max(write, store_start) + step.store.busy
            delay = max(delay, write - store_end)
        if loading or storing:
            memory = max(memory, load_start if loading else store_start) + (step.load.words + step.store.words) / rate
            delay = max(delay, memory - (store_end if storing else load_end))
        finish_before, update_before, store_before = finish, update, store
        load, finish, update, store = (end + delay for end in (load_end, finish_end, update_end, store_end))
        multiply = [multiply_end + delay, *multiply[:-1]]
    return max(load, finish, store)


def _room(draw: Draw, draws: list[tuple[float, Draw]], room: int) -> float:
    """When the FIFO of columns has room for those of the next pass."""
    found, waiting = 0.0, draw.words * draw.tiles
    for began, before in draws if waiting else []:
        here = before.words * before.tiles
        if here and waiting + here > room:
            found = max(found, began + before.when(min(here, waiting + here - room)))
        waiting += here
    return found


@cache
def steps(shape: Shape, sizes: Sizes) -> tuple[Step, ...]:
    """All steps of an instruction, in order."""
    known: dict[Block, Step] = {}
    found = []
    for block in _blocks(shape, sizes):
        key = block._replace(row=block.row % LANES)
        if key not in known:
            known[key] = _step(shape, sizes, key)
        found.append(known[key])
    return tuple(found)


def _blocks(shape: Shape, sizes: Sizes) -> Iterator[Block]:
    """Those of the instruction, and of the weights of the next one; loads go on from pass to pass where they may."""
    before = None
    for block in (*_walk(shape, sizes), *_next_weights(shape, sizes)):
        goes_on = shape.op == "gemm_nt" and before is not None and _goes_on(before, block)
        yield block._replace(has_begun=goes_on)
        before = block


def _goes_on(before: Block, block: Block) -> bool:
    """Whether a load also reads what the next one begins with, while it writes its own last words."""
    return all((one.loads_rows or one.new_tiles) and _is_long(one) for one in (before, block))


def _is_long(block: Block) -> bool:
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
    return max(1, min(tiles, sizes.kept_pairs // _pairs(length), most))


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
    keeps_columns = len(chunks) == 1 and len(widths) * _pairs(chunks[0]) <= sizes.kept_pairs
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
                    most = _most_tiles(shape, sizes, closes, brings_rows, of_panel)
                    for first, end in _row_steps(of_panel, most, is_first):
                        row, reached = first * sizes.row_tile, min(end * sizes.row_tile, rows)
                        new = 0 if first else _new_tiles(plan, tile, together, panel == 0, place == 0)
                        block = Block(
                            end - first, panel + row, reached - row, reached, plan.widths[tile], together, new, count,
                            False, closes, sums_rows and tile == 0 and closes,
                        )  # fmt: skip
                        yield block._replace(loads_rows=brings_rows and _new_words(block) > 0)
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


def _row_steps(of_panel: int, most: int, is_first: bool) -> Iterator[tuple[int, int]]:
    """Ranges of the panel's row tiles that a pass takes; the first pass of all takes one."""
    first = 0
    while first < of_panel:
        end = min(of_panel, first + (1 if is_first and first == 0 else most))
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
    return shape.op == "gemm_nt" and 2 * _pairs(longest) <= sizes.column_pairs and not has_lines


def _are_alike(shape: Shape, sizes: Sizes, widths: list[int], tile: int, end: int) -> bool:
    """Whether a column tile and the one behind it are whole ones of one part and one group."""
    of_part = len(widths) // shape.parts
    return tile + 1 < end and (tile + 1) % of_part != 0 and widths[tile + 1] == sizes.column_tile


def _held_tiles(shape: Shape, sizes: Sizes, chunks: list[int], tiles: int) -> int:
    """Column tiles that are on chip before the first pass."""
    if not shape.has_columns:
        return 0
    if shape.op == "gemm_tn":
        return tiles if len(chunks) == 1 and tiles * _pairs(chunks[0]) <= sizes.kept_pairs else 0
    return _tiles_ahead(sizes, chunks[0], shape.columns // shape.parts)


def _most_tiles(shape: Shape, sizes: Sizes, closes: bool, brings_rows: bool, of_panel: int) -> int:
    """Row tiles of a pass, by what the buffers of its rows, or of what the epilogue reads, hold."""
    if closes and "UPDATE" in shape.flags:
        return sizes.update_tiles
    if brings_rows:
        return sizes.step_tiles
    if closes and shape.flags & {"GELU_BACKWARD", "ACCUMULATE"}:
        return sizes.line_tiles
    return min(of_panel, 2 * sizes.line_tiles) if closes and "RESIDUAL" in shape.flags else of_panel


def _widths(shape: Shape, sizes: Sizes) -> list[int]:
    """Columns of each column tile; the last one of a part may be narrow."""
    part, tile = shape.columns // shape.parts, sizes.column_tile
    return [min(tile, part - first) for first in range(0, part, tile)] * shape.parts


def _groups(shape: Shape, sizes: Sizes, plan: Plan, rows: int) -> Iterator[range]:
    """Column tiles of each group: as many as find room for their sums, or all."""
    holds_both = any(length > sizes.chunk for length in shape.segments[1:])
    room = (1 if holds_both else 2) * sizes.sum_rows * sizes.column_tile // LANES
    start = taken = 0
    for tile, columns in enumerate(plan.widths):
        words = rows * sizes.ports * _port_words(sizes, columns)
        if len(plan.chunks) > 1 and tile > start and taken + words > room:
            yield range(start, tile)
            start, taken = tile, 0
        taken += words
    yield range(start, len(plan.widths))


def _pairs(steps: int) -> int:
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


def _step(shape: Shape, sizes: Sizes, block: Block) -> Step:
    last_rows = block.rows - (block.tiles - 1) * sizes.row_tile
    words = _port_words(sizes, block.columns)
    turn = max(_pairs(block.length), sizes.row_tile * words)
    multiply = block.column_tiles * block.tiles * turn + last_rows * words + MULTIPLY_DEPTH + HANDSHAKE
    beats = sizes.ports * _port_words(sizes, block.columns)
    lines = block.rows + (block.closes and "BIAS" in shape.flags and shape.op != "gemm_tn")
    finish = block.column_tiles * lines * beats + FINISH_DEPTH + HANDSHAKE
    updates = block.closes and "UPDATE" in shape.flags
    passing = UPDATE_DEPTH if updates else PASS_DEPTH
    update = block.column_tiles * block.rows * beats * (1 + updates) + passing + HANDSHAKE if block.closes else 0
    last = last_rows * (sizes.column_tile // LANES) + FINISH_DEPTH
    load, store = _total(_load(shape, sizes, block)), _total(_store(shape, sizes, block))
    apart = block.tiles * turn
    late = (block.column_tiles - block.new_tiles) * apart
    draw = Draw(late, _pairs(block.length), block.new_tiles, apart) if block.new_tiles else Draw()
    return Step(load, multiply, finish, update, store, turn + MULTIPLY_DEPTH, last, passing, updates, draw)


def _load(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """The loops of `load`."""
    words = _port_words(sizes, block.columns)
    turns_columns = shape.op == "gemm_nt" and block.new_tiles
    turns_rows = shape.op != "gemm_tn" and block.loads_rows
    rounds = (block.new_tiles * words if turns_columns else 0) + (turns_rows and _row_rounds(sizes, block))
    lines = list(_lines(shape, sizes, block))
    if rounds:
        blocks = math.ceil(math.ceil(block.length / LANES) / BURST)
        yield _as_one([_turned(sizes, rounds * blocks + (not block.has_begun), block), *lines])
    if block.new_tiles and not turns_columns:
        yield _bursts(sizes, block.length, words)
    if block.loads_rows and not turns_rows:
        yield _bursts(sizes, math.ceil(block.length / sizes.ports), _new_words(block))
    if lines and not rounds:
        yield _as_one(lines)
    if block.closes and shape.op == "gemm_tn":
        yield from _load_beside_gradients(shape, sizes, block)
    if block.closes and "GELU_BACKWARD" in shape.flags:
        yield _bursts(sizes, block.rows, words)


def _lines(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """Bias and residual."""
    words = block.column_tiles * _port_words(sizes, block.columns)
    if block.closes and shape.op != "gemm_tn":
        count = ("BIAS" in shape.flags) + block.rows * ("RESIDUAL" in shape.flags)
        if count:
            yield _bursts(sizes, count, words)


def _load_beside_gradients(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """Old gradients; in one loop class rows and states."""
    words = _port_words(sizes, block.columns)
    if "ACCUMULATE" in shape.flags:
        yield _bursts(sizes, block.rows, 2 * words)
        if block.makes_bias_gradient:
            yield _bursts(sizes, 1, _words_of_rows(block, WIDE_LANES))
    beside = []
    if shape.adds_class_row:
        beside += [_bursts(sizes, 1, words), _bursts(sizes, 1, _words_of_rows(block, LANES))]
    if "UPDATE" in shape.flags:
        beside.append(_bursts(sizes, block.rows, 4 * words))
    if beside:
        yield _as_one(beside)


def _as_one(loops: list[Moved]) -> Moved:
    """Loops as one, which waits for its first word once."""
    busy = sum(loop.busy for loop in loops)
    return Moved(busy + loops[0].cycles - loops[0].busy, busy, sum(loop.words for loop in loops))


def _words_of_rows(block: Block, lanes: int) -> int:
    """Words that have an element a row of the panel, at the step's rows."""
    return math.ceil(block.reached / lanes) - (block.reached - block.rows) // lanes


def _new_words(block: Block) -> int:
    """Words of eight rows that no earlier pass of the panel has brought."""
    return math.ceil((block.row + block.rows) / LANES) - math.ceil(block.row / LANES)


def _row_rounds(sizes: Sizes, block: Block) -> int:
    """Rounds of a word for each port."""
    return math.ceil(_new_words(block) / sizes.ports)


def _store(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """The loops of `store_results`."""
    if not block.closes:
        return
    words = _port_words(sizes, block.columns)
    if "UPDATE" in shape.flags:  # a loop whose bursts are states and weights in turn
        yield _as_one([_bursts(sizes, block.rows, scale * words, writes=True) for scale in (4, 1)])
    else:
        scale, matrices = 2 if shape.op == "gemm_tn" else 1, 2 if "GELU" in shape.flags else 1
        yield _bursts(sizes, block.column_tiles * block.rows * matrices, scale * words, writes=True)
    if block.makes_bias_gradient:
        yield _bursts(sizes, 1, _words_of_rows(block, WIDE_LANES), writes=True)


def _port_words(sizes: Sizes, columns: int) -> int:
    """Words of a row of a column tile that each port moves."""
    return math.ceil(math.ceil(columns / LANES) / sizes.ports)


def _bursts(sizes: Sizes, count: int, words: int, writes: bool = False) -> Moved:
    """A loop of `count` bursts of so many words on every port. A short burst takes its stream longer than its words."""
    latency = sizes.write_latency if writes else sizes.read_latency
    busy = count * max(words, math.ceil(latency / sizes.outstanding))
    unit = sizes.ddr_burst_words
    beside = STORE_DEPTH + latency if writes else latency
    return Moved(busy + beside, busy, sizes.ports * count * math.ceil(words / unit) * unit)


def _turned(sizes: Sizes, passes: int, block: Block) -> Moved:
    """So many blocks of eight rows, turned. Of short rows a block has few columns, and takes as many cycles as both."""
    burst = min(BURST, math.ceil(block.length / LANES))
    moved = _bursts(sizes, passes * LANES, burst)
    cycles = passes * burst * (LANES + BURST - burst)
    return moved._replace(cycles=max(cycles, moved.busy) + sizes.read_latency)


def _total(moved: Iterator[Moved]) -> Moved:
    loops = list(moved)
    if not loops:
        return Moved()
    whole = Moved(*map(sum, zip(*loops, strict=True)))
    return whole._replace(cycles=whole.cycles + HANDSHAKE)

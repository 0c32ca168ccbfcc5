"""Cycles of a GEMM instruction from the sizes of the engine: the steps of its walk (walk.py), scheduled task by task.

The words of each loop are those of hls/templates/gemm; when a task starts, and when streams and memory hold it up,
those of hls/include/model.hpp. What a task costs beside is fitted to the C simulation (`calibrate.py`), so the model
follows the sizes, and the fit follows the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES, STATE_WORDS
from sim.explore.walk import BURST, Block, Shape, Sizes, blocks, moves_rows, new_words, pairs, port_words, sizes_of

MULTIPLY_DEPTH = 12
FINISH_DEPTH = 28
"""Cycles from a sum to its word."""
PASS_DEPTH = 3
UPDATE_DEPTH = 41
"""Cycles from a word to where it is written, as it is or with the weight that it updates."""
STORE_DEPTH = 4
HANDSHAKE = 2
WIDE_LANES = LANES // 2


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
    for block in blocks(shape, sizes):
        key = block._replace(row=block.row % LANES)
        if key not in known:
            known[key] = _step(shape, sizes, key)
        found.append(known[key])
    return tuple(found)


def _step(shape: Shape, sizes: Sizes, block: Block) -> Step:
    last_rows = block.rows - (block.tiles - 1) * sizes.row_tile
    words = port_words(sizes, block.columns)
    is_alone = block.tiles == 1 and block.column_tiles == 1  # so no sums are handed on meanwhile
    turn = max(pairs(block.length), 1 if is_alone else sizes.row_tile * words)
    multiply = block.column_tiles * block.tiles * turn + last_rows * words + MULTIPLY_DEPTH + HANDSHAKE
    beats = _row_words(block) if moves_rows(shape, sizes) else sizes.ports * words
    lines = block.rows + (block.closes and "BIAS" in shape.flags and shape.op != "gemm_tn")
    finish = block.column_tiles * lines * beats + FINISH_DEPTH + HANDSHAKE
    updates = block.closes and "UPDATE" in shape.flags
    passing = UPDATE_DEPTH if updates else PASS_DEPTH
    parts = LANES // sizes.update_lanes if updates else 1
    update = block.column_tiles * block.rows * beats * parts + passing + HANDSHAKE if block.closes else 0
    last = last_rows * (sizes.column_tile // LANES) + FINISH_DEPTH
    load, store = _total(_load(shape, sizes, block)), _total(_store(shape, sizes, block))
    apart = block.tiles * turn
    late = (block.column_tiles - block.new_tiles) * apart
    draw = Draw(late, pairs(block.length), block.new_tiles, apart) if block.new_tiles else Draw()
    return Step(load, multiply, finish, update, store, turn + MULTIPLY_DEPTH, last, passing, updates, draw)


def _load(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """The loops of `load`."""
    words = port_words(sizes, block.columns)
    turns_columns = shape.op == "gemm_nt" and block.new_tiles
    turns_rows = shape.op != "gemm_tn" and block.loads_rows
    rounds = (block.new_tiles * words if turns_columns else 0) + (turns_rows and _row_rounds(sizes, block))
    lines = list(_lines(shape, sizes, block))
    if rounds:
        blocks = math.ceil(math.ceil(block.length / LANES) / BURST)
        yield _as_one([_turned(sizes, rounds * blocks + (not block.has_begun), block), *lines])
    if lines and not rounds:
        yield _as_one(lines)
    if block.closes and "GELU_BACKWARD" in shape.flags:
        yield _bursts(sizes, block.rows, words)
    if block.makes_bias_gradient and "ACCUMULATE" in shape.flags:
        yield _bursts(sizes, 1, _words_of_rows(block, WIDE_LANES))
    direct = [_columns(shape, sizes, block)] if block.new_tiles and not turns_columns else []
    if block.closes and shape.op == "gemm_tn":
        direct += _beside_gradients(shape, sizes, block)
    if block.loads_rows and not turns_rows:
        direct.append(_bursts(sizes, math.ceil(block.length / sizes.ports), new_words(block)))
    if direct:
        yield _as_one(direct)


def _lines(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """Bias and residual."""
    words = block.column_tiles * port_words(sizes, block.columns)
    if block.closes and shape.op != "gemm_tn":
        count = ("BIAS" in shape.flags) + block.rows * ("RESIDUAL" in shape.flags)
        if count:
            yield _bursts(sizes, count, words)


def _columns(shape: Shape, sizes: Sizes, block: Block) -> Moved:
    """Of an operand whose rows are contraction steps. Ports that bring whole rows take as long as if they brought parts
    of them, and the time by which the last one is behind."""
    parts = _lines_of(shape, sizes, block, block.length, 1)
    if not moves_rows(shape, sizes):
        return parts
    beats = (block.length + sizes.ports - 1) * port_words(sizes, block.columns) + sizes.ports - 1
    return parts._replace(cycles=beats + sizes.read_latency)


def _row_words(block: Block) -> int:
    """Words of a row of a column tile."""
    return math.ceil(block.columns / LANES)


def _lines_of(shape: Shape, sizes: Sizes, block: Block, rows: int, scale: int, *, writes: bool = False) -> Moved:
    """Rows of a column tile, of so many words for eight columns: in parts, one a port, or whole, one a port."""
    if not moves_rows(shape, sizes):
        return _bursts(sizes, rows, scale * port_words(sizes, block.columns), writes)
    turns = math.ceil(rows / sizes.ports)
    moved = _bursts(sizes, turns, scale * _row_words(block), writes)
    return moved._replace(words=moved.words * rows / (turns * sizes.ports))


def _beside_gradients(shape: Shape, sizes: Sizes, block: Block) -> list[Moved]:
    """Class rows, old gradients, states and weights."""
    words = port_words(sizes, block.columns)
    beside = []
    if "ACCUMULATE" in shape.flags:
        beside.append(_bursts(sizes, block.rows, 2 * words))
    if shape.adds_class_row:
        first = _bursts(sizes, 1, _words_of_rows(block, LANES))  # through one port
        second = _bursts(sizes, 1, _row_words(block) if moves_rows(shape, sizes) else words)
        beside += [first._replace(words=first.words / sizes.ports), second]
    if "UPDATE" in shape.flags:
        beside += [_lines_of(shape, sizes, block, block.rows, scale) for scale in (STATE_WORDS, 1)]
    return beside


def _as_one(loops: list[Moved]) -> Moved:
    """Loops as one, which waits for its first word once."""
    busy = sum(loop.busy for loop in loops)
    return Moved(busy + loops[0].cycles - loops[0].busy, busy, sum(loop.words for loop in loops))


def _words_of_rows(block: Block, lanes: int) -> int:
    """Words that have an element a row of the panel, at the step's rows."""
    return math.ceil(block.reached / lanes) - (block.reached - block.rows) // lanes


def _row_rounds(sizes: Sizes, block: Block) -> int:
    """Rounds of a word for each port."""
    return math.ceil(new_words(block) / sizes.ports)


def _store(shape: Shape, sizes: Sizes, block: Block) -> Iterator[Moved]:
    """The loops of `store_results`."""
    if not block.closes:
        return
    words = port_words(sizes, block.columns)
    if "UPDATE" in shape.flags:  # a loop whose bursts are states and weights in turn
        yield _as_one([_lines_of(shape, sizes, block, block.rows, scale, writes=True) for scale in (STATE_WORDS, 1)])
    else:
        scale, matrices = 2 if shape.op == "gemm_tn" else 1, 2 if "GELU" in shape.flags else 1
        yield _bursts(sizes, block.column_tiles * block.rows * matrices, scale * words, writes=True)
    if block.makes_bias_gradient:
        yield _bursts(sizes, 1, _words_of_rows(block, WIDE_LANES), writes=True)


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

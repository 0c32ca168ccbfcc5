"""Cycles of instructions, estimated from sizes: they only decide how a block is cut (`sim.perf` executes them)."""

from __future__ import annotations

from dataclasses import dataclass

from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from hls.spec.pieces import PARTS

ATTENTION_FILL = 1700
"""Cycles in which an instruction of the attention unit fills and drains."""
BLOCK_FILL = 20
"""Those in which two queries a lane begin and end."""
LEAST_BLOCKS = 13
"""Of a pass of attention, two queries a lane each: fewer are followed by idle ones."""
IDLE_BLOCK = 90
"""Cycles of one of these."""
ATTENTION_PORTS = 2
"""Memory ports of the attention unit, a word a cycle each."""
PASSES = 2
"""Of attention: scores and values."""
GEMM_FILL = 500
"""Those of a GEMM, which finds its first weights on chip."""
ROWS_FILL = 1000
"""More of one that has to bring its rows, beside the time that these take."""
TILE_FILL = 60
"""Those in which a column tile begins and ends."""
NORM_FILL = 500
"""Those of a layer norm."""
NORM_PORTS = 2
"""Ports that its rows come through."""
SELECTION_FILL = 500
"""Cycles of `select_tokens` beside those of its row of the map."""
KEYS_FILL = 35
"""Those in which rows of `select_keys` begin and end, one a port."""


@dataclass(frozen=True)
class AttentionShape:
    """Of one image.

    Attributes:
        tokens: those that have keys and values, the class token included.
        queries: all tokens, some, or the class token alone.
        keys: of a patch query, the class key included.
        dim: elements of a token.
        head_dim: elements of a head, padding included.
    """

    tokens: int
    queries: int
    keys: int
    dim: int
    head_dim: int


def attention(config: HardwareConfig, heads: int, shape: AttentionShape, *, passes: int = PASSES) -> float:
    """Attention of some heads: multiplied, or moved if that takes longer."""
    blocks = -(-shape.queries // (2 * config.lanes))
    multiplied = 2 * blocks * (2 * shape.keys + BLOCK_FILL)
    idle = passes * IDLE_BLOCK * max(0, LEAST_BLOCKS - heads * blocks)
    rows = 2 * (shape.tokens + shape.queries) * shape.head_dim / LANES
    probabilities = 2 * shape.queries * -(-shape.keys // LANES)
    moved = (rows + probabilities) / ATTENTION_PORTS
    return ATTENTION_FILL + idle + heads * passes / PASSES * max(multiplied, moved)


def map_rows(rows: int, tokens: int) -> float:
    """What it takes longer to store so many rows of the map behind the scores."""
    return rows * 2 * tokens / LANES / ATTENTION_PORTS


def projections(config: HardwareConfig, heads: int, shape: AttentionShape, *, parts: int = PARTS) -> float:
    """Queries, keys and values of some heads, or of one or two of them, their rows being on chip."""
    column_tiles = parts * -(-heads * shape.head_dim // config.column_tile)
    return GEMM_FILL + _column_tiles(config, column_tiles, shape.tokens, shape.dim)


def linear(config: HardwareConfig, rows: int, columns: int, length: int, *, brings_rows: bool = False) -> float:
    """A linear layer with outputs [rows, columns], contracted over `length`."""
    chunks = -(-length // config.chunk)
    cycles = chunks * _column_tiles(config, -(-columns // config.column_tile), rows, -(-length // chunks))
    return GEMM_FILL + cycles + (ROWS_FILL + rows * length / LANES / config.ports if brings_rows else 0)


def _column_tiles(config: HardwareConfig, count: int, rows: int, length: int) -> float:
    """Multiplied and rounded, or the weights loaded if that takes longer."""
    turn = max(-(-length // 2), config.row_tile * config.column_tile // LANES)
    load = length * config.column_tile / LANES / config.ports
    return count * (TILE_FILL + max(load, -(-rows // config.row_tile) * turn))


def norm(rows: int, columns: int, *, saves: bool) -> float:
    """A layer norm, which in training also stores its normalised rows."""
    return NORM_FILL + rows * columns / LANES / NORM_PORTS * (1.5 if saves else 1)


def selection(config: HardwareConfig, images: int, tokens: int, keep: int, *, lists: bool) -> float:
    """Choosing `keep` of each image's patches and, with `lists`, keys for each of them."""
    keys = -(-keep // config.ports) * (keep + KEYS_FILL) if lists else 0
    return SELECTION_FILL + images * (tokens + keys)

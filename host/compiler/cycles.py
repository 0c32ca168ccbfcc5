"""Cycles of instructions, estimated from sizes: they only decide how a block is cut (`sim.perf` executes them)."""

from __future__ import annotations

from dataclasses import dataclass

from hls.spec.attention import GROUPS, LEAD_BLOCKS, LEAST_BLOCKS
from hls.spec.config import HardwareConfig
from hls.spec.formats import LANES
from hls.spec.pieces import PARTS

ATTENTION_FILL = 1700
"""Cycles in which an instruction of the attention unit fills and drains, if it asks more than the class query."""
PASS_FILL = 700
"""More of them where it has one pass only."""
BLOCK_FILL = 20
"""Those in which a block begins and ends: two queries a lane."""
LOAD_FILL = 50
"""Those in which its loads do."""
IDLE_BLOCK = 90
"""Those of an idle block; so many follow that a pass has its least number of blocks."""
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
    """Attention of some heads: multiplied, or moved if that takes longer. Of one pass, half of what scores and values
    take together."""
    block = GROUPS * config.lanes
    of_tokens, of_queries = -(-shape.tokens // block), -(-shape.queries // block)
    blocks = max(of_queries, -(-of_tokens // LEAD_BLOCKS))
    head_words, key_words = shape.head_dim / LANES, -(-shape.keys // LANES)
    coming = -(-of_tokens // blocks) * head_words  # of the next head, for each query
    read = {"scores": coming + head_words, "values": coming + key_words}
    moved = (LOAD_FILL + block * words / ATTENTION_PORTS for words in read.values())
    both = sum(max(GROUPS * shape.keys + BLOCK_FILL, cycles) for cycles in moved)
    idle = IDLE_BLOCK * max(0, LEAST_BLOCKS - heads * blocks)
    fill = PASS_FILL * (PASSES - passes) + (ATTENTION_FILL if shape.queries > 1 else 0)
    return fill + passes * (idle + heads * blocks * both / PASSES)


def map_rows(config: HardwareConfig, rows: int, shape: AttentionShape) -> float:
    """What it takes longer to add up so many rows of the map, where nothing follows the scores that hides it; with
    lists of keys it is cleared first."""
    return rows / config.lanes * shape.tokens * (2 if shape.keys < shape.tokens else 1)


def projections(config: HardwareConfig, heads: int, shape: AttentionShape, *, parts: int = PARTS) -> float:
    """Queries, keys and values of some heads, or of one or two of them, their rows being on chip."""
    return GEMM_FILL + parts * _column_tiles(config, heads * shape.head_dim, shape.tokens, shape.dim)


def linear(config: HardwareConfig, rows: int, columns: int, length: int, *, brings_rows: bool = False) -> float:
    """A linear layer with outputs [rows, columns], contracted over `length`."""
    chunks = -(-length // config.chunk)
    cycles = chunks * _column_tiles(config, columns, rows, -(-length // chunks))
    return GEMM_FILL + cycles + (ROWS_FILL + rows * length / LANES / config.ports if brings_rows else 0)


def _column_tiles(config: HardwareConfig, columns: int, rows: int, length: int) -> float:
    """Multiplied and rounded, or the weights loaded if that takes longer. The last column tile may be narrow."""
    full, rest = divmod(columns, config.column_tile)
    cycles = 0.0
    for count, width in ((full, config.column_tile), (1 if rest else 0, rest)):
        turn = max(-(-length // 2), config.row_tile * -(-width // LANES))
        cycles += count * (TILE_FILL + max(length * width / LANES / config.ports, -(-rows // config.row_tile) * turn))
    return cycles


def norm(rows: int, columns: int, *, saves: bool) -> float:
    """A layer norm, which in training also stores its normalised rows."""
    return NORM_FILL + rows * columns / LANES / NORM_PORTS * (1.5 if saves else 1)


def selection(config: HardwareConfig, images: int, tokens: int, keep: int, *, lists: bool) -> float:
    """Choosing `keep` of each image's patches and, with `lists`, keys for each of them."""
    keys = -(-keep // config.ports) * (keep + KEYS_FILL) if lists else 0
    return SELECTION_FILL + images * (tokens + keys)

"""What an instruction moves: no word more often than it has to."""

from __future__ import annotations

import pytest

from hls.spec.formats import LANES
from tests.sim.perf.one_instruction import CONFIG, device, run

ATTENTION = slice(CONFIG.ports, CONFIG.ports + 2)
"""Memory ports of the attention unit."""
GEMM = slice(0, CONFIG.ports)
MASTERS = CONFIG.ports + 2


def words(op_name: str, *flags: str, **shape: int) -> tuple[list[int], list[int]]:
    """Words that ports read and write in the instruction, by port."""
    run(op_name, flags, shape)
    moved = device().counters().instruction_words[0].tolist()
    return moved[:MASTERS], moved[MASTERS : 2 * MASTERS]


@pytest.mark.parametrize("patches", [196, 37])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_backward_reads_everything_once(heads: int, patches: int) -> None:
    """Probabilities and gradients of scores by query, each for the two gradients that need it; q, k, v and dy."""
    tokens, head_words = 1 + patches, 64 // LANES
    read, written = words(
        "attention_backward", batch=1, patches=patches, heads=heads, head_dim=64, key_count=0, queries=tokens
    )
    over_keys = tokens * -(-tokens // LANES)
    assert sum(read[ATTENTION]) == heads * (2 * over_keys + 4 * tokens * head_words)
    assert sum(written[ATTENTION]) == heads * (over_keys + 3 * tokens * head_words)


@pytest.mark.parametrize("rows, n, k", [(197, 192, 768), (197, 192, 192), (60, 100, 200), (1, 1000, 192)])
def test_an_update_writes_each_weight_once(rows: int, n: int, k: int) -> None:
    """A word of low halves, two of momenta and one of weights for eight; in a pass a port has at most a row of them
    more than another."""
    _, written = words("gemm_tn", "UPDATE", rows=rows, split=1 if rows > 1 else 0, n=n, k=k)
    of_row = 4 * -(-k // LANES)
    of_panel = -(-CONFIG.panel_rows // (CONFIG.update_tiles * CONFIG.row_tile))
    passes = 1 + -(-n // CONFIG.panel_rows) * of_panel  # the first one is short
    assert sum(written[GEMM]) == n * of_row
    assert max(written[GEMM]) - min(written[GEMM]) <= passes * of_row

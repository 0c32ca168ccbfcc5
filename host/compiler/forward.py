"""The blocks forward. Of a batch with two halves of whole words, attention of one runs beside the rest of the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from hls.spec.formats import LANES
from host.compiler.attention import attention, before_attention
from host.compiler.block import behind_attention, block_forward
from host.compiler.emitter import Emitter, Rows
from host.compiler.selector import choose, gather


def blocks_forward(e: Emitter) -> None:
    """All blocks with the selectors between them."""
    index = 0
    while index < e.model.depth:
        gather(e, index)
        blocks = list(_overlapping(e, index))
        if blocks:
            _in_halves(e, blocks)
            choose(e, blocks[-1] + 1)
        else:
            block_forward(e, index)
        index += max(1, len(blocks))


def _overlapping(e: Emitter, index: int) -> Iterator[int]:
    """Blocks from `index` on that run in halves together: up to a selector, or to a block of class rows only.

    A half is whole words, since a layer norm's row of inverse deviations is padded to them.
    """
    if e.batch % (2 * LANES):
        return
    behind = takewhile(lambda i: not e.selects(i), range(index + 1, e.model.depth))
    yield from takewhile(lambda i: not e.class_only(i), (index, *behind))


def _in_halves(e: Emitter, blocks: list[int]) -> None:
    """Blocks of equally many tokens: each half's attention beside what the other does before or behind its own."""
    halves = range(e.batch // 2), range(e.batch // 2, e.batch)
    first, second = (_rows_of(e, blocks[0], images) for images in halves)
    before = None
    _between(e, before, blocks[0], first)
    for index, behind in zip(blocks, [*blocks[1:], None], strict=True):
        attention(e, index, halves[0])
        with e.beside():
            _between(e, before, index, second)
        attention(e, index, halves[1])
        with e.beside():
            _between(e, index, behind, first)
        before = index
    _between(e, before, None, second)


def _between(e: Emitter, before: int | None, behind: int | None, parts: tuple[Rows, ...]) -> None:
    """Of some rows, what comes behind the attention of block `before` and in front of that of block `behind`."""
    for rows in parts:
        if before is not None:
            behind_attention(e, before, rows)
        if behind is not None:
            before_attention(e, behind, rows)


def _rows_of(e: Emitter, index: int, images: range) -> tuple[Rows, ...]:
    """Class and patch rows of some images in block `index`."""
    patches = e.block(index).patches
    return (
        Rows(len(images), len(images), images.start),
        Rows(len(images) * patches, 0, e.batch + images.start * patches),
    )

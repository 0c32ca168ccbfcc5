"""Token & attention selection inside Swin's windows. The paper prunes Swin but does not say how; this way is ours.

A Swin has no class token, so a token counts by the column sums of the attention map, as the paper says: by the
head-mean attention it receives in its window, summed over its windows in the last plain and the last shifted block.
From a selector on, every window of the stage computes only its n best tokens, the same number in each, and the others
pass through the blocks unchanged; the grid is whole again when the stage ends. Each selector chooses among the tokens
that the one before it chose. Attention connections follow the last map of the same windows.

Shapes: B images, L tokens of the grid, W windows, A slots, n chosen slots, k keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from trainer.keep import Choice
from trainer.models.swin import SwinBlock, SwinStage, WindowChoice, WindowProbabilities
from trainer.models.swin_windows import Partition
from trainer.selection import largest, select_keys
from trainer.tokens.method import ForwardState, TokenMethod

Latest = Mapping[Partition, WindowProbabilities]
"""The last block's attention for each way the stage cuts its grid."""

Choices = dict[Partition, WindowChoice]


class WindowSelector(TokenMethod):
    """Hierarchical selection in front of given blocks, counted from 1 over the whole model.

    The output's `kept` are, per selector, the cells of the stage's grid, row by row, that the block right behind the
    selector computes, [B, K] ascending; blocks whose windows lie otherwise compute as many in theirs. `keys` are
    [B, W, n, k]: for each query of a window the positions among its n chosen slots, in no order. Padding fills the
    slots of windows at the edge last, and is not listed in `kept`.
    """

    name = "trilevel"
    sparse_attention = True

    def __init__(self, places: Sequence[int], stages: Sequence[SwinStage]) -> None:
        super().__init__()
        check_places(places, stages)
        self.places = tuple(places)

    def forward(self, blocks: Sequence[SwinBlock], x: Tensor, state: ForwardState) -> Tensor:  # type: ignore[override]
        """Run one stage's `blocks` on its grid x [B, H, W, D]."""
        state.keep.check(len(self.places))
        latest: dict[Partition, WindowProbabilities] = {}
        choices: Choices = {}
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places:
                choices = self._select(block, latest, choices, state)
            record = state.record.within(f"blocks.{number}")
            x, probabilities = block(x, choices.get(block.partition), record)
            state.probabilities = latest[block.partition] = probabilities
        return x

    def scores(self, latest: Latest) -> Tensor:
        """Importance of each token of the grid, [B, L]: column sums, 0 for those that no window computed."""
        return sum(_on_grid(probabilities) for probabilities in latest.values())  # type: ignore[return-value]

    def _select(self, block: SwinBlock, latest: Latest, choices: Choices, state: ForwardState) -> Choices:
        slots = choices[block.partition].slots.shape[2] if choices else block.partition.slots
        choice = state.keep.choice(len(state.kept), slots)
        if choice is None:
            return choices
        _check_choice(choice, slots)
        scores = self.scores(latest)
        found = {where: choose(scores, seen, choices.get(where), choice) for where, seen in latest.items()}
        chosen, partition = found[block.partition], latest[block.partition].partition
        state.kept.append(chosen.cells.flatten(1).sort(dim=1).values[:, : partition.computed(choice.token_count)])
        state.keys.append(chosen.keys)
        return found


class WindowDropout(WindowSelector):
    """PatchDropout for windows: in training each computes a random part of its tokens, attention stays dense."""

    name = "patch_dropout"
    sparse_attention = False

    def forward(self, blocks: Sequence[SwinBlock], x: Tensor, state: ForwardState) -> Tensor:  # type: ignore[override]
        """See `WindowSelector.forward`."""
        self.check_dense_attention(state)
        return super().forward(blocks, x, state)

    def scores(self, latest: Latest) -> Tensor:
        """Uniform noise from the device's own generator, [B, L]."""
        seen = next(iter(latest.values()))
        return torch.rand(len(seen.maps.q), seen.partition.tokens, device=seen.maps.q.device)

    def _select(self, block: SwinBlock, latest: Latest, choices: Choices, state: ForwardState) -> Choices:
        return super()._select(block, latest, choices, state) if self.training else choices


WINDOW_METHODS = {method.name: method for method in (WindowSelector, WindowDropout)}


def default_places(stages: Sequence[SwinStage]) -> tuple[int, ...]:
    """Selectors behind the first and the second third of the third stage, which holds most of a Swin's blocks."""
    before, depth = sum(stage.depth for stage in stages[:2]), stages[2].depth if len(stages) > 2 else 0
    return tuple(before + third + 1 for third in (depth // 3, 2 * depth // 3) if third >= 2)


def check_places(places: Sequence[int], stages: Sequence[SwinStage]) -> None:
    """Refuse places that do not ascend, or that have not yet seen every way their stage cuts its grid."""
    if list(places) != sorted(set(places)) or any(place < 1 for place in places):
        raise PeelVitError(
            f"selectors before blocks {', '.join(map(str, places))} make no sense; give ascending numbers from 1"
        )
    first = 1
    for stage in stages:
        ways = len({stage.partition(block) for block in range(stage.depth)})
        for place in places:
            if first <= place < first + ways:
                raise PeelVitError(
                    f"a selector before block {place} has not seen all windows of the stage that begins with block "
                    f"{first}; place it before block {first + ways} or later"
                )
        first += stage.depth


def choose(scores_BL: Tensor, seen: WindowProbabilities, before: WindowChoice | None, choice: Choice) -> WindowChoice:
    """What each window computes from now on, among what it computed `before`, and the connections in it.

    `seen` is the last attention in the same windows; positions below count in the slots that it has.
    """
    B, W = len(scores_BL), seen.cells.shape[1]
    seen_slots, seen_cells = seen.slots.expand(B, -1, -1), seen.cells.expand(B, -1, -1)
    positions = _positions(seen, before).expand(B, W, -1)
    scores = functional.pad(scores_BL, (0, 1), value=-torch.inf)  # padding comes last
    scores = scores.gather(1, seen_cells.gather(2, positions).flatten(1)).view(positions.shape)
    positions = positions.gather(2, largest(scores, choice.token_count).sort(dim=2).values)
    slots, cells = seen_slots.gather(2, positions), seen_cells.gather(2, positions)
    if choice.key_count is None:
        return WindowChoice(slots, cells)
    maps, queries = seen.map().flatten(0, 1), positions.flatten(0, 1)
    rows = maps.gather(1, queries[:, :, None].expand(-1, -1, maps.shape[2]))
    return WindowChoice(slots, cells, select_keys(rows, queries, choice.key_count).unflatten(0, (B, W)))


def _positions(seen: WindowProbabilities, before: WindowChoice | None) -> Tensor:
    """Where the slots computed `before` are in those that `seen` has."""
    here = torch.arange(seen.slots.shape[2], device=seen.slots.device)
    if before is None or before.slots is seen.slots:
        return here
    of_slot = before.slots.new_zeros(*before.slots.shape[:2], seen.partition.slots)
    of_slot = of_slot.scatter(2, seen.slots.expand(len(of_slot), -1, -1), here.expand(*of_slot.shape[:2], -1))
    return of_slot.gather(2, before.slots)


def _on_grid(seen: WindowProbabilities) -> Tensor:
    """Column sums in the order of the grid, [B, L]; 0 where nothing was computed."""
    sums = seen.column_sums().flatten(1)
    grid = sums.new_zeros(len(sums), seen.partition.tokens + 1)  # the last one gathers the padding
    return grid.scatter(1, seen.cells.flatten(1).expand(len(sums), -1), sums)[:, : seen.partition.tokens]


def _check_choice(choice: Choice, slots: int) -> None:
    if choice.kept is not None:
        raise PeelVitError(
            "a Swin takes no forced indices, because every way of cutting windows has its own; give ratios"
        )
    if not 1 <= choice.token_count <= slots:
        raise PeelVitError(
            f"a window cannot compute {choice.token_count} of {slots} tokens; give a count from 1 to {slots}"
        )

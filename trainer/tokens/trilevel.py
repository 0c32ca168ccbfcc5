"""The paper's Token & Attention selector (TA-selector): tokens, then connections between them, by the attention itself.

Paper, "Sparsity in Patches": the class token's head-mean row ranks the patches, ceil(N r_T) survive; the surviving
rows, restricted to the survivors, rank each query's keys, ceil(K r_A) survive, its own among them.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from host.errors import PeelVitError
from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.mapped import with_map
from trainer.attention.methods import AttentionMethod, SelectedAttention, Survivors
from trainer.selection import gather_tokens, select_tokens
from trainer.tokens.fusion import fuse_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod

PLACEMENTS = ("before", "inside")


class TokenAttentionSelector(TokenMethod):
    """Hierarchical selection at given blocks.

    Arguments:
        places: one-based numbers of the blocks with a selector.
        placement: `before` the block, by the attention of the block before it (the paper's text), or `inside` it,
            between its attention and its MLP, by its own attention (the authors' code).
        fused_token: whether the pruned tokens live on as one, their sum weighted by the class token's attention (EViT).
        attention: how connections are chosen where the attention keep ratio asks for it.
    """

    name = "trilevel"
    sparse_attention = True

    def __init__(
        self,
        places: Sequence[int] = (4, 7, 10),
        placement: str = "before",
        fused_token: bool = False,
        attention: AttentionMethod | None = None,
    ) -> None:
        super().__init__()
        check_places(places)
        if placement not in PLACEMENTS:
            raise PeelVitError(f"there is no placement {placement!r} of selectors; choose {' or '.join(PLACEMENTS)}")
        self.places = tuple(places)
        self.placement = placement
        self.fused_token = fused_token
        self.attention = attention or SelectedAttention()

    @property
    def keeps_order(self) -> bool:  # type: ignore[override]
        """See `TokenMethod`."""
        return not self.fused_token

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        state.keep.check(len(self.places))
        connections: Connections = ALL_KEYS
        for number, block in enumerate(blocks, state.first_block):
            record = state.record.within(f"blocks.{number}")
            here = number + 1 in self.places
            if here and self.placement == "before":
                x, connections = self._select(x, connections, state)
                record("in", x)
            reading = self._map_is_read(number + 1, state)
            x, state.probabilities = block.attend(
                x, with_map(connections, x.device) if reading else connections, record
            )
            if here and self.placement == "inside":
                x, connections = self._select(x, connections, state)
            x = block.feed_forward(x, record)
        return x

    def _map_is_read(self, block: int, state: ForwardState) -> bool:
        """Whether a selector chooses keys by the map of this one-based block."""
        place = block + 1 if self.placement == "before" else block
        return place in self.places and state.keep.chooses_keys

    def _select(self, x: Tensor, connections: Connections, state: ForwardState) -> tuple[Tensor, Connections]:
        patches = x.shape[1] - state.prefix
        choice = state.keep.choice(len(state.kept), patches)
        if choice is None:
            return x, connections
        scores_BN, kept, fused = None, choice.kept, False
        probabilities = state.last_probabilities
        if kept is None:
            scores_BN = patch_scores(probabilities, state.prefix)
            kept = select_tokens(scores_BN, choice.token_count)
        x, whole = (x, x) if kept.shape[1] == patches else (gather_tokens(x, kept, state.prefix), x)
        if self.fused_token and whole is not x:
            scores_BN = patch_scores(probabilities, state.prefix) if scores_BN is None else scores_BN
            x, fused = fuse_tokens(x, whole, scores_BN, kept, state.prefix), True
        survivors = Survivors(kept, choice.key_count, choice.keys, state.prefix, int(fused))
        connections, keys = self.attention.connect(probabilities, survivors)
        state.kept.append(kept)
        state.keys.append(keys)
        return x, connections


def patch_scores(probabilities: Probabilities, prefix: int) -> Tensor:
    """Importance of each patch [B, N]: the class token's head-mean row, or column sums where there is none."""
    return probabilities.class_row()[:, prefix:] if prefix else probabilities.column_sums()


def check_places(places: Sequence[int]) -> None:
    """Refuse places that make no sense: they are one-based, ascend, and begin behind the first block."""
    if list(places) != sorted(set(places)) or any(place < 2 for place in places):
        raise PeelVitError(
            f"selectors before blocks {', '.join(map(str, places))} make no sense; "
            "give ascending numbers from 2, such as 4 7 10"
        )

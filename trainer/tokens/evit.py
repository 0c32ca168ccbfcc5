"""EViT: token reorganisation (Liang et al. 2022, "Not all patches are what you need").

Inside block l, between its attention and its MLP, the patches with the ceil(N r) largest entries in the class token's
head-mean attention stay, and the others are fused to one token, their sum weighted by that attention. A fused token is
a patch like the others to the next reorganisation. The paper reorganises in blocks 4, 7 and 10 and lowers r from 1 with
a cosine; both come from the configuration.

What differs: the fused token's weights are divided by their sum (the authors' code takes them as they are, so that its
fused token is short), and neither ranking nor weights pass a gradient to the attention they were read from.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from host.schedules import kept_count
from trainer.attention.dense import ALL_KEYS
from trainer.selection import gather_tokens, select_tokens
from trainer.tokens.fusion import fuse_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod
from trainer.tokens.trilevel import check_places, patch_scores


class TokenReorganisation(TokenMethod):
    """Top-k by class attention and one fused token, inside the one-based blocks `places`."""

    name = "evit"
    keeps_order = False

    def __init__(self, places: Sequence[int] = (4, 7, 10)) -> None:
        super().__init__()
        check_places(places)
        self.places = tuple(places)

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`; the fused token is the last one."""
        self.check_dense_attention(state)
        state.keep.check(len(self.places))
        for number, block in enumerate(blocks, state.first_block):
            record = state.record.within(f"blocks.{number}")
            x, state.probabilities = block.attend(x, ALL_KEYS, record)
            if number + 1 in self.places and not state.ratios.is_dense:
                x = self._reorganise(x, state)
            x = block.feed_forward(x, record)
        return x

    def _reorganise(self, x: Tensor, state: ForwardState) -> Tensor:
        patches = x.shape[1] - state.prefix
        scores_BN = patch_scores(state.last_probabilities, state.prefix)
        kept = select_tokens(scores_BN, kept_count(patches, state.ratios.tokens))
        state.kept.append(kept)
        state.keys.append(None)
        if kept.shape[1] == patches:
            return x
        return fuse_tokens(gather_tokens(x, kept, state.prefix), x, scores_BN, kept, state.prefix)

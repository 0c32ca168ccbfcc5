"""Evo-ViT: slow-fast token evolution (Xu et al. 2021).

The class token's head-mean attention is averaged over the blocks, A_k = (1 - t) A_(k-1) + t a_k with t = 0.5, and ranks
the patches. From a first block on, every block updates only the k = ceil(N r) best ("slow") patches, together with the
class token and one representative of the other ("fast") patches, their sum weighted by A over its total. The fast
patches are not computed: both residual updates that the representative got are added to each of them. No patch is
lost, so each block chooses anew among all N, and a fast patch keeps the A it had.

The paper keeps r = 0.5 from block 5 of 12; r comes from the configuration and `first_block` is an option.

What is left out: the schedule that first chooses in every block and later once a stage, the assisted loss on
average-pooled tokens (the class token classifies, as in the other methods), and gradients through A.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from host.schedules import kept_count
from trainer.attention.dense import ALL_KEYS
from trainer.selection import gather_tokens, select_tokens, token_rows
from trainer.tokens.fusion import fuse_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod, run_block
from trainer.tokens.trilevel import check_places, patch_scores


class SlowFastEvolution(TokenMethod):
    """Slow and fast patches from the one-based block `first_block` on; `tradeoff` is t.

    All patches leave it, so `kept` stays empty; `aux["evo_vit.slow"]` [B, L, k] has the slow patches of L such blocks.
    """

    name = "evo_vit"
    keeps_order = False  # inside, a representative stands for the fast patches

    def __init__(self, first_block: int = 5, tradeoff: float = 0.5) -> None:
        super().__init__()
        check_places((first_block,))
        self.first_block = first_block
        self.tradeoff = tradeoff

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        patches = x.shape[1] - state.prefix
        count = kept_count(patches, state.ratios.tokens)
        rank_BN: Tensor | None = None
        slow_blocks = []
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 < self.first_block or count == patches or rank_BN is None:
                x = run_block(block, x, ALL_KEYS, state, number)
                seen_BN = patch_scores(state.last_probabilities, state.prefix)
                rank_BN = seen_BN if rank_BN is None else self._average(rank_BN, seen_BN)
            else:
                slow_Bk = select_tokens(rank_BN, count)
                x = self._slow_fast(block, x, slow_Bk, rank_BN, state, number)
                seen_Bk = patch_scores(state.last_probabilities, state.prefix)[:, :count]
                rank_BN = rank_BN.scatter(1, slow_Bk, self._average(rank_BN.gather(1, slow_Bk), seen_Bk))
                slow_blocks.append(slow_Bk)
        if slow_blocks:
            state.aux["evo_vit.slow"] = torch.stack(slow_blocks, dim=1)
        return x

    def _average(self, before: Tensor, now: Tensor) -> Tensor:
        return (1.0 - self.tradeoff) * before + self.tradeoff * now

    def _slow_fast(
        self, block: Block, x: Tensor, slow_Bk: Tensor, rank_BN: Tensor, state: ForwardState, number: int
    ) -> Tensor:
        entering = fuse_tokens(gather_tokens(x, slow_Bk, state.prefix), x, rank_BN, slow_Bk, state.prefix)
        leaving = run_block(block, entering, ALL_KEYS, state, number)
        fast = x + (leaving - entering)[:, -1:]
        rows = token_rows(slow_Bk, state.prefix)[:, :, None].expand(-1, -1, x.shape[2])
        return fast.scatter(1, rows, leaving[:, :-1].to(fast.dtype))

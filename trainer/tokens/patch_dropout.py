"""PatchDropout (Liu et al. 2022, "PatchDropout: economizing vision transformers using patch dropout").

In training ceil(N r) patches, drawn at random for each image without replacement, enter the first block (after the
position embedding was added), and the rest is dropped once. In evaluation all patches are computed.

The keep ratio r is that one part of the input, not the product of three selectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from host.schedules import kept_count
from trainer.attention.dense import ALL_KEYS
from trainer.selection import gather_tokens, select_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod, run_block


class PatchDropout(TokenMethod):
    """Random patches dropped in front of the first block, in training."""

    name = "patch_dropout"

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        if self.training and not state.ratios.is_dense and state.first_block == 0:
            patches = x.shape[1] - state.prefix
            noise_BN = torch.rand(len(x), patches, device=x.device)
            kept = select_tokens(noise_BN, kept_count(patches, state.ratios.tokens))
            x = gather_tokens(x, kept, state.prefix)
            state.kept.append(kept)
            state.keys.append(None)
        for number, block in enumerate(blocks, state.first_block):
            x = run_block(block, x, ALL_KEYS, state, number)
        return x

"""What a forward pass gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class ModelOutput:
    """Logits, and what the three levels of sparsity chose or need.

    Attributes:
        logits: [B, classes].
        tokens: final normalised tokens [B, T, D], the class token first where there is one.
        kept: per selector that ran the surviving patches, [B, K] ascending, counted in the patches that entered it.
        keys: per selector the patch keys, [B, K, k] in no order, counted in the patches that left it; None: all.
        attention_variance: population variance, over the surviving patches, of the last block's head-mean class-token
            row (of its column sums where there is no class token), [B], detached: the example selector's tie-break.
        aux: what a token method needs for its losses.
        token_logits: one prediction a patch token [B, T - 1, classes], of models with a dense head (LV-ViT).
    """

    logits: Tensor
    tokens: Tensor
    kept: list[Tensor]
    keys: list[Tensor | None]
    attention_variance: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    token_logits: Tensor | None = None

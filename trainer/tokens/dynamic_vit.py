"""DynamicViT: learned token sparsification (Rao et al. 2021).

A predictor in front of blocks 4, 7 and 10 gives each patch the log-probabilities of being kept and dropped, from its
own ("local") features and the mean of those still kept ("global"). In training a hard Gumbel-softmax draws the
decisions D^s = draw * D^(s-1) with a straight-through gradient, and attention is masked by them: nothing is saved.
In evaluation the ceil(N r) patches of the highest keep probability are gathered. Training losses:

    ratio    2.0 * mean over images and places of (r^s - mean_i D_i^s)^2
    distil   0.5 * KL(teacher || student) on the logits
             0.5 * mean over the patches with D^S = 1 of |token - teacher's token|^2 / width

The last two need a dense teacher of the same model; with the option distil=False there is none, which is the row "from
scratch" of the paper's Table 1. `kept` stays empty in training, because images keep different numbers;
`aux["dynamic_vit.decisions"]` [B, N] has what is left after the last place.

What differs: at a ratio of 1 (the start of the paper's warm-up, which DynamicViT does not have) every decision is to
keep, so that the model is the dense one; a softmax that leaves out everything else needs no epsilon; predictor and
backbone learn at one rate; counts are rounded up, as in all methods here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.attention.connections import Connections
from trainer.attention.dense import ALL_KEYS
from trainer.attention.policy import PolicyConnections
from trainer.models.output import ModelOutput
from trainer.selection import gather_tokens, select_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod, run_block
from trainer.tokens.predictor import check_width, seeded
from trainer.tokens.trilevel import check_places


class KeepPredictor(nn.Module):
    """Log-probabilities [B, N, 2] of keeping and of dropping each patch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 4:
            raise PeelVitError(f"DynamicViT's predictor cannot be made for tokens of width {dim}; give at least 4")
        self.embed = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU())
        self.decide = nn.Sequential(
            nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, dim // 4), nn.GELU(), nn.Linear(dim // 4, 2)
        )

    def forward(self, patches_BND: Tensor, decisions_BN: Tensor | None = None) -> Tensor:
        """`decisions` say which patches make the global features; None: all."""
        features = self.embed(patches_BND)
        local_BNL, others_BNG = features.split((features.shape[2] // 2, -(-features.shape[2] // 2)), dim=2)
        weights_BN1 = torch.ones_like(others_BNG[:, :, :1]) if decisions_BN is None else decisions_BN[:, :, None]
        # An image that lost all its patches has no mean; its sum is 0 as well.
        global_B1G = (others_BNG * weights_BN1).sum(1, keepdim=True) / weights_BN1.sum(1, keepdim=True).clamp_min(1.0)
        both_BND = torch.cat([local_BNL, global_B1G.expand_as(others_BNG)], dim=2)
        return self.decide(both_BND).log_softmax(dim=-1)


class DynamicTokenSparsification(TokenMethod):
    """A predictor in front of each of the one-based blocks `places`, for tokens of width `dim`.

    Without `distil` no teacher is wanted: training from scratch.
    """

    name = "dynamic_vit"

    def __init__(
        self,
        dim: int,
        places: Sequence[int] = (4, 7, 10),
        seed: int = 0,
        distil: bool = True,
        ratio_weight: float = 2.0,
        logits_weight: float = 0.5,
        tokens_weight: float = 0.5,
    ) -> None:
        super().__init__()
        check_places(places)
        self.dim, self.places, self.needs_teacher = dim, tuple(places), distil
        self.ratio_weight, self.logits_weight, self.tokens_weight = ratio_weight, logits_weight, tokens_weight
        self.predictors = seeded(lambda: nn.ModuleList(KeepPredictor(dim) for _ in places), seed)

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        state.keep.check(len(self.places))
        check_width(x, self.dim, self.name)
        return self._train(blocks, x, state) if self.training else self._evaluate(blocks, x, state)

    def _train(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        decisions_BN = torch.ones(x.shape[0], x.shape[1] - state.prefix, device=x.device)
        connections: Connections = ALL_KEYS
        fractions = []
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places:
                scores = self.predictors[self.places.index(number + 1)](x[:, state.prefix :], decisions_BN)
                decisions_BN = draw_decisions(scores, everything=state.ratios.is_dense) * decisions_BN
                fractions.append(decisions_BN.mean(dim=1))
                connections = PolicyConnections(functional.pad(decisions_BN, (state.prefix, 0), value=1.0))
            x = run_block(block, x, connections, state, number)
        if fractions:
            targets = [state.ratios.tokens ** (place + 1) for place in range(len(fractions))]
            state.aux["dynamic_vit.fractions"] = torch.stack(fractions, dim=1)
            state.aux["dynamic_vit.targets"] = torch.tensor(targets, device=x.device)
            state.aux["dynamic_vit.decisions"] = decisions_BN.detach()
        return x

    def _evaluate(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places and not state.ratios.is_dense:
                patches_BND = x[:, state.prefix :]
                scores_BN = self.predictors[self.places.index(number + 1)](patches_BND)[:, :, 0]
                kept = select_tokens(scores_BN, kept_count(scores_BN.shape[1], state.ratios.tokens))
                x = gather_tokens(x, kept, state.prefix)
                state.kept.append(kept)
                state.keys.append(None)
            x = run_block(block, x, ALL_KEYS, state, number)
        return x

    def losses(self, output: ModelOutput, labels: Tensor, teacher: ModelOutput | None) -> dict[str, Tensor]:
        """`ratio`, and with a teacher `distilled_logits` and `distilled_tokens`; weights included."""
        if "dynamic_vit.fractions" not in output.aux:
            return {}
        error = output.aux["dynamic_vit.fractions"] - output.aux["dynamic_vit.targets"]
        losses = {"ratio": self.ratio_weight * error.square().mean()}
        if teacher is None:
            return losses
        if teacher.tokens.shape != output.tokens.shape:
            raise PeelVitError(
                f"the teacher gives tokens {list(teacher.tokens.shape)} where the model has "
                f"{list(output.tokens.shape)}; give a dense teacher of the same model"
            )
        student_log, teacher_log = output.logits.log_softmax(dim=-1), teacher.logits.log_softmax(dim=-1)
        divergence = functional.kl_div(student_log, teacher_log, reduction="batchmean", log_target=True)
        decisions_BN = output.aux["dynamic_vit.decisions"]
        prefix = output.tokens.shape[1] - decisions_BN.shape[1]
        distance_BN = (output.tokens - teacher.tokens)[:, prefix:].square().mean(dim=2)
        distance = (distance_BN * decisions_BN).sum() / decisions_BN.sum().clamp_min(1.0)
        return losses | {
            "distilled_logits": self.logits_weight * divergence,
            "distilled_tokens": self.tokens_weight * distance,
        }


def draw_decisions(scores_BN2: Tensor, everything: bool = False) -> Tensor:
    """1 to keep and 0 to drop a patch, [B, N], drawn from `scores`, with the gradient of the soft decision.

    `everything` decides to keep, whatever was drawn.
    """
    soft_BN = functional.gumbel_softmax(scores_BN2.float(), dim=-1)[:, :, 0]
    hard_BN = torch.ones_like(soft_BN) if everything else (soft_BN >= 0.5).to(soft_BN.dtype)
    return hard_BN + (soft_BN - soft_BN.detach())

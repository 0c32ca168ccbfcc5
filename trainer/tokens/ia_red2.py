"""IA-RED2: interpretability-aware redundancy reduction (Pan et al. 2021).

The blocks form groups. At the start of a group an interpreter gives each patch i that is left a keep probability,

    p_i = mean over heads of sigmoid(q(x_i) . k(class token) / sqrt(E) + b)

In training decisions u_i ~ Bernoulli(p_i) drop patches, by a mask; in evaluation patches with p_i < 0.5 are dropped.
Images keep different numbers, so exact counts do not apply: a batch is gathered to its longest image, and the
others' padding is masked out. The interpreters learn by REINFORCE from the reward, per group,

    R = 1 - (patches left / N)^2   if the prediction is right,   -tau   if it is wrong
    loss = - mean over images and groups of (R - baseline) * mean_i log p(u_i)

The keep ratio only says whether patches are dropped at all (below 1); how many is up to tau.

What differs: the baseline is the mean reward of the other images of the batch (leave-one-out; 0 for a single image)
where the paper runs the model a second time with the most likely decisions; groups start in front of the selectors'
places; all groups learn at once with the backbone, not one after the other; the interpreters read detached tokens, so
the backbone learns from classification alone; the learned offset b starts at 2, because a model from scratch would
otherwise start with an eighth of its patches. tau = 0.5 is our default.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from host.errors import PeelVitError
from trainer.attention.connections import Connections
from trainer.attention.dense import ALL_KEYS
from trainer.attention.masked import KeyMask
from trainer.models.output import ModelOutput
from trainer.selection import gather_tokens
from trainer.tokens.method import Block, ForwardState, TokenMethod, run_block
from trainer.tokens.predictor import check_width, seeded
from trainer.tokens.trilevel import check_places

FIRST_OFFSET = 2.0
"""sigmoid(2) = 0.88 of the patches are kept in each group at the start."""

THRESHOLD = 0.5
CERTAIN = 1e-6
"""Probabilities stay this far from 0 and 1, so that their logarithms are finite."""


class Interpreter(nn.Module):
    """Keep probability of each patch, [B, N], by its agreement with the class token."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.offset = nn.Parameter(torch.empty(1))

    def forward(self, tokens_BTD: Tensor) -> Tensor:
        """From the class token and the patches behind it."""
        q_BNHE = self.query(tokens_BTD[:, 1:]).unflatten(2, (self.heads, -1))
        k_B1HE = self.key(tokens_BTD[:, :1]).unflatten(2, (self.heads, -1))
        scores_BNH = (q_BNHE * k_B1HE).sum(dim=-1).float() * q_BNHE.shape[-1] ** -0.5
        return (scores_BNH + self.offset).sigmoid().mean(dim=-1).clamp(CERTAIN, 1.0 - CERTAIN)


class RedundancyReduction(TokenMethod):
    """An interpreter in front of each of the one-based blocks `places`, for tokens of width `dim`.

    `kept` stays empty; `aux["ia_red2.alive"]` bool [B, N] says which patches are left at the end.
    """

    name = "ia_red2"
    keeps_order = False  # in evaluation shorter images are padded

    def __init__(
        self,
        dim: int,
        heads: int,
        places: Sequence[int] = (4, 7, 10),
        seed: int = 0,
        tau: float = 0.5,
        reward_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_places(places)
        self.dim, self.places, self.tau, self.reward_weight = dim, tuple(places), tau, reward_weight
        self.interpreters = seeded(lambda: nn.ModuleList(Interpreter(dim, heads) for _ in places), seed)
        for interpreter in self.interpreters:
            assert isinstance(interpreter, Interpreter)
            nn.init.constant_(interpreter.offset, FIRST_OFFSET)

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        self.check_dense_attention(state)
        state.keep.check(len(self.places))
        check_width(x, self.dim, self.name)
        if state.prefix != 1:
            raise PeelVitError("ia_red2 rates patches by the class token, which this model has not; choose trilevel")
        return self._train(blocks, x, state) if self.training else self._evaluate(blocks, x, state)

    def _train(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        alive_BN = torch.ones(x.shape[0], x.shape[1] - 1, dtype=torch.bool, device=x.device)
        connections: Connections = ALL_KEYS
        fractions, log_probabilities = [], []
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places:
                p_BN = self.interpreters[self.places.index(number + 1)](x.detach())
                keep_BN = torch.bernoulli(p_BN.detach()) > 0
                decided_BN = alive_BN.to(p_BN.dtype)
                if state.ratios.is_dense:  # nothing was decided; parameters still get their gradient, 0
                    keep_BN, decided_BN = torch.ones_like(keep_BN), torch.zeros_like(decided_BN)
                log_BN = torch.where(keep_BN, p_BN, 1.0 - p_BN).log()
                log_probabilities.append((log_BN * decided_BN).mean(dim=1))
                alive_BN = alive_BN & keep_BN
                fractions.append(alive_BN.float().mean(dim=1))
                connections = KeyMask(_with_class(alive_BN))
            x = run_block(block, x, connections, state, number)
        if fractions:
            state.aux["ia_red2.fractions"] = torch.stack(fractions, dim=1)
            state.aux["ia_red2.log_probabilities"] = torch.stack(log_probabilities, dim=1)
            state.aux["ia_red2.alive"] = alive_BN
        return x

    def _evaluate(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        everything_BN = torch.ones(x.shape[0], x.shape[1] - 1, dtype=torch.bool, device=x.device)
        alive_BK = everything_BN  # of the tokens that are computed; padding is dead
        patch_BK = torch.arange(x.shape[1] - 1, device=x.device).expand_as(alive_BK)
        connections: Connections = ALL_KEYS
        for number, block in enumerate(blocks, state.first_block):
            if number + 1 in self.places and not state.ratios.is_dense:
                p_BK = self.interpreters[self.places.index(number + 1)](x)
                alive_BK = alive_BK & above_threshold(p_BK.masked_fill(~alive_BK, 0.0))
                rows = (~alive_BK).int().argsort(dim=1, stable=True)[:, : int(alive_BK.sum(dim=1).max())]
                x, alive_BK, patch_BK = gather_tokens(x, rows), alive_BK.gather(1, rows), patch_BK.gather(1, rows)
                connections = KeyMask(_with_class(alive_BK))
            x = run_block(block, x, connections, state, number)
        state.aux["ia_red2.alive"] = torch.zeros_like(everything_BN).scatter(1, patch_BK, alive_BK)
        return x

    def losses(self, output: ModelOutput, labels: Tensor, teacher: ModelOutput | None) -> dict[str, Tensor]:
        """`policy`, whose gradient is that of the expected reward; its value has no meaning."""
        if "ia_red2.fractions" not in output.aux:
            return {}
        right_B1 = (output.logits.argmax(dim=-1) == labels)[:, None]
        rewards_BG = torch.where(right_B1, 1.0 - output.aux["ia_red2.fractions"].square(), -self.tau)
        gain_BG = advantage(rewards_BG)
        return {"policy": -self.reward_weight * (gain_BG * output.aux["ia_red2.log_probabilities"]).mean()}


def above_threshold(p_BN: Tensor) -> Tensor:
    """Which patches are kept in evaluation: those of at least one half, and the best one in any case."""
    return p_BN >= p_BN.amax(dim=1, keepdim=True).clamp_max(THRESHOLD)


def advantage(rewards_BG: Tensor) -> Tensor:
    """Each image's reward over the mean reward of the others."""
    others = max(len(rewards_BG) - 1, 1)
    return rewards_BG - (rewards_BG.sum(dim=0) - rewards_BG) / others


def _with_class(alive_BN: Tensor) -> Tensor:
    return nn.functional.pad(alive_BN, (1, 0), value=True)

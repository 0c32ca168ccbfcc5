"""Attention over selected keys: the class token attends to all tokens, each patch to the class token and its own keys.

Three ways to compute the same thing; `trainer.bench` measures them and `fastest_way` chooses by device and shape.

Shapes: B images, H heads, T = 1 + K (+ extra) tokens, K patches, k selected patch keys a query, E head dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from host.errors import PeelVitError
from trainer.attention.connections import LazyProbabilities, Probabilities, merge_heads
from trainer.record import Recorder

WAYS = ("masked", "gather", "flex")


def fastest_way(device: torch.device, tokens: int, keys: int) -> str:
    """The way that was measured to be the fastest (docs/trainer/attention.md has the figures).

    On a CPU that is the mask for every shape of a ViT: the products that gathering saves cost less than the gathering.
    """
    return "masked"


@dataclass(frozen=True)
class SelectedKeys:
    """Keys chosen for each patch query: `keys` [B, K, k] are patch indices, shared by the heads.

    `extra` tokens behind the patches (a fused token) attend to all and are attended to by all. `way` is one of `WAYS`,
    or `auto`.
    """

    keys: Tensor
    extra: int = 0
    way: str = "auto"
    _memo: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.way not in (*WAYS, "auto"):
            raise PeelVitError(f"there is no way {self.way!r} of sparse attention; choose {', '.join(WAYS)} or auto")

    @property
    def tokens(self) -> int:
        """T."""
        return 1 + self.keys.shape[1] + self.extra

    @cached_property
    def allowed(self) -> Tensor:
        """Which connections there are, bool [B, T, T]; made once and used by every block up to the next selector."""
        B, K, _ = self.keys.shape
        allowed = torch.zeros(B, self.tokens, self.tokens, dtype=torch.bool, device=self.keys.device)
        allowed[:, 1 : 1 + K].scatter_(2, self.keys + 1, True)
        allowed[:, 0] = True
        allowed[:, :, 0] = True
        if self.extra:
            allowed[:, 1 + K :] = True
            allowed[:, :, 1 + K :] = True
        return allowed

    def attend(self, q: Tensor, k: Tensor, v: Tensor, record: Recorder) -> tuple[Tensor, Probabilities]:
        """See `trainer.attention.connections.Connections`."""
        if q.shape[2] != self.tokens:
            raise PeelVitError(f"keys were selected for {self.tokens} tokens but {q.shape[2]} came; select them again")
        if record.active:
            context = merge_heads(self._recorded(q, k, record) @ v)
        else:
            context = _ATTEND[self._way(q)](self, q, k, v)
        return context, LazyProbabilities.of(q, k, self.allowed)

    def _way(self, q: Tensor) -> str:
        if self.way != "auto":
            return self.way
        return fastest_way(q.device, self.tokens, self.keys.shape[2])

    def _recorded(self, q: Tensor, k: Tensor, record: Recorder) -> Tensor:
        scores = ((q * q.shape[-1] ** -0.5) @ k.mT).masked_fill(~self.allowed[:, None], -torch.inf)
        return record("softmax", scores.softmax(dim=-1))


def attend_masked(connections: SelectedKeys, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Fused attention over all keys under a mask: saves nothing, costs little more than dense attention."""
    return merge_heads(functional.scaled_dot_product_attention(q, k, v, attn_mask=connections.allowed[:, None]))


def attend_gathered(connections: SelectedKeys, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Only the selected keys and values are gathered and multiplied."""
    if connections.extra:
        raise PeelVitError("gathered attention has no place for a fused token; choose the masked way")
    keys_BKk = functional.pad(connections.keys + 1, (1, 0), value=0)
    class_B1HE = functional.scaled_dot_product_attention(q[:, :, :1], k, v).transpose(1, 2)
    # Products and sums instead of einsum, which would make one tiny matrix product a query and head.
    q_BK1HE = q[:, :, 1:].transpose(1, 2).unsqueeze(2) * q.shape[-1] ** -0.5
    scores_BKkH = (q_BK1HE * _gather_rows(k, keys_BKk)).sum(dim=-1)
    patch_BKHE = (scores_BKkH.softmax(dim=2).unsqueeze(-1) * _gather_rows(v, keys_BKk)).sum(dim=2)
    return torch.cat([class_B1HE, patch_BKHE], dim=1).flatten(2)


def _gather_rows(rows_BHTE: Tensor, keys_BKk: Tensor) -> Tensor:
    """The rows each query selected, [B, K, k, H, E].

    An embedding look-up, because its backward is fast and the same in every run, on the CPU and under CUDA.
    """
    B, H, T, E = rows_BHTE.shape
    table = rows_BHTE.transpose(1, 2).reshape(B * T, H * E)
    first_row_B11 = T * torch.arange(B, device=keys_BKk.device)[:, None, None]
    return functional.embedding(first_row_B11 + keys_BKk, table).unflatten(-1, (H, E))


def attend_flex(connections: SelectedKeys, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """FlexAttention with a block mask: blocks without any connection are skipped. For GPUs."""
    flex_attention, create_block_mask = _flex(q.is_cuda)
    memo = connections._memo
    if "block_mask" not in memo:
        allowed, tokens = connections.allowed, connections.tokens

        def connected(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return allowed[b, query, key]

        memo["block_mask"] = create_block_mask(connected, len(q), None, tokens, tokens, device=str(q.device))
    return merge_heads(flex_attention(q, k, v, block_mask=memo["block_mask"]))


@cache
def _flex(compiled: bool) -> tuple[Callable[..., Any], Callable[..., object]]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    attend: Callable[..., Any] = flex_attention
    return torch.compile(attend) if compiled else attend, create_block_mask


_ATTEND = {"masked": attend_masked, "gather": attend_gathered, "flex": attend_flex}

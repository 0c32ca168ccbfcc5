"""The parts that the models share. Shapes: B images, T tokens, D dimension, H heads, E = D / H head dimension."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.record import SILENT, Recorder

LAYER_NORM_EPS = 1e-6
INIT_STD = 0.02


class DropPath(nn.Module):
    """Stochastic depth: in training a residual branch is dropped for a whole example with probability `rate`."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, ...] or zeros, scaled so that its expectation stays."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * (x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(keep) / keep)


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Rates that grow linearly from 0 at the first block to `rate` at the last."""
    return [rate * index / max(depth - 1, 1) for index in range(depth)]


class Attention(nn.Module):
    """Multi-head self-attention over the keys that `connections` leave."""

    def __init__(self, dim: int, heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, connections: Connections, record: Recorder) -> tuple[Tensor, Probabilities]:
        """[B, T, D] and the probabilities."""
        qkv = record("qkv", self.qkv(x))
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        context, probabilities = connections.attend(q, k, v, record)
        return record("proj", self.proj(record("context", context))), probabilities


class Mlp(nn.Module):
    """Two linear layers with an exact (erf) GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, record: Recorder = SILENT) -> Tensor:
        """[B, T, D]."""
        hidden = record("gelu", functional.gelu(record("fc1", self.fc1(x))))
        return record("fc2", self.fc2(hidden))


class TransformerBlock(nn.Module):
    """Pre-norm block. `residual_scale` divides both branches (LV-ViT's skip_lam; 1 elsewhere)."""

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_hidden: int,
        *,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        residual_scale: float = 1.0,
        eps: float = LAYER_NORM_EPS,
    ) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, mlp_hidden)
        self.drop_path = DropPath(drop_path)

    def attend(
        self, x: Tensor, connections: Connections = ALL_KEYS, record: Recorder = SILENT
    ) -> tuple[Tensor, Probabilities]:
        """x after the attention residual, and the attention's probabilities."""
        update, probabilities = self.attn(record("norm1", self.norm1(x)), connections, record.within("attn"))
        return record("after_attn", x + self._branch(update)), probabilities

    def feed_forward(self, x: Tensor, record: Recorder = SILENT) -> Tensor:
        """x after the MLP residual."""
        return record("out", x + self._branch(self.mlp(record("norm2", self.norm2(x)), record.within("mlp"))))

    def forward(
        self, x: Tensor, connections: Connections = ALL_KEYS, record: Recorder = SILENT
    ) -> tuple[Tensor, Probabilities]:
        """Both halves."""
        x, probabilities = self.attend(x, connections, record)
        return self.feed_forward(x, record), probabilities

    def _branch(self, update: Tensor) -> Tensor:
        update = self.drop_path(update)
        return update if self.residual_scale == 1.0 else update / self.residual_scale


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Truncated normal of deviation 0.02 for weights and embeddings, zero biases, scales at one; from `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.ndim == 1:
            nn.init.ones_(parameter)
        else:
            nn.init.trunc_normal_(parameter, std=INIT_STD, generator=generator)

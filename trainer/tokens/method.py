"""The interface of a token-level method: the loop over a run of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor, nn

from host.errors import PeelVitError
from trainer.attention.connections import Connections, Probabilities
from trainer.attention.dense import ALL_KEYS
from trainer.keep import DENSE, Keep, KeepSetting
from trainer.models.output import ModelOutput
from trainer.record import SILENT, Recorder


class Block(Protocol):
    """A pre-norm transformer block in its two halves."""

    def attend(self, x: Tensor, connections: Connections, record: Recorder) -> tuple[Tensor, Probabilities]:
        """x after the attention residual [B, T, D], and the attention's probabilities."""

    def feed_forward(self, x: Tensor, record: Recorder) -> Tensor:
        """x after the MLP residual, [B, T, D]."""


@dataclass
class ForwardState:
    """One forward pass in the making: what is asked of the method, and what it chose.

    Attributes:
        keep: what to keep.
        record: receives intermediate tensors.
        first_block: zero-based number of the first block of this run in the whole model.
        prefix: class tokens in front of the patches (0 or 1).
        kept, keys: per selector that ran, as in `trainer.models.output.ModelOutput`.
        aux: tensors for the method's own losses.
        probabilities: of the last block that ran.
    """

    keep: KeepSetting = DENSE
    record: Recorder = SILENT
    first_block: int = 0
    prefix: int = 1
    kept: list[Tensor] = field(default_factory=list)
    keys: list[Tensor | None] = field(default_factory=list)
    aux: dict[str, Tensor] = field(default_factory=dict)
    probabilities: Probabilities | None = None

    @property
    def ratios(self) -> Keep:
        """The ratios, for methods that know nothing else; `PeelVitError` when indices or counts are forced."""
        if not isinstance(self.keep, Keep):
            raise PeelVitError("only the trilevel token method takes counts or indices; give keep ratios")
        return self.keep

    def output(
        self, logits: Tensor, tokens: Tensor, attention_variance: Tensor, token_logits: Tensor | None = None
    ) -> ModelOutput:
        """The pass's result: what the head makes of it, and what was chosen on the way."""
        return ModelOutput(logits, tokens, self.kept, self.keys, attention_variance, self.aux, token_logits)

    @property
    def last_probabilities(self) -> Probabilities:
        """Probabilities of the block before; a selector in front of the first block has none."""
        if self.probabilities is None:
            raise PeelVitError("a selector cannot stand before block 1: no attention was computed yet; place it later")
        return self.probabilities


class TokenMethod(nn.Module):
    """How tokens flow through a run of blocks. It may own parameters (a predictor)."""

    name: ClassVar[str]
    sparse_attention: ClassVar[bool] = False
    """Whether it prunes attention connections too."""
    needs_teacher: bool = False
    """Whether its losses want the output of a dense teacher on the same images."""
    keeps_order: ClassVar[bool] = True
    """Whether tokens that leave are original patches in ascending order: neither merged nor fused nor summarised."""

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """Run `blocks` on x [B, P + N, D]; the tokens that are left, [B, P + K, D]."""
        raise NotImplementedError

    def losses(self, output: ModelOutput, labels: Tensor, teacher: ModelOutput | None) -> dict[str, Tensor]:
        """Losses to be added to the criterion in training, by name; `labels` int64 [B]."""
        return {}

    def check_dense_attention(self, state: ForwardState) -> None:
        """Refuse attention sparsity where the method has none."""
        if state.ratios.attention < 1.0:
            raise PeelVitError(
                f"the token method {self.name} has no attention sparsity; use trilevel or an attention keep ratio of 1"
            )


class DenseFlow(TokenMethod):
    """All tokens through all blocks."""

    name = "dense"

    def forward(self, blocks: Sequence[Block], x: Tensor, state: ForwardState) -> Tensor:
        """See `TokenMethod`."""
        if isinstance(state.keep, Keep) and not state.keep.is_dense:
            raise PeelVitError("the token method dense keeps everything; choose another one or keep ratios of 1")
        for number, block in enumerate(blocks, state.first_block):
            x = run_block(block, x, ALL_KEYS, state, number)
        return x


def run_block(block: Block, x: Tensor, connections: Connections, state: ForwardState, number: int) -> Tensor:
    """One whole block, whose zero-based number names what is recorded; leaves its probabilities in `state`."""
    record = state.record.within(f"blocks.{number}")
    x, state.probabilities = block.attend(x, connections, record)
    return block.feed_forward(x, record)

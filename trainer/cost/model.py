"""The cost of one image's step at any keep ratios."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainer.cost.layer import Layer, Row, rows_of
from trainer.keep import DENSE, Keep


class Architecture(Protocol):
    """What a family of models tells of itself; one image."""

    def flow(self, keep: Keep = DENSE, training: bool = False) -> Any:
        """How many tokens are where: something to compare and to hash."""

    def layers(self, flow: Any) -> Iterator[Layer]:
        """The layers that run with it."""


@dataclass(frozen=True)
class StepCost:
    """MACs of one image's step.

    Attributes:
        architecture: of which model.
        training: the token method does what it does in training, not what it does in inference.
        backward: count the backward pass too.
        recompute: attention's backward pass computes its probabilities again (see `trainer.cost.layer`).
    """

    architecture: Architecture
    training: bool = True
    backward: bool = True
    recompute: bool = False
    _known: dict[Hashable, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def rows(self, keep: Keep = DENSE) -> list[Row]:
        """Every pass of every layer."""
        layers = self.architecture.layers(self.architecture.flow(keep, self.training))
        return list(rows_of(layers, backward=self.backward, recompute=self.recompute))

    def __call__(self, keep: Keep = DENSE) -> int:
        """The sum of all rows."""
        flow = self.architecture.flow(keep, self.training)
        if flow not in self._known:
            self._known[flow] = sum(row.macs for row in self.rows(keep))
        return self._known[flow]


CONVENTIONS = {
    "training": {"backward": True, "recompute": False},
    "recompute": {"backward": True, "recompute": True},
    "forward": {"backward": False, "recompute": False},
}
"""What a step's MACs count: forward and backward with stored attention maps, with maps that the backward pass computes
again (accelerator, fused attention), or the forward pass alone."""

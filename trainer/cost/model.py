"""The cost of a model's step at any keep ratios."""

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

    With `training` the step is forward and backward, with the token method as it trains; without, forward as it infers.
    With `recompute` attention's backward pass computes its probabilities again (see `trainer.cost.layer`).
    """

    architecture: Architecture
    training: bool = True
    recompute: bool = False
    _known: dict[Hashable, int] = field(default_factory=dict, repr=False, compare=False)

    def rows(self, keep: Keep = DENSE) -> list[Row]:
        """Every pass of every layer."""
        layers = self.architecture.layers(self.architecture.flow(keep, self.training))
        return list(rows_of(layers, training=self.training, recompute=self.recompute))

    def __call__(self, keep: Keep = DENSE) -> int:
        """The sum of all rows."""
        flow = self.architecture.flow(keep, self.training)
        if flow not in self._known:
            self._known[flow] = sum(row.macs for row in self.rows(keep))
        return self._known[flow]

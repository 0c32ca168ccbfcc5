"""How far a run is, and what it has summed up on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Position:
    """Updates done: in `epoch`, and in the whole run. An epoch's may all be done while its end is still to come."""

    epoch: int = 0
    step: int = 0
    update: int = 0


@dataclass
class Totals:
    """Sums over the epoch so far (`loss` to `seconds`) and over the run; part of the checkpoint."""

    loss: float = 0.0
    images: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    run_images: int = 0
    run_seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add seconds by part."""
        for part, value in seconds.items():
            self.seconds[part] = self.seconds.get(part, 0.0) + value

    def close_epoch(self) -> None:
        """Move the epoch's sums to the run's."""
        self.run_images += self.images
        for part, value in self.seconds.items():
            self.run_seconds[part] = self.run_seconds.get(part, 0.0) + value
        self.loss, self.images, self.seconds = 0.0, 0, {}

"""EfficientTrain++'s curriculum: small and hardly augmented images first, full size and full augmentation last.

Wang et al., "EfficientTrain++: Generalized Curriculum Learning for Efficient Visual Backbone Training", IEEE TPAMI
2024, as its authors' published program trains DeiT-S (`_ET_pp_main_deitS.py`): ten stages of *equal computation*, the
first two at 96 pixels, four at 160, two at 192, two at 224, with RandAugment's magnitude the stage's number 0 to 9. A
stage at side B has (224 / B)^2 times as many epochs as one at 224, since the cost of an image goes with its area.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.errors import PeelVitError

PUBLISHED_SIDES = (96, 96, 160, 160, 160, 160, 192, 192, 224, 224)
"""Image side of each of the ten stages of equal computation, for a final side of 224."""


@dataclass(frozen=True)
class Stage:
    """What one epoch trains on: images of `image_size` x `image_size` pixels, RandAugment at this magnitude."""

    image_size: int
    randaugment_magnitude: float


@dataclass(frozen=True)
class Curriculum:
    """The stages spread over `epochs` epochs that end at `image_size` and `magnitude`; a pure function of the epoch.

    epochs: passes over the data in all, of every size. image_size: final side in pixels. multiple: every side is
    a multiple of it, so that patches (or patches times windows) fit; sides go to the nearest multiple.
    magnitude: RandAugment's final magnitude, 9 in the paper.
    """

    epochs: int
    image_size: int
    multiple: int = 16
    magnitude: float = 9.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise PeelVitError(f"a curriculum of {self.epochs} epochs is not possible; use 1 or more")
        if self.multiple < 1 or self.image_size % self.multiple:
            raise PeelVitError(
                f"images of {self.image_size} pixels are no multiple of {self.multiple}; choose a size that the "
                "model's patches fill"
            )

    @property
    def sides(self) -> tuple[int, ...]:
        """Image side of each of the ten stages, for this final side."""
        last = PUBLISHED_SIDES[-1]
        steps = (round(side * self.image_size / last / self.multiple) for side in PUBLISHED_SIDES)
        return tuple(max(1, step) * self.multiple for step in steps)

    def stage(self, epoch: int) -> Stage:
        """What `epoch`, counted from 0, trains on; the last epoch is always at full size and magnitude.

        Stage k gets the part w_k / sum(w) of the epochs, w_k = (image_size / side_k)^2; an epoch belongs to the stage
        in which its middle lies.
        """
        if epoch >= self.epochs - 1:
            return Stage(self.image_size, self.magnitude)
        number = self._number((epoch + 0.5) / self.epochs)
        return Stage(self.sides[number], self.magnitude * number / (len(self.sides) - 1))

    def relative_cost(self) -> float:
        """Pixels shown, as a part of those of as many epochs at full size."""
        shown = sum(self.stage(epoch).image_size ** 2 for epoch in range(self.epochs))
        return shown / (self.epochs * self.image_size**2)

    def _number(self, position: float) -> int:
        """The stage at `position` 0..1 of all epochs."""
        weights = [(self.image_size / side) ** 2 for side in self.sides]
        reached = 0.0
        for number, weight in enumerate(weights):
            reached += weight / sum(weights)
            if position < reached:
                return number
        return len(weights) - 1


def epochs_of_equal_cost(full_size_epochs: int, image_size: int, multiple: int = 16) -> int:
    """Passes over the data that cost, in pixels, as much as `full_size_epochs` at full size.

    It is how the paper states its budgets: 200 "epochs" of EfficientTrain++ cost two thirds of 300 epochs of DeiT.
    """
    sides = Curriculum(1, image_size, multiple).sides
    mean_weight = sum((image_size / side) ** 2 for side in sides) / len(sides)
    return max(1, round(full_size_epochs * mean_weight))

"""The paper's example selector: remove and restore, by forgetting events and then by attention variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from host.examples import ExampleSelector
from trainer.examples.method import EpochPlan, ExampleMethod, State
from trainer.examples.shown import Rows


class RemoveAndRestore(ExampleMethod):
    """Base of the methods that train on one subset and exchange part of it from time to time.

    Sizes, periods, what returns and the order of presentation are those of `host.examples.ExampleSelector`, the one
    rule for board and GPU; see there for the options.
    """

    def __init__(
        self,
        n: int,
        keep_ratio: float,
        epochs: int,
        seed: int,
        *,
        period_epochs: int = 30,
        remove_fraction: float = 0.05,
        iterations: int | None = None,
    ) -> None:
        super().__init__(n, keep_ratio, epochs, seed)
        self.selector = ExampleSelector(
            n,
            keep_ratio,
            period_epochs=period_epochs,
            remove_fraction=remove_fraction,
            iterations=iterations,
            seed=seed,
        )

    def plan(self, epoch: int) -> EpochPlan:
        """The subset, shuffled."""
        return EpochPlan(self.selector.order(epoch))

    def _state(self) -> State:
        return self.selector.state()

    def _load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.selector.load_state(state)


class TriLevel(RemoveAndRestore):
    """Every `period_epochs` the examples forgotten least leave, of equals those with the lowest mean variance.

    A forgetting event is a right prediction followed by a wrong one at the next presentation; an example never right
    since the last exchange counts as hardest, and one that was not shown at all leaves last. Presentations are counted
    as they happened: twice an epoch under repeated augmentation, not at all when only mixed faintly into others.
    """

    name = "trilevel"
    columns = ("correct", "attention_variance")

    @property
    def recording(self) -> bool:
        """Until the last exchange."""
        return self.selector.recording

    def _learn(self, epoch: int, rows: Rows | None) -> bool:
        if rows is not None:
            self.selector.record(rows["indices"], rows["correct"], rows["attention_variance"])
        return self.selector.end_epoch(epoch)

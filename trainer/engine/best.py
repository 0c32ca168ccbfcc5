"""Which epochs were best on the evaluation set. A figure chosen so is too good, and is always called chosen."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.engine.evaluation import Evaluation
from trainer.options import METRICS


@dataclass
class BestEpochs:
    """The `count` best epochs by `metric` (one of `METRICS`), the best first, the earlier of equal ones before."""

    metric: str
    count: int
    ranking: list[tuple[int, float]] = field(default_factory=list)

    def add(self, epoch: int, evaluation: Evaluation) -> list[int]:
        """Note an epoch; the epochs that leave the ranking."""
        sign = -1 if METRICS[self.metric] is max else 1
        self.ranking.append((epoch, getattr(evaluation, self.metric)))
        self.ranking.sort(key=lambda entry: (sign * entry[1], entry[0]))
        gone = [number for number, _ in self.ranking[self.count :]]
        del self.ranking[self.count :]
        return gone

    @property
    def best(self) -> int | None:
        """The best epoch so far."""
        return self.ranking[0][0] if self.ranking else None

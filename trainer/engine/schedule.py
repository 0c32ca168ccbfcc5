"""Learning rate and keep ratios of each update, by the part of the run that is done.

Progress is counted in epochs, and a step inside an epoch is its part of *that epoch's* steps. So the schedules reach
their end with the run's last update even where a method makes epochs of unequal length. Where all are equally long,
the values are those of `host.schedules` at the update's number.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.schedules import CosineRate, KeepRatio
from trainer.keep import Keep
from trainer.options import Options


@dataclass(frozen=True)
class Schedules:
    """The schedules of a run whose epochs have `nominal` updates where nothing changes their length."""

    nominal: int
    rate: CosineRate
    tokens: KeepRatio
    attention: KeepRatio

    @classmethod
    def of(cls, options: Options, nominal: int, world: int) -> Schedules:
        """Those that the options ask for in `world` processes."""
        total = options.epochs * nominal
        rate = CosineRate(
            options.learning_rate(world),
            total,
            warmup_steps=min(round(options.rate_warmup * nominal), total),
            warmup_start=options.warmup_lr,
            minimum=options.min_lr,
        )
        tokens, attention = (
            KeepRatio.between_epochs(target, *options.warmup_span, nominal)
            for target in (options.token_keep, options.attention_keep)
        )
        return cls(nominal, rate, tokens, attention)

    def learning_rate(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of update `step` of the `steps` of `epoch`, all from 0."""
        return self.rate(self._nominal_update(epoch, step, steps))

    def keep(self, epoch: int, step: int, steps: int) -> Keep:
        """The keep ratios of that update."""
        update = self._nominal_update(epoch, step, steps)
        return Keep(self.tokens(update), self.attention(update))

    @property
    def final(self) -> Keep:
        """The ratios of every evaluation."""
        return Keep(self.tokens.target, self.attention.target)

    def _nominal_update(self, epoch: int, step: int, steps: int) -> int:
        return epoch * self.nominal + step * self.nominal // steps

"""What changes over a training run: the learning rate, the keep ratios, and the counts a ratio stands for.

Steps are optimizer updates counted from 0; a schedule says what to use *for* that update. The learning-rate schedules
follow timm's `CosineLRScheduler` with `t_in_epochs=False`, so that a recipe moves between the two unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from host.errors import PeelVitError

RATIO_DECIMALS = 9
"""Products of a count and a ratio are rounded here first, so that float noise never adds a token: 0.07 * 100 is 7."""


@dataclass(frozen=True)
class CosineRate:
    """Linear warm-up to `base`, then half a cosine down to `minimum` at `total_steps`, and `minimum` afterwards.

    As in timm, the warm-up runs *over* the first part of the cosine, it does not push the cosine back.
    """

    base: float
    total_steps: int
    warmup_steps: int = 0
    warmup_start: float = 0.0
    minimum: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_steps <= self.total_steps:
            raise PeelVitError(
                f"the warm-up of {self.warmup_steps} updates does not fit in a run of {self.total_steps}; "
                "shorten the warm-up or train longer"
            )

    def __call__(self, step: int) -> float:
        """The learning rate for update `step`."""
        if step < self.warmup_steps:
            return self.warmup_start + step * (self.base - self.warmup_start) / self.warmup_steps
        if step >= self.total_steps:
            return self.minimum
        return cosine_between(self.base, self.minimum, step / self.total_steps)


@dataclass(frozen=True)
class ConstantRate:
    """Linear warm-up to `base`, which then stays."""

    base: float
    warmup_steps: int = 0
    warmup_start: float = 0.0

    def __call__(self, step: int) -> float:
        """The learning rate for update `step`."""
        if step >= self.warmup_steps:
            return self.base
        return self.warmup_start + step * (self.base - self.warmup_start) / self.warmup_steps


@dataclass(frozen=True)
class KeepRatio:
    """A keep ratio that is 1.0 up to `start_step`, then follows a cosine down to `target` at `end_step`, and stays.

    The paper warms up the token and the attention ratio alike (its code: from epoch 10 to epoch 110). Evaluation always
    uses `target`. With `start_step == end_step` the target holds from that step on.
    """

    target: float
    start_step: int = 0
    end_step: int = 0

    def __post_init__(self) -> None:
        check_ratio(self.target)
        if not 0 <= self.start_step <= self.end_step:
            raise PeelVitError(
                f"the keep-ratio warm-up from update {self.start_step} to {self.end_step} runs backwards; "
                "give an end that is not before its start"
            )

    @classmethod
    def between_epochs(cls, target: float, start: float, end: float, steps_per_epoch: int) -> KeepRatio:
        """The schedule that falls between the epochs `start` and `end` (counted from 0, fractions allowed)."""
        return cls(target, round(start * steps_per_epoch), round(end * steps_per_epoch))

    def __call__(self, step: int) -> float:
        """The keep ratio for update `step`."""
        if step >= self.end_step:
            return self.target
        if step <= self.start_step:
            return 1.0
        return cosine_between(1.0, self.target, (step - self.start_step) / (self.end_step - self.start_step))


def cosine_between(start: float, end: float, progress: float) -> float:
    """Half a cosine from `start` at progress 0 to `end` at progress 1."""
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * progress))


def check_ratio(ratio: float, name: str = "keep ratio") -> None:
    """Refuse a ratio outside (0, 1], NaN included."""
    if not 0.0 < ratio <= 1.0:
        raise PeelVitError(f"the {name} is {ratio}; give a number above 0 and at most 1")


def kept_count(total: int, ratio: float) -> int:
    """ceil(total * ratio), free of float noise: from 1 to `total` for any ratio in (0, 1] and `total` >= 1."""
    check_ratio(ratio)
    return max(1, math.ceil(round(total * ratio, RATIO_DECIMALS))) if total else 0


def token_counts(tokens: int, ratio: float, selectors: int) -> list[int]:
    """Patch tokens left after each of `selectors` selectors, every one keeping ceil(N * ratio) of what reaches it.

    The class token is kept on top and is not counted here. `tokens` is the number before the first selector.
    """
    counts: list[int] = []
    for _ in range(selectors):
        tokens = kept_count(tokens, ratio)
        counts.append(tokens)
    return counts


def keys_per_query(keys: int, ratio: float) -> int:
    """Keys that each query attends to when it keeps `ratio` of `keys`: ceil(keys * ratio), at least 1."""
    check_ratio(ratio, "attention keep ratio")
    return kept_count(keys, ratio)

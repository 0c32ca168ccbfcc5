"""The paper's Table 2 and the keep ratios of its levels."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from host.model import SELECT_BEFORE, Sparsity

EPOCH_IMAGES = 1_281_167
"""Training images of ImageNet-1K."""


@dataclass(frozen=True)
class Keep:
    """Part of the examples, tokens and attention connections that are kept."""

    examples: float
    tokens: float
    attention: float

    @property
    def sparsity(self) -> Sparsity:
        """The two levels inside the model."""
        return Sparsity(self.tokens, self.attention, SELECT_BEFORE)

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


LEVELS = {
    "dense": Keep(1.0, 1.0, 1.0),
    "0.9": Keep(0.95, 0.9, 0.8),
    "0.8": Keep(0.9, 0.8, 0.3),
    "0.7": Keep(0.9, 0.7, 0.6),
}
"""The paper does not publish the three ratios behind a level: these fit its MACs as the average over training."""

PAPER: dict[tuple[str, str], dict[str, float]] = {
    ("deit_tiny_patch16_224", "inference"): dict(zip(LEVELS, (10.91, 9.68, 8.50, 7.36), strict=True)),
    ("deit_small_patch16_224", "inference"): dict(zip(LEVELS, (25.68, 22.92, 20.25, 17.61), strict=True)),
    ("deit_tiny_patch16_224", "training"): dict(zip(LEVELS, (13.79, 11.49, 9.61, 8.91), strict=True)),
    ("deit_small_patch16_224", "training"): dict(zip(LEVELS, (32.44, 27.28, 22.55, 21.15), strict=True)),
}
"""Milliseconds an image in inference, hours an epoch in training; batch 1, 16 bits, ZCU102 at 150 MHz."""

TARGETS: dict[tuple[str, str], dict[str, float]] = {
    ("deit_tiny_patch16_224", "inference"): dict(zip(LEVELS, (5.0, 4.3, 3.7, 3.2), strict=True)),
    ("deit_small_patch16_224", "inference"): dict(zip(LEVELS, (17.0, 14.7, 12.6, 10.9), strict=True)),
    ("deit_tiny_patch16_224", "training"): dict(zip(LEVELS, (6.0, 4.9, 4.0, 3.5), strict=True)),
    ("deit_small_patch16_224", "training"): dict(zip(LEVELS, (19.5, 16.1, 13.0, 11.6), strict=True)),
}
"""What the accelerator is to reach, in the same units: inference at batch 1, training at micro-batch 16."""

TRAINING_BATCH = 16
"""Micro-batch of the training targets."""

FASTER_AT_BATCH_1 = 1.5
"""How many times faster than the paper training is to be in the paper's setting: batch 1, an update per image."""


def target(model: str, purpose: str, batch: int, level: str) -> float | None:
    """The time to reach in units of the paper; None where none is set."""
    if purpose == "training" and batch == 1:
        paper = PAPER.get((model, purpose), {}).get(level)
        return None if paper is None else paper / FASTER_AT_BATCH_1
    if batch != (1 if purpose == "inference" else TRAINING_BATCH):
        return None
    return TARGETS.get((model, purpose), {}).get(level)

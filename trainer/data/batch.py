"""What passes between loader, augmentation, model and example selector in one step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One rank's part of a step as it comes from the data set, on the training device.

    images: uint8 [B, C, H, W]. labels: int64 [B]. indices: int64 [B], positions in the training set.
    weights: float32 [B], the loss weight of each presentation, or None for all ones.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class MixedBatch:
    """One rank's part of a step, augmented: what the model and the loss see.

    images: float32 [B, C, H, W], normalised. labels: int64 [B], of the slot's own example; other_labels: int64 [B], of
    the example mixed into it (its own again where nothing was mixed). share: float32 [B], the part of the image
    that belongs to `labels`: mixup's lambda, or one minus the true area of cutmix's box; 1.0 unmixed. indices and
    other_indices: int64 [B], the two examples' positions in the training set. weights: float32 [B] of the slot's own
    presentation, or None.
    """

    images: Tensor
    labels: Tensor
    other_labels: Tensor
    share: Tensor
    indices: Tensor
    other_indices: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

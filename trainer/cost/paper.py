"""Figures that the paper gives, to stand beside ours: Table 1 (ImageNet-1K, 300 epochs, 4 V100 GPUs)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Savings against dense training, as fractions."""

    macs_saved: float
    time_saved: float


TABLE_1 = {
    ("deit_tiny_patch16_224", "0.9"): Published(0.174, 0.152),
    ("deit_tiny_patch16_224", "0.8"): Published(0.319, 0.294),
    ("deit_tiny_patch16_224", "0.7"): Published(0.385, 0.356),
    ("deit_small_patch16_224", "0.9"): Published(0.170, 0.157),
    ("deit_small_patch16_224", "0.8"): Published(0.313, 0.298),
    ("deit_small_patch16_224", "0.7"): Published(0.376, 0.343),
    ("deit_base_patch16_224", "0.9"): Published(0.156, 0.102),
    ("deit_base_patch16_224", "0.8"): Published(0.291, 0.237),
    ("swin_tiny_patch4_window7_224", "0.9"): Published(0.156, 0.131),
    ("swin_tiny_patch4_window7_224", "0.8"): Published(0.253, 0.211),
    ("swin_small_patch4_window7_224", "0.8"): Published(0.241, 0.202),
}
"""By model and level, that is "Tri-Level/0.9" and so on."""

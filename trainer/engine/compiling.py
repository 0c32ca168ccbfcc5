"""torch.compile, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from trainer.models.base import ImageClassifier


def compile_blocks(model: ImageClassifier) -> None:
    """Compile both halves of each transformer block in place.

    Only the blocks: what happens between them changes with the schedules of the keep ratios, and would be compiled
    anew for every token count.
    """
    modules: Iterator[Any] = model.modules()
    for module in modules:
        if hasattr(module, "attend") and hasattr(module, "feed_forward"):
            module.attend = torch.compile(module.attend, dynamic=True)
            module.feed_forward = torch.compile(module.feed_forward, dynamic=True)

"""torch.compile, block by block."""

from __future__ import annotations

import torch
from torch import nn


def compile_blocks(model: nn.Module) -> None:
    """Compile both halves of each transformer block in place.

    Only the blocks: what happens between them changes with the schedules of the keep ratios, and would be compiled
    anew for every token count.
    """
    for module in model.modules():
        if hasattr(module, "attend") and hasattr(module, "feed_forward"):
            module.attend = torch.compile(module.attend, dynamic=True)
            module.feed_forward = torch.compile(module.feed_forward, dynamic=True)

"""The optimizer: what is decayed, and how fast each layer learns."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from trainer.models.base import ImageClassifier
from trainer.options import Options

SCALE = "lr_scale"
"""Entry of a parameter group that multiplies the learning rate."""

_BLOCK = re.compile(r".*?blocks\.\d+\.")


def parameter_groups(
    model: ImageClassifier, weight_decay: float, layer_decay: float | None = None
) -> list[dict[str, Any]]:
    """Groups of the trainable parameters.

    Vectors, biases and what `model.no_weight_decay()` names are not decayed. With `layer_decay` d the learning rate of
    a parameter that is k layers below the head is multiplied by d**k (Clark et al., "ELECTRA", 2020, as in BEiT).
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    spared = model.no_weight_decay()
    scales = dict.fromkeys(named, 1.0) if layer_decay is None else _layer_scales(list(named), layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in named.items():
        plain = parameter.ndim <= 1 or name.endswith(".bias") or name in spared
        groups[scales[name], 0.0 if plain else weight_decay].append(parameter)
    return [{"params": group, "weight_decay": decay, SCALE: scale} for (scale, decay), group in groups.items()]


def _layer_scales(names: list[str], layer_decay: float) -> dict[str, float]:
    """Embeddings are layer 0, blocks are counted through all stages, and norm and head are the layer above them."""
    blocks = list(dict.fromkeys(found[0] for name in names if (found := _BLOCK.match(name))))
    first = min((index for index, name in enumerate(names) if _BLOCK.match(name)), default=0)
    top = len(blocks) + 1
    scales = {}
    for index, name in enumerate(names):
        found = _BLOCK.match(name)
        layer = blocks.index(found[0]) + 1 if found else (0 if index < first else top)
        scales[name] = layer_decay ** (top - layer)
    return scales


def create_optimizer(options: Options, model: ImageClassifier) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum over the groups; the learning rate is set before each update."""
    groups = parameter_groups(model, options.weight_decay, options.layer_decay)
    if options.opt == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=options.momentum)
    beta1, beta2 = options.opt_betas
    return torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=options.opt_eps)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use `rate`, scaled by layer, for the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[SCALE]

"""cross_entropy: the gradient of the logits, and the terms of the loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hls.spec.formats import PROBABILITY_BITS, limit
from sim.golden.calls import Flags, Fractions
from sim.golden.curves import distance, exponential, probabilities
from sim.golden.fixed import Results, Stored, round_shift, saturate, store
from sim.golden.slots import Statistics

NATURAL_SCALE = 1512775
"""log2(e) with 20 fraction bits."""
TARGET_BITS = 30


def cross_entropy(
    *,
    logits: Tensor,
    labels: Tensor,
    n: int,
    target_on: int,
    target_off: int,
    f: Fractions,
    flags: Flags,
    **_: Any,
) -> Results:
    """dlogits [batch, n] and terms [batch, 8] of logits [batch, n] and labels [1, batch]; targets are Q30."""
    wide, label = logits.long(), labels.long().T.clamp(0, n - 1)
    d = wide.amax(1, keepdim=True) - wide
    e = exponential(d, f["logits"][0], NATURAL_SCALE)
    total = e.sum(1, keepdim=True)
    target = torch.full_like(wide, target_off).scatter_(1, label, target_on)
    weighted = (target * distance(d, f["logits"][0])).sum(1)
    predicted = wide.argmax(1)
    terms = wide.new_zeros(len(wide), 8)
    terms[:, 0] = total[:, 0].clamp(max=limit(32))
    terms[:, 1] = saturate(round_shift(weighted, TARGET_BITS), 32)
    terms[:, 2] = predicted
    terms[:, 3] = predicted == label[:, 0]
    results = {"terms": Stored(terms.int())}
    if "GRADIENT" in flags:
        p = round_shift(probabilities(e, total), PROBABILITY_BITS - TARGET_BITS)
        dlogits, statistics = store(p - target, TARGET_BITS, f["dlogits"][1])
        results["dlogits"] = Stored(dlogits, (Statistics(), statistics))
    return results

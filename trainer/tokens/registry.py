"""Token methods by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from host.errors import PeelVitError
from trainer.attention.longformer import LongformerAttention
from trainer.attention.magnitude import MagnitudeAttention
from trainer.attention.methods import SelectedAttention
from trainer.tokens.dynamic_vit import DynamicTokenSparsification
from trainer.tokens.evit import TokenReorganisation
from trainer.tokens.evo_vit import SlowFastEvolution
from trainer.tokens.ia_red2 import RedundancyReduction
from trainer.tokens.method import DenseFlow, TokenMethod
from trainer.tokens.patch_dropout import PatchDropout
from trainer.tokens.static import StaticSelection
from trainer.tokens.tome import TokenMerging
from trainer.tokens.trilevel import TokenAttentionSelector

ATTENTION_METHODS: dict[str, Callable[..., Any]] = {
    method.name: method for method in (SelectedAttention, MagnitudeAttention, LongformerAttention)
}


@dataclass(frozen=True)
class ModelFacts:
    """What a method may need to know of its model: width, heads, blocks, patches, classes, and the seed."""

    dim: int
    heads: int
    depth: int
    patches: int
    classes: int
    seed: int = 0


def _dense(facts: ModelFacts, places: Sequence[int], placement: str, attention: Any) -> TokenMethod:
    return DenseFlow()


def _trilevel(
    facts: ModelFacts, places: Sequence[int], placement: str, attention: Any, fused_token: bool = False
) -> TokenMethod:
    return TokenAttentionSelector(places, placement, fused_token, attention)


def _static(facts: ModelFacts, places: Sequence[int], placement: str, attention: Any) -> TokenMethod:
    _only_before(placement, "static")
    return StaticSelection(places)


def _evit(facts: ModelFacts, places: Sequence[int], placement: str, attention: Any) -> TokenMethod:
    """Always inside its blocks."""
    return TokenReorganisation(places)


def _evo_vit(
    facts: ModelFacts,
    places: Sequence[int],
    placement: str,
    attention: Any,
    first_block: int | None = None,
    tradeoff: float = 0.5,
) -> TokenMethod:
    """Block 5 as in the paper, or the last one of a model that has no block 5."""
    _only_before(placement, "evo_vit")
    return SlowFastEvolution(first_block or min(5, max(2, facts.depth)), tradeoff)


def _dynamic_vit(
    facts: ModelFacts,
    places: Sequence[int],
    placement: str,
    attention: Any,
    distil: bool = True,
    ratio_weight: float = 2.0,
    logits_weight: float = 0.5,
    tokens_weight: float = 0.5,
) -> TokenMethod:
    _only_before(placement, "dynamic_vit")
    return DynamicTokenSparsification(facts.dim, places, facts.seed, distil, ratio_weight, logits_weight, tokens_weight)


def _ia_red2(
    facts: ModelFacts,
    places: Sequence[int],
    placement: str,
    attention: Any,
    tau: float = 0.5,
    reward_weight: float = 1.0,
) -> TokenMethod:
    _only_before(placement, "ia_red2")
    return RedundancyReduction(facts.dim, facts.heads, places, facts.seed, tau, reward_weight)


def _patch_dropout(facts: ModelFacts, places: Sequence[int], placement: str, attention: Any) -> TokenMethod:
    _only_before(placement, "patch_dropout")
    return PatchDropout()


def _tome(
    facts: ModelFacts, places: Sequence[int], placement: str, attention: Any, r: int | None = None
) -> TokenMethod:
    _only_before(placement, "tome")
    return TokenMerging(places, r)


def _only_before(placement: str, name: str) -> None:
    if placement != "before":
        raise PeelVitError(f"the token method {name} has one place of its own; leave the placement at before")


TOKEN_METHODS: dict[str, Callable[..., TokenMethod]] = {
    "dense": _dense,
    "trilevel": _trilevel,
    "static": _static,
    "evit": _evit,
    "evo_vit": _evo_vit,
    "dynamic_vit": _dynamic_vit,
    "ia_red2": _ia_red2,
    "patch_dropout": _patch_dropout,
    "tome": _tome,
}
"""Builders by name: (facts, places, placement, attention method, **the method's own options)."""


def create_token_method(
    name: str,
    facts: ModelFacts,
    places: Sequence[int],
    *,
    placement: str = "before",
    attention_method: str = "selected",
    options: Mapping[str, Any] | None = None,
) -> TokenMethod:
    """The method `name` for a model; `options` are those of the token method or of the attention method.

    Raises `PeelVitError` for unknown names and options. Places behind the last block are left out.
    """
    build = known(name, TOKEN_METHODS, "token method")
    build_attention = known(attention_method, ATTENTION_METHODS, "attention method")
    token_options, attention_options = _split(dict(options or {}), build, build_attention, name, attention_method)
    places = [place for place in places if place <= facts.depth]
    return build(facts, places, placement, build_attention(**attention_options), **token_options)


def known(name: str, choices: Mapping[str, Any], what: str) -> Any:
    """`choices[name]`; `PeelVitError` with a suggestion when there is none."""
    if name in choices:
        return choices[name]
    raise PeelVitError(f"there is no {what} {name!r}; choose {suggestion(name, choices)}")


def suggestion(name: str, choices: Iterable[str]) -> str:
    """The nearest name, or all of them."""
    near = difflib.get_close_matches(name, choices, 1)
    return near[0] if near else ", ".join(choices)


def _split(
    options: dict[str, Any], build: Callable[..., Any], build_attention: Callable[..., Any], *names: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    own = list(inspect.signature(build).parameters)[4:]
    attention = list(inspect.signature(build_attention).parameters)
    for option in options:
        if option not in own + attention:
            has = f"it has {', '.join(own + attention)}" if own + attention else "it has none"
            raise PeelVitError(f"{' with '.join(names)} has no option {option!r}; {has}")
    return ({k: v for k, v in options.items() if k in own}, {k: v for k, v in options.items() if k not in own})

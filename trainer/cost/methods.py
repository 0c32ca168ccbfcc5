"""The flow of tokens by token method, in training and in inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from host.errors import PeelVitError
from host.schedules import kept_count
from trainer.cost.tokens import BlockTokens, Flow, Predictor, Run, dense, trilevel
from trainer.keep import Keep
from trainer.tokens.tome import TokenMerging

COMPUTES_ALL_KEYS = frozenset({"magnitude"})
"""Attention methods that choose keys by scores which they must compute first: nothing is saved."""


@dataclass(frozen=True)
class TokenSetting:
    """A token method with its options, named as in `trainer.models.registry.create_model`."""

    token_method: str = "trilevel"
    attention_method: str = "selected"
    select_before: tuple[int, ...] = (4, 7, 10)
    placement: str = "before"
    method_options: Mapping[str, Any] = field(default_factory=dict)

    def flow(self, run: Run, keep: Keep, training: bool) -> Flow:
        """What the blocks of `run` compute; `PeelVitError` for a method whose cost is not known."""
        if self.token_method not in FLOWS:
            raise PeelVitError(f"the cost of token method {self.token_method} is unknown; choose {', '.join(FLOWS)}")
        if keep.attention < 1 and self.token_method != "trilevel":
            raise PeelVitError(
                f"the token method {self.token_method} has no attention sparsity; use trilevel or an attention keep "
                "ratio of 1"
            )
        return FLOWS[self.token_method](self, run, keep, training)

    def option(self, name: str, default: Any) -> Any:
        """A method's own option."""
        return self.method_options.get(name, default)


def _dense(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    return dense(run)


def _trilevel(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    if setting.attention_method in COMPUTES_ALL_KEYS:
        keep = Keep(keep.tokens)
    return trilevel(run, keep, setting.select_before, setting.placement, setting.option("fused_token", False))


def _static(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """As many tokens at the same places as the paper's selector."""
    return trilevel(run, keep, setting.select_before)


def _evit(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """Between attention and MLP, with a fused token."""
    return trilevel(run, keep, setting.select_before, "inside", fused_token=True)


def _evo_vit(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """From a first block on the slow patches and one representative of the others; all patches leave."""
    slow = kept_count(run.patches, keep.tokens)
    if slow == run.patches:
        return dense(run)
    first = setting.option("first_block", None) or min(5, max(2, run.depth))
    blocks = [
        BlockTokens(*(2 * (slow + 1 if number >= first else run.patches,)))
        for number in range(run.first_block + 1, run.first_block + run.depth + 1)
    ]
    return Flow(tuple(blocks), run.patches)


def _dynamic_vit(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """Training masks, and computes everything, its predictors and a teacher; inference prunes."""
    flow = dense(run) if training else trilevel(run, keep, setting.select_before)
    if not training and keep.is_dense:
        return flow
    predictors = []
    for number, rows in _entering(setting.select_before, run, flow):
        widths = (run.dim, run.dim, run.dim // 2, run.dim // 4, 2)
        for layer, (inputs, outputs) in enumerate(pairwise(widths)):
            predictors.append(Predictor(f"predictors.{number}.{layer}", rows, inputs, outputs))
    return replace(flow, predictors=tuple(predictors), teacher=training and setting.option("distil", True))


def _ia_red2(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """Training masks; how many patches inference drops depends on the images, and here it is none: an upper bound."""
    flow = dense(run)
    if not training and keep.is_dense:
        return flow
    predictors = []
    for number, rows in _entering(setting.select_before, run, flow):
        name = f"interpreters.{number}"  # they read detached tokens
        predictors.append(Predictor(f"{name}.query", rows, run.dim, run.dim, input_gradient=False))
        predictors.append(Predictor(f"{name}.key", 1, run.dim, run.dim, input_gradient=False))
    return replace(flow, predictors=tuple(predictors))


def _entering(places: Sequence[int], run: Run, flow: Flow) -> list[tuple[int, int]]:
    """(number, patches that enter) of each place in a run."""
    counts = [run.patches, *(block.feed_forward for block in flow.blocks)]
    inside = [place for place in places if run.first_block < place <= run.first_block + run.depth]
    return [(number, counts[place - 1 - run.first_block]) for number, place in enumerate(inside)]


def _patch_dropout(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """One random part of the patches in front of the first block, in training only."""
    if not training or run.first_block:
        return dense(run)
    return dense(run._replace(patches=kept_count(run.patches, keep.tokens)))


def _tome(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    """Merges in every block, between attention and MLP."""
    places = [place for place in setting.select_before if place <= run.first_block + run.depth]
    merging = TokenMerging(places, setting.option("r", None))
    blocks, patches = [], run.patches
    for merged in merging.merges(run.patches, keep.tokens, run.depth, run.first_block):
        blocks.append(BlockTokens(patches, patches - merged))
        patches -= merged
    return Flow(tuple(blocks), patches)


FLOWS: dict[str, Callable[[TokenSetting, Run, Keep, bool], Flow]] = {
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
"""By the names of `trainer.tokens.registry`."""

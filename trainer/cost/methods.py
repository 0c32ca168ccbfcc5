"""The flow of tokens by token method, in training and in inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from host.errors import PeelVitError
from trainer.cost.tokens import Flow, Run, dense, trilevel
from trainer.keep import Keep


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
        return FLOWS[self.token_method](self, run, keep, training)


def _dense(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    return dense(run)


def _trilevel(setting: TokenSetting, run: Run, keep: Keep, training: bool) -> Flow:
    return trilevel(run, keep, setting.select_before, setting.placement, **_options(setting, "fused_token"))


def _options(setting: TokenSetting, *names: str) -> dict[str, Any]:
    return {name: setting.method_options[name] for name in names if name in setting.method_options}


FLOWS: dict[str, Callable[[TokenSetting, Run, Keep, bool], Flow]] = {"dense": _dense, "trilevel": _trilevel}

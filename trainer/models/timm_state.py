"""Import of state dicts with timm's keys."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from host.errors import PeelVitError
from host.float_weights import plain_name
from trainer.models.base import ImageClassifier

METHOD_PREFIX = "token_method."
"""Of a token method's own parameters, which other people's weights and those of other methods do not have."""


def load_timm_state(model: ImageClassifier, state: Mapping[str, Tensor]) -> None:
    """Copy `state` into `model`, all tensors or none; how many were mapped is printed, or said in the error.

    Names of the original repositories and of older timms are understood (`ImageClassifier.timm_names`).
    Parameters of the token method that `state` does not have stay fresh, which is printed too; those of another token
    method are left out.

    Raises PeelVitError when a tensor is missing, unknown or of another shape.
    """
    state = model.timm_names({plain_name(name): tensor for name, tensor in state.items()})
    wanted = model.state_dict()
    state = {name: tensor for name, tensor in state.items() if name in wanted or not name.startswith(METHOD_PREFIX)}
    fresh = [name for name in wanted if name not in state and name.startswith(METHOD_PREFIX)]
    wanted = {name: tensor for name, tensor in wanted.items() if name not in fresh}
    mapped = [name for name, tensor in state.items() if name in wanted and _shape(tensor) == wanted[name].shape]
    count = f"{len(mapped)} of {len(wanted)} tensors mapped"
    if problem := _first_problem(wanted, state):
        raise PeelVitError(
            f"these weights do not fit the model ({count}): {problem}; choose the model they were saved from"
        )
    model.load_state_dict(state, strict=False)  # compared above, key by key
    print(count + (f", {_listed(fresh)} fresh" if fresh else ""))


def _shape(tensor: object) -> object:
    return getattr(tensor, "shape", None)


def _first_problem(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str | None:
    for name, tensor in wanted.items():
        if name in state and _shape(state[name]) != tensor.shape:
            found = list(state[name].shape) if isinstance(state[name], Tensor) else type(state[name]).__name__
            return f"{name} is {found} where the model has {list(tensor.shape)}"
    if missing := [name for name in wanted if name not in state]:
        return f"{_listed(missing)} missing"
    if unknown := [name for name in state if name not in wanted]:
        return f"{_listed(unknown)} not in the model"
    return None


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{rest} {'is' if len(names) == 1 else 'are'}"

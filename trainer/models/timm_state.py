"""Import of state dicts with timm's keys."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from host.errors import PeelVitError
from trainer.models.base import ImageClassifier

METHOD_PREFIX = "token_method."  # a predictor's own parameters, which a checkpoint of timm cannot have
WRAPPER_PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile


def load_timm_state(model: ImageClassifier, state: Mapping[str, Tensor]) -> None:
    """Copy `state` into `model`, all tensors or none, and print how many were mapped.

    Names of the original repositories and of older timms are understood (`ImageClassifier.timm_names`).
    A state without any tensor of the model's token method leaves the method's own as they are.

    Raises PeelVitError when a tensor is missing, unknown or of another shape.
    """
    state = model.timm_names({_plain_name(name): tensor for name, tensor in state.items()})
    wanted = model.state_dict()
    if not any(name.startswith(METHOD_PREFIX) for name in state):
        wanted = {name: tensor for name, tensor in wanted.items() if not name.startswith(METHOD_PREFIX)}
    mapped = [name for name, tensor in state.items() if name in wanted and _shape(tensor) == wanted[name].shape]
    print(f"{len(mapped)} of {len(wanted)} tensors mapped")
    if problem := _first_problem(wanted, state):
        raise PeelVitError(f"these weights do not fit the model: {problem}; choose the model they were saved from")
    model.load_state_dict(state, strict=False)  # compared above, key by key


def _plain_name(name: str) -> str:
    while name.startswith(WRAPPER_PREFIXES):
        name = name.split(".", 1)[1]
    return name


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

"""What a training run saved, modelled, with the images that it really showed."""

from __future__ import annotations

from typing import Any

from host.errors import PeelVitError
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.schedule import TrainingRun


def modelled_macs(model: str, run: TrainingRun, shown: float | None, **arguments: Any) -> dict[str, Any] | None:
    """MACs of one image's training step, dense and at the final ratios, and the part of the dense run's MACs saved.

    Arguments:
        model: by name, with the `arguments` of `trainer.cost.architectures.describe`.
        run: its updates and ratios; its examples do not matter here.
        shown: images shown as a part of those that the same run shows without example sparsity; None where the run is
            not complete, and so what it saved.

    None where the cost of the model with its methods is not described.
    """
    try:
        cost = StepCost(describe(model, **arguments))
        dense = StepCost(describe(model, **(arguments | {"token_method": "dense"})))()
        saved = None if shown is None else 1 - shown * run.average(cost) / dense
        return {"step_dense": dense, "step_final": cost(run.keep), "saved_in_run": saved}
    except PeelVitError:
        return None

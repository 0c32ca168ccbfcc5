"""A session: one model on one device, trained, evaluated, saved and resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.calibration import Run, calibrate, cleared
from host.device import Device
from host.errors import CheckpointError, PeelVitError
from host.evaluation import Evaluator
from host.fabric_optimizers import FabricOptimizer, fabric_optimizer
from host.layout import plan_layout
from host.memory import DEFAULT_LIMIT
from host.micro_batches import Coming, Labels, MicroBatch, Patches, Steps, nothing_coming
from host.model import Sparsity, TokenPlan, ViTConfig
from host.optimizers import OPTIMIZERS, HostAdamW, check_hyperparameters
from host.parameters import FloatArray
from host.results import EvalResult, StepResult, Terms, decode_terms, decode_variance
from host.runner import Runner
from host.slots import SlotTable, as_words, from_words
from host.tensor_memory import TensorMemory
from host.tensors import Group, Use
from host.weights import Weights

WEIGHT_GRADIENT_HEADROOM = 4
"""Bits that calibration keeps free for weight gradients: they are 32 bits wide, and sums vary more than their terms."""

_OPTIMIZER_PREFIX = "adamw."


@dataclass(frozen=True)
class SessionOptions:
    """What a session is for.

    Attributes:
        batch: images of a micro-batch.
        training: whether to train; without it memory for gradients and saved activations is not taken.
        optimizer: `sgd` (momentum) or `adamw-fabric`, both on the fabric, or `adamw` (on the processor cores).
        betas, eps: of AdamW.
        label_smoothing: in [0, 1).
        memory_limit: bytes of device memory there are.
        trace: keep every tensor readable after a run.
    """

    batch: int
    training: bool = True
    optimizer: str = "sgd"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    label_smoothing: float = 0.0
    memory_limit: int = DEFAULT_LIMIT
    trace: bool = False

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise PeelVitError(f"a micro-batch of {self.batch} images is impossible; give 1 or more")
        if self.optimizer not in OPTIMIZERS:
            raise PeelVitError(f"there is no optimizer {self.optimizer}; choose {' or '.join(OPTIMIZERS)}")


class Session:
    """One model on one device.

    Load parameters (or a state), calibrate on a first batch, then train and evaluate. Patches are int16 [n, N, F] at
    `host.slots.INPUT_FRACTION`, labels integers [n]; n is a multiple of the micro-batch in training, and anything else.

    `sparsity` is the target, with which evaluations run; training starts with it too until `set_sparsity`.
    """

    def __init__(self, device: Device, model: ViTConfig, sparsity: Sparsity, options: SessionOptions) -> None:
        self.model, self.options, self._device = model, options, device
        self.target = self.plan = sparsity.plan(model)
        update = OPTIMIZERS[options.optimizer]
        use = Use(options.batch, options.training, update, self.target.selectors, options.trace)
        self.layout = plan_layout(device.config, model, use, options.memory_limit)
        device.allocate(self.layout.memory.words)
        self.memory = TensorMemory(device, self.layout)
        self.weights = Weights(self.memory, self.layout)
        self._runner = Runner(device, self.layout, self.memory, options.label_smoothing)
        self._steps = Steps(options.batch)
        self._fabric: FabricOptimizer | None = None
        self._adamw: HostAdamW | None = None
        if options.training and update is not None:
            self._fabric = fabric_optimizer(update, options.betas, options.eps)
        elif options.training:
            self._adamw = HostAdamW(self.memory, self.weights, self.layout, options.betas, options.eps)
        self._table = self.layout.slots.initial_table()
        self._loaded = self._calibrated = False
        self._last_evaluator: Evaluator | None = None

    # Parameters and state

    def load_parameters(self, state: Mapping[str, FloatArray]) -> None:
        """Load float arrays by timm's names; `PeelVitError` names the first that does not fit."""
        self._table = self.layout.slots.initial_table()
        self.weights.load_float(state, self._table)
        self._keep_table(self._table)
        self._loaded, self._calibrated = True, False

    def export_float(self) -> dict[str, NDArray[np.float32]]:
        """The parameters as float32 arrays by timm's names."""
        return self.weights.export_float(self._table)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything needed to continue bit for bit: master weights, optimizer state and the slot table."""
        state: dict[str, NDArray[Any]] = {"slots": as_words(self._table).copy(), **self.weights.state()}
        return state | {_OPTIMIZER_PREFIX + name: array for name, array in self._optimizer_state().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()`; `CheckpointError` when it is of another model, optimizer or version."""
        optimizer = {k.removeprefix(_OPTIMIZER_PREFIX): v for k, v in state.items() if k.startswith(_OPTIMIZER_PREFIX)}
        own = {name: array for name, array in state.items() if not name.startswith(_OPTIMIZER_PREFIX)}
        self._check_state(own, bool(optimizer))
        for part in (self._fabric, self._adamw):
            if part is not None:
                part.load_state(optimizer)
        self.weights.load_state(own)
        self._keep_table(from_words(own["slots"]).copy())
        self._loaded = self._calibrated = True

    def _optimizer_state(self) -> dict[str, NDArray[Any]]:
        """What the host remembers of the optimizer."""
        optimizer = self._fabric if self._fabric is not None else self._adamw
        return optimizer.state() if optimizer is not None else {}

    def _check_state(self, own: Mapping[str, NDArray[Any]], has_optimizer: bool) -> None:
        wanted = {"slots": as_words(self._table).shape, **self.weights.state_shapes()}
        different = dict(wanted.items() ^ {name: array.shape for name, array in own.items()}.items())
        if different or has_optimizer != bool(self._optimizer_state()):
            what = f"see '{min(different)}'" if different else "it is of another optimizer"
            raise CheckpointError(
                f"the saved training state does not fit this run ({what}); "
                "resume with the model, optimizer and micro-batch that it was made with"
            )

    def close(self) -> None:
        """Give the device's memory back."""
        self._device.close()

    # Training

    def calibrate(self, patches: Patches, labels: Labels | None = None) -> None:
        """Find the fractions of activations (and, in training, of gradients) from a first batch.

        Give the images of a whole optimizer step: the first micro-batch runs a few times, and their number says how far
        the weight gradients will add up. Labels are needed for training only.
        """
        self._need(self._loaded, "load parameters")
        batch = self.options.batch
        steps = max(1, len(patches) // batch)
        headroom = {Group.WEIGHT_GRADIENT: WEIGHT_GRADIENT_HEADROOM + (steps - 1).bit_length()}
        self._runner.inputs.write_patches(patches[:batch])
        run: Run = partial(self._runner.run_with_slots, self.plan, "forward", False)
        if self.options.training:
            if labels is None:
                raise ValueError("calibration for training needs labels")
            self._runner.inputs.write_labels(labels[:batch])
            run = partial(self._runner.run_with_slots, self.plan, "train", False)
        table = calibrate(self._table, self.layout.slots, run, headroom)
        self._keep_table(self._with_weights_of(self._table, cleared(table)))
        self._calibrated = True

    def _with_weights_of(self, source: SlotTable, table: SlotTable) -> SlotTable:
        weights = self.layout.slots.groups[Group.WEIGHT]
        table[weights.start : weights.stop] = source[weights.start : weights.stop]
        return table

    def set_sparsity(self, sparsity: Sparsity) -> None:
        """Train with other keep ratios from now on: those of the warm-up. The places of the selectors stay."""
        self.plan = self._plan_of(sparsity)
        self._last_evaluator = None

    def train_step(
        self,
        patches: Patches,
        labels: Labels,
        *,
        learning_rate: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        coming: Coming = nothing_coming,
    ) -> StepResult:
        """One optimizer step over `len(patches)` images, accumulated over micro-batches: a power of two.

        `coming` gives the arrays of the step behind this one, so that its first images reach the device meanwhile;
        they must not change until then.
        """
        self._need(self._calibrated, "calibrate")
        images, parts = len(patches), self._steps.take(patches, labels)
        check_hyperparameters(learning_rate, momentum, weight_decay)
        if self._fabric is not None:
            row = self._fabric.hyperparameters(learning_rate, momentum, weight_decay)
            self.memory.write("hyperparameters", row)
        terms, variances, cycles = [], [], 0
        for part, following in zip_longest(parts, parts[1:]):
            cycles += self._runner.run(
                self.plan,
                "train",
                accumulate=part is not parts[0],
                update_images=images if self._fabric is not None and following is None else None,
                place=self._runner.inputs.place(part),
                work=partial(self._place_next, following, coming),
            )
            terms.append(decode_terms(self.memory.read("terms")))
            variances.append(decode_variance(self.memory.read("variance"), self.model.heads))
        if self._adamw is not None:
            cycles += self._adamw_step(self._adamw, images, learning_rate, weight_decay)
        before = self._table["saturations"]
        self._table = self.memory.read_slots(self.layout.training_slots)
        self._last_evaluator = None
        saturations = int((self._table["saturations"] - before).sum(dtype=np.int64))
        joined = _join(terms)
        return StepResult(
            joined.losses, joined.correct, joined.predicted, np.concatenate(variances), cycles, saturations
        )

    def _place_next(self, following: MicroBatch | None, coming: Coming) -> None:
        """Write what is run next: of this step, or of the one behind it. What is wrong with that its own step says."""
        with suppress(PeelVitError):
            if following is None and (arrays := coming()) is not None:
                following = self._steps.announce(*arrays)
            if following is not None:
                self._runner.inputs.place(following)

    def _adamw_step(self, adamw: HostAdamW, images: int, learning_rate: float, weight_decay: float) -> int:
        table = self.memory.read_slots(self.layout.training_slots)
        adamw.step(table, images, learning_rate, weight_decay)
        self.memory.write_slots(self.layout.training_slots, table)
        return self._runner.run_exponent_update()

    # Evaluation

    def evaluate(self, patches: Patches, labels: Labels, sparsity: Sparsity | None = None) -> EvalResult:
        """Losses and predictions of any number of images, at the target sparsity unless another is given."""
        return self._evaluator(sparsity).evaluate(patches, labels)

    def logits(self, patches: Patches, sparsity: Sparsity | None = None) -> NDArray[np.float64]:
        """Logits [n, classes] of any number of images."""
        return self._evaluator(sparsity).logits(patches)

    def kept_tokens(self, patches: Patches, sparsity: Sparsity | None = None) -> list[NDArray[np.int64]]:
        """For every selector the surviving patches [n, K], as ascending positions in the original image."""
        return self._evaluator(sparsity).kept_tokens(patches)

    def features(
        self, patches: Patches, names: Sequence[str], sparsity: Sparsity | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Token activations by name, [n, 1 + tokens, columns], all rows of the last block included.

        Only in a session that traces. Names are those of `host.tensors`, such as `blocks.0.out` or `norm`.
        """
        self._need(self._calibrated, "calibrate")
        plan = self.target if sparsity is None else self._plan_of(sparsity)
        # Rows that training and evaluation leave out may be larger than those from which the fractions come.
        self._last_evaluator = None
        return Evaluator(self._runner, plan, self._table, coarsen_first=True, all_tokens=True).features(patches, names)

    def _evaluator(self, sparsity: Sparsity | None) -> Evaluator:
        """The evaluator for a sparsity; it starts from the fractions of now and lasts until something changes."""
        self._need(self._calibrated, "calibrate")
        plan = self.target if sparsity is None else self._plan_of(sparsity)
        if self._last_evaluator is None or self._last_evaluator.plan != plan:
            self._last_evaluator = Evaluator(self._runner, plan, self._table, coarsen_first=plan != self.plan)
        return self._last_evaluator

    def _plan_of(self, sparsity: Sparsity) -> TokenPlan:
        plan = sparsity.plan(self.model)
        if plan.selectors != self.target.selectors:
            raise ValueError("the places of the selectors are fixed for a session")
        return plan

    def _keep_table(self, table: SlotTable) -> None:
        self._table = table
        self.memory.write_slots(self.layout.training_slots, table)
        self._last_evaluator = None

    def _need(self, condition: bool, call: str) -> None:
        if not condition:
            raise ValueError(f"{call} first")


def _join(terms: Sequence[Terms]) -> Terms:
    return Terms(
        np.concatenate([term.losses for term in terms]),
        np.concatenate([term.correct for term in terms]),
        np.concatenate([term.predicted for term in terms]),
    )

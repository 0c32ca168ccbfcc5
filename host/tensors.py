"""Every tensor of a training step by name: its shape in the dense case, its slots, and what it may share memory with.

Names follow `trainer.models.vit`: `blocks.0.attn.qkv` is an activation, `d.blocks.0.attn.qkv` its gradient. Of a
parameter `head.weight` there are the int16 copy that the datapath reads (`head.weight`), `state.head.weight` (the
low halves of the master weights beside the state of the optimizer on the fabric) or without such an optimizer
`master.head.weight` (whole ones), and the weight gradient `grad.head.weight`.

Token tensors hold the class rows of all images first, then the patch rows image by image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from hls.spec.formats import LANES, STATE
from hls.spec.legality import words_per_row
from hls.spec.ops import Slot
from host.model import ViTConfig
from host.parameters import device_parameters


class Group(Enum):
    """What a tensor is for; the value is its line in the memory table."""

    ACTIVATION = "activations"
    GRADIENT = "activation gradients"
    WEIGHT_GRADIENT = "weight gradients"
    WEIGHT = "weights (16 bits)"
    STATE = "master weights (low halves) and optimizer state"
    INDEX = "attention maps, kept tokens and keys"
    INPUT = "patches, labels, hyperparameters"
    RESULT = "losses and attention variances"


@dataclass(frozen=True)
class Tensor:
    """One tensor: `rows` x `columns` of `element`, with no memory when it has no rows.

    `slots` are its own slots; `slot_of` names the tensor whose slots it uses instead. Tensors of one `storage` share
    memory because they are never needed at the same time; without one it has memory of its own.
    """

    name: str
    group: Group
    rows: int
    columns: int
    element: str = "i16"
    slots: Slot = Slot.NONE
    slot_of: str | None = None
    storage: str | None = None

    @property
    def words(self) -> int:
        """Memory words of the dense case."""
        return self.rows * words_per_row(self.element, self.columns)


OPTIMIZER_STATE = {"sgd_update": "momentum", "adamw_update": "moments"}
"""What each update's op keeps beside a master weight from step to step, by its name in checkpoints."""


@dataclass(frozen=True)
class Use:
    """What a memory layout is for.

    Attributes:
        batch: images of a micro-batch, all looped inside each instruction.
        training: room for saved activations, gradients and master weights.
        update: op that updates the weights on the fabric, with room for its state; None when the host updates them.
        selectors: zero-based blocks with a selector in front.
        trace: memory of its own for every tensor, so that all can be read after a run, and for all rows of the last
            block's output.
    """

    batch: int
    training: bool = True
    update: str | None = "sgd_update"
    selectors: tuple[int, ...] = ()
    trace: bool = False

    @property
    def state(self) -> str | None:
        """What the optimizer on the fabric keeps of each weight; None where there is none."""
        return OPTIMIZER_STATE[self.update] if self.training and self.update is not None else None


def model_tensors(model: ViTConfig, use: Use) -> list[Tensor]:
    """All tensors of `model` for `use`, sized for dense attention over all tokens."""
    catalogue = _Catalogue(model, use)
    tensors = [*catalogue.activations(), *catalogue.indices(), *catalogue.inputs_and_results()]
    if use.training:
        tensors += catalogue.gradients()
    return tensors + list(_parameter_tensors(model, use))


def input_stream(index: int) -> str:
    """Name of the stream that enters block `index` (`depth` for the final norm) before its selector."""
    return f"blocks.{index - 1}.out" if index else "tokens"


class _Catalogue:
    def __init__(self, model: ViTConfig, use: Use) -> None:
        self.model, self.use = model, use
        self.rows = use.batch * (1 + model.patches)

    def _rows_after_attention(self, index: int) -> int:
        """Only class rows are needed behind the attention of the last block."""
        return self.use.batch if index == self.model.depth - 1 and not self.use.trace else self.rows

    def _saved(self, prefix: str, role: str) -> str:
        """Storage of what the backward pass reads: shared by all blocks when there is none."""
        return f"{prefix}{role}" if self.use.training or self.use.trace else role

    def _scratch(self, name: str, role: str) -> str:
        """Storage of what is read only shortly after it was written."""
        return name if self.use.trace else role

    def _activation(self, name: str, rows: int, columns: int, storage: str) -> Tensor:
        return Tensor(name, Group.ACTIVATION, rows, columns, slots=Slot.ONE, storage=storage)

    def _pruned(self, name: str, group: Group, stream: str, role: str) -> Tensor:
        """The stream (or its gradient) behind a selector: the same numbers, so the same slots."""
        storage = self._scratch(name, role)
        return Tensor(name, group, self.rows, self.model.dim, slot_of=stream, storage=storage)

    def _norm(self, name: str, rows: int) -> Iterator[Tensor]:
        role = name.rpartition(".")[2]
        prefix = name.removesuffix(role)
        for tensor in (f"{role}.normalised", role):
            yield self._activation(prefix + tensor, rows, self.model.dim, self._saved(prefix, tensor))
        storage = self._saved(prefix, f"{role}.rstd")
        yield Tensor(f"{name}.rstd", Group.ACTIVATION, 1, rows, "i32", storage=storage)

    def activations(self) -> Iterator[Tensor]:
        model = self.model
        yield self._activation("tokens", self.rows, model.dim, self._scratch("tokens", "stream.out"))
        for index in range(model.depth):
            if index in self.use.selectors:
                yield self._pruned(f"blocks.{index}.in", Group.ACTIVATION, input_stream(index), "stream.in")
            yield from self._block(index)
        last = self._rows_after_attention(model.depth - 1)
        yield from self._norm("norm", last)
        yield self._activation("logits", self.use.batch, model.classes, "logits")

    def _block(self, index: int) -> Iterator[Tensor]:
        model, rows, after = self.model, self.rows, self._rows_after_attention(index)
        block, width = f"blocks.{index}.", self.model.attention_width

        def stream(name: str, count: int, role: str) -> Tensor:
            return self._activation(block + name, count, model.dim, self._scratch(block + name, role))

        yield from self._norm(block + "norm1", rows)
        yield self._activation(block + "attn.qkv", rows, 3 * width, self._saved(block, "attn.qkv"))
        softmax = self._saved(block, "attn.softmax")
        yield self._activation(block + "attn.softmax", after * model.heads, 1 + model.patches, softmax)
        yield self._activation(block + "attn.context", after, width, self._saved(block, "attn.context"))
        yield stream("after_attn", after, "stream.mid")
        yield from self._norm(block + "norm2", after)
        yield self._activation(block + "mlp.fc1", after, model.mlp_hidden, self._saved(block, "mlp.fc1"))
        yield self._activation(block + "mlp.gelu", after, model.mlp_hidden, self._saved(block, "mlp.gelu"))
        yield stream("out", after, "stream.out")

    def indices(self) -> Iterator[Tensor]:
        patches, batch = self.model.patches, self.use.batch
        for index in range(self.model.depth):
            block = f"blocks.{index}."
            yield Tensor(
                block + "attn.map", Group.INDEX, self._rows_after_attention(index), 1 + patches, "i32",
                slot_of=block + "attn.softmax", storage=self._scratch(block + "attn.map", "map"),
            )  # fmt: skip
            if index in self.use.selectors:
                yield Tensor(block + "kept", Group.INDEX, batch, patches, "u16")
                yield Tensor(block + "keys", Group.INDEX, batch * patches, patches, "u16")

    def inputs_and_results(self) -> Iterator[Tensor]:
        batch, model = self.use.batch, self.model
        yield Tensor("patches", Group.INPUT, batch * model.patches, model.patch_features, slots=Slot.ONE)
        yield Tensor("labels", Group.INPUT, 1, batch, "i32")
        if self.use.training:  # the next micro-batch comes while one is run
            yield Tensor("next.patches", Group.INPUT, batch * model.patches, model.patch_features, slot_of="patches")
            yield Tensor("next.labels", Group.INPUT, 1, batch, "i32")
        yield Tensor("hyperparameters", Group.INPUT, 1, LANES, "i32")
        yield Tensor("terms", Group.RESULT, batch, LANES, "i32")
        yield Tensor("variance", Group.RESULT, batch, LANES, "i32")

    def gradients(self) -> Iterator[Tensor]:
        model = self.model
        yield self._gradient("logits", self.use.batch, model.classes, "d.logits")
        yield self._gradient("norm", self.use.batch, model.dim, "d.norm")
        yield self._gradient("tokens", self.rows, model.dim, "d.out")
        for index in range(model.depth):
            if index in self.use.selectors:
                yield self._pruned(f"d.blocks.{index}.in", Group.GRADIENT, "d." + input_stream(index), "d.in")
            yield from self._block_gradients(index)

    def _gradient(self, name: str, rows: int, columns: int, role: str, slots: Slot = Slot.GRADIENT) -> Tensor:
        storage = self._scratch(f"d.{name}", role)
        return Tensor(f"d.{name}", Group.GRADIENT, rows, columns, slots=slots, storage=storage)

    def _block_gradients(self, index: int) -> Iterator[Tensor]:
        model, rows, after = self.model, self.rows, self._rows_after_attention(index)
        block, width, last = f"blocks.{index}.", self.model.attention_width, index == self.model.depth - 1
        # Behind the last attention there are gradients of class rows only, yet the residual of the norm before it has
        # all rows: the patch rows of this tensor are never written, and memory starts as zeros.
        mid = "d.last.after_attn" if last else "d.after_attn"
        yield self._gradient(block + "out", after, model.dim, "d.out")
        yield self._gradient(block + "mlp.fc1", after, model.mlp_hidden, "d.hidden")
        yield self._gradient(block + "norm2", after, model.dim, "d.norm")
        yield self._gradient(block + "after_attn", rows, model.dim, mid)
        yield self._gradient(block + "attn.context", after, width, "d.norm")
        yield self._gradient(block + "attn.scores", after * model.heads, 1 + model.patches, "d.scores")
        # Read until the attention of the block before has its own.
        yield self._gradient(block + "attn.qkv", rows, 3 * width, f"d.qkv.{index % 2}", Slot.THREE_GRADIENTS)
        yield self._gradient(block + "norm1", rows, model.dim, "d.norm")


def _parameter_tensors(model: ViTConfig, use: Use) -> Iterator[Tensor]:
    for parameter in device_parameters(model):
        name, rows, columns = parameter.name, parameter.rows, parameter.columns
        yield Tensor(name, Group.WEIGHT, rows, columns, slots=Slot.ONE)
        if use.training:
            yield Tensor(f"grad.{name}", Group.WEIGHT_GRADIENT, rows, columns, "i32", slots=Slot.ONE)
            kind, element = ("master", "i32") if use.state is None else ("state", STATE)
            yield Tensor(f"{kind}.{name}", Group.STATE, rows, columns, element)

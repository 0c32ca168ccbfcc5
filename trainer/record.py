"""Named intermediate tensors of a forward pass, for comparison with the fixed-point model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Recorder:
    """Puts tensors into `tensors` under dotted names; with `tensors=None` it only hands them through."""

    tensors: dict[str, Tensor] | None
    prefix: str = ""

    @property
    def active(self) -> bool:
        """Whether anything is recorded; fused operations then give way to those that make every tensor."""
        return self.tensors is not None

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        """Record `tensor` as `<prefix><name>` and return it; after a backward pass its `.grad` is there too."""
        if self.tensors is not None:
            if tensor.requires_grad:
                tensor.retain_grad()
            self.tensors[self.prefix + name] = tensor
        return tensor

    def within(self, name: str) -> Recorder:
        """A recorder whose names start with `<prefix><name>.`."""
        return Recorder(self.tensors, f"{self.prefix}{name}.") if self.active else self


SILENT = Recorder(None)

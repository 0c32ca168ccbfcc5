"""The memory plan: where every tensor, the slot tables and the programs lie in the device's window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hls.spec.formats import WORD_BYTES
from host.errors import PeelVitError
from host.tensors import Tensor

ALIGNMENT = 8
"""Words (128 bytes) to which regions are aligned, so that none begins inside a burst of its neighbour."""

DEFAULT_LIMIT = 512 << 20
"""Bytes of contiguous memory (CMA) of the common ZCU102 images."""


@dataclass(frozen=True)
class Region:
    """`words` memory words from word `address`; `group` is its line in the printed table."""

    name: str
    group: str
    address: int
    words: int


@dataclass
class MemoryPlan:
    """Regions one after another from word 0."""

    regions: dict[str, Region] = field(default_factory=dict)
    words: int = 0

    def add(self, name: str, group: str, words: int) -> Region:
        """Append a region."""
        region = Region(name, group, self.words, words)
        self.regions[name] = region
        self.words += -(-words // ALIGNMENT) * ALIGNMENT
        return region

    @property
    def bytes(self) -> int:
        """Size of the window."""
        return self.words * WORD_BYTES

    def check(self, limit: int, subject: str) -> None:
        """`PeelVitError` when the plan takes more than `limit` bytes."""
        if self.bytes > limit:
            raise PeelVitError(
                f"{subject} needs {megabytes(self.bytes)} of device memory but {megabytes(limit)} are there; "
                "use a smaller micro-batch or model, or give it more memory"
            )

    def table(self) -> str:
        """Bytes by group and in total, one line each."""
        groups: dict[str, int] = {}
        for region in self.regions.values():
            groups[region.group] = groups.get(region.group, 0) + region.words * WORD_BYTES
        width = max(map(len, [*groups, "total"]))
        lines = [*groups.items(), ("total", self.bytes)]
        return "\n".join(f"{name:{width}} {size:>14,} bytes  {megabytes(size):>10}" for name, size in lines)


def megabytes(size: int) -> str:
    """`size` bytes in MiB, for people."""
    return f"{size / (1 << 20):.1f} MiB"


def place_tensors(plan: MemoryPlan, tensors: Iterable[Tensor]) -> dict[str, int]:
    """Add regions for `tensors`, one a storage and as large as its largest tensor; word address of each by name."""
    tensors = [tensor for tensor in tensors if tensor.words]
    largest: dict[str, Tensor] = {}
    for tensor in tensors:
        storage = tensor.storage or tensor.name
        if storage not in largest or tensor.words > largest[storage].words:
            largest[storage] = tensor
    for storage, tensor in largest.items():
        plan.add(storage, tensor.group.value, tensor.words)
    return {tensor.name: plan.regions[tensor.storage or tensor.name].address for tensor in tensors}

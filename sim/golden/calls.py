"""The types that every op function is called with."""

from __future__ import annotations

from collections.abc import Mapping

from sim.golden.slots import Slot

Fractions = Mapping[str, tuple[int, ...]]
"""Fractions of each present operand by name: one a slot, so (patch,), (patch, class), or three such pairs."""

Flags = frozenset[str]
Slots = Mapping[str, tuple[Slot, ...]]

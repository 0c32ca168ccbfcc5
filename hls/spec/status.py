"""What the accelerator reports when a program stops; the failing instruction's index is in a register of its own."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Status codes; anything but `OK` means that the program stopped before the instruction ran
    (after a bus error: somewhere in it)."""

    OK = 0
    PROGRAM_OUTSIDE_WINDOW = 1
    BAD_MAGIC = 2
    BAD_VERSION = 3
    CONFIGURATION_MISMATCH = 4
    BAD_CHECKSUM = 5
    BAD_SLOT_TABLE = 6
    UNKNOWN_OPCODE = 7
    BAD_FIELD = 8
    """A flag that the op does not have, or a reserved or unused field that is not zero."""
    BAD_SHAPE = 9
    OUTSIDE_WINDOW = 10
    BAD_SLOT = 11
    MISSING_END = 12
    BUS_SLAVE_ERROR = 13
    """A memory port got SLVERR; the kernel's own C++ cannot see it, the logic around it reports it."""
    BUS_DECODE_ERROR = 14


SENTENCES = {
    Status.OK: "the program ran to its end",
    Status.PROGRAM_OUTSIDE_WINDOW: "the program does not lie inside the memory window; compile it for this one",
    Status.BAD_MAGIC: "there is no program at the given address; write the program before starting it",
    Status.BAD_VERSION: "the program was compiled for another instruction format; compile it again",
    Status.CONFIGURATION_MISMATCH: "the program was compiled for another hardware configuration; compile it again",
    Status.BAD_CHECKSUM: "the program in memory is damaged (checksum); write it again",
    Status.BAD_SLOT_TABLE: "the slot table does not fit the hardware or the window; compile the program again",
    Status.UNKNOWN_OPCODE: "the instruction's opcode is unknown; compile the program again",
    Status.BAD_FIELD: "the instruction sets a flag or field that its op does not have; compile the program again",
    Status.BAD_SHAPE: "the instruction's shape is not legal on this hardware configuration; compile for a larger one",
    Status.OUTSIDE_WINDOW: "an operand of the instruction lies outside the memory window; nothing was written there",
    Status.BAD_SLOT: "the instruction names a slot that the slot table does not have; compile the program again",
    Status.MISSING_END: "the program has no end instruction where its header says; write it again",
    Status.BUS_SLAVE_ERROR: "the memory refused an access (AXI SLVERR) and results are lost; go on from a checkpoint",
    Status.BUS_DECODE_ERROR: "no memory lies at an address (AXI DECERR) and results are lost; go on from a checkpoint",
}

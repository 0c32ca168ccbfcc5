"""Mutated programs on the C simulation: each is refused as the specification says, or runs inside its window."""

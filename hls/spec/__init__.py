"""The single source of truth: formats, operations, instructions, registers, configurations."""

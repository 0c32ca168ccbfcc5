"""Model, sparsity and batch in; a program of instructions out."""

from host.compiler.program import MODES, Program, compile_exponent_update, compile_program

__all__ = ["MODES", "Program", "compile_exponent_update", "compile_program"]

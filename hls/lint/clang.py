"""libclang: parsing, and the calls its Python binding leaves out."""

from __future__ import annotations

import ctypes
import functools
from types import ModuleType

from hls.lint.errors import LintError
from hls.lint.source import Source

# CXBinaryOperatorKind and CXUnaryOperatorKind in the order of clang-c/Index.h (libclang 17 and newer).
BINARY = (
    "", ".*", "->*", "*", "/", "%", "+", "-", "<<", ">>", "<=>", "<", ">", "<=", ">=", "==", "!=", "&", "^", "|", "&&",
    "||", "=", "*=", "/=", "%=", "+=", "-=", "<<=", ">>=", "&=", "^=", "|=", ",",
)  # fmt: skip
UNARY = ("", "++", "--", "++", "--", "&", "*", "+", "-", "~", "!")

# CXTypeKind values that the Python binding raises on.
_UNBOUND_KINDS = {30: "FLOAT128", 32: "FLOAT16", 39: "BFLOAT16", 40: "IBM128"}

_ANY_ERROR = 3
_EVALUATED_INT = 1
_DUPLICATE_LABEL = "redefinition of label"


@functools.cache
def cindex() -> ModuleType:
    """The binding, with the missing prototypes added; LintError where libclang is not installed or does not load."""
    try:
        from clang import cindex as binding

        library = binding.conf.lib
    except Exception as problem:  # the binding raises its own LibclangError, ImportError or OSError
        raise LintError(
            f"libclang cannot be loaded ({type(problem).__name__}); `pip install libclang==18.1.1` brings it."
        ) from None
    for name in ("clang_getCursorBinaryOperatorKind", "clang_getCursorUnaryOperatorKind"):
        getattr(library, name).argtypes = [binding.Cursor]
    library.clang_Cursor_Evaluate.argtypes = [binding.Cursor]
    library.clang_Cursor_Evaluate.restype = ctypes.c_void_p
    library.clang_EvalResult_getKind.argtypes = [ctypes.c_void_p]
    library.clang_EvalResult_getAsLongLong.argtypes = [ctypes.c_void_p]
    library.clang_EvalResult_getAsLongLong.restype = ctypes.c_longlong
    library.clang_EvalResult_dispose.argtypes = [ctypes.c_void_p]
    library.clang_Cursor_getVarDeclInitializer.argtypes = [binding.Cursor]
    library.clang_Cursor_getVarDeclInitializer.restype = binding.Cursor
    return binding


def parse(source: Source, standard: str):
    """Parse a preprocessed unit: (translation unit, physical lines of duplicate labels); LintError if it is no C++."""
    binding = cindex()
    name = f"{source.path}.ii"
    arguments = ["-x", "c++-cpp-output", f"-std={standard}", "-w", "-ferror-limit=0"]
    try:
        unit = binding.Index.create().parse(name, arguments, [(name, source.data.decode(errors="replace"))])
    except binding.TranslationUnitLoadError:
        raise LintError(f"{source.path} cannot be parsed by libclang; check that it is C++.") from None
    labels = []
    for diagnostic in unit.diagnostics:
        line = diagnostic.location.line
        origin = source.origin(line)
        if diagnostic.severity < _ANY_ERROR or origin.system:
            continue
        if not diagnostic.spelling.startswith(_DUPLICATE_LABEL):
            raise LintError(f"{origin.file}:{origin.line} does not parse ({diagnostic.spelling}); fix it first.")
        labels.append(line)
    return unit, labels


def binary_operator(cursor) -> str:
    """Spelling of the operator of a BINARY_OPERATOR or COMPOUND_ASSIGNMENT_OPERATOR cursor."""
    return BINARY[cindex().conf.lib.clang_getCursorBinaryOperatorKind(cursor)]


def unary_operator(cursor) -> str:
    """Spelling of the operator of a UNARY_OPERATOR cursor; postfix and prefix are alike."""
    kind = cindex().conf.lib.clang_getCursorUnaryOperatorKind(cursor)
    return UNARY[kind] if kind < len(UNARY) else ""


def evaluate(cursor) -> int | None:
    """Value of an integral constant expression that depends on no template parameter; None if it is none."""
    library = cindex().conf.lib
    result = library.clang_Cursor_Evaluate(cursor)
    if not result:
        return None
    try:
        if library.clang_EvalResult_getKind(result) != _EVALUATED_INT:
            return None
        return library.clang_EvalResult_getAsLongLong(result)
    finally:
        library.clang_EvalResult_dispose(result)


def initializer(cursor):
    """Cursor of a variable's initializer; None if it has none."""
    found = cindex().conf.lib.clang_Cursor_getVarDeclInitializer(cursor)
    return None if found.kind.is_invalid() else found


def type_kind(kind) -> str:
    """libclang's name of a type's kind; the binding lacks some of the floating-point ones."""
    return _UNBOUND_KINDS.get(kind._kind_id) or kind.kind.name

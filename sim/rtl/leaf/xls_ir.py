"""LLVM IR -> XLS IR: a loop-free function becomes one expression.

The functions are those of `leaves.cpp`, as clang leaves them: calls inlined, loops unrolled. Ports are references to
integers or to arrays of them; a load from one reads a slice of a parameter, a store to one gives a result. Branches are
if-converted: every block runs, and its phis choose by the condition of the edge that was taken. Constant tables become
array literals. What is met beside that (a loop, a call, a vector) is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm
from xls.c_api import Package, Value
from xls.ir_builder import BValue, FunctionBuilder

from host.errors import PeelVitError
from sim.rtl.leaf.leaf import Leaf

BINARY = {
    "sub": "add_sub", "mul": "add_smul", "and": "add_and", "or": "add_or", "xor": "add_xor",
    "shl": "add_shll", "lshr": "add_shrl", "ashr": "add_shra",
}  # fmt: skip
COMPARE = {"eq": "add_eq", "ne": "add_ne"} | {
    f"{sign}{order}": f"add_{sign}{order}" for sign in "us" for order in ("lt", "le", "gt", "ge")
}
MIN_MAX = {"llvm.smin": "add_slt", "llvm.smax": "add_sgt", "llvm.umin": "add_ult", "llvm.umax": "add_ugt"}


def named(text: str) -> llvm.ModuleRef:
    """The module of some LLVM IR, with a name for every value."""
    module = llvm.parse_assembly(text)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    passes = llvm.create_new_module_pass_manager()
    passes.add_instruction_namer_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


def width(type_: llvm.TypeRef) -> int:
    """Bits of an integer type."""
    text = str(type_)
    if not text.startswith("i"):
        raise PeelVitError(f"a leaf computes with integers, and LLVM IR has {text} here; simplify its C++")
    return int(text[1:])


def table_of(variable: llvm.ValueRef) -> tuple[int, list[int]]:
    """Element width and elements of a constant array; LLVM writes a tail of zeros as `[n x iW] zeroinitializer`."""
    words = str(variable).partition(" constant ")[2].translate(str.maketrans(",[]<>{}", " " * 7)).split() + ["end"]
    elements: list[int] = []
    element = next(word for word in words if word.startswith("i"))
    for at, word in enumerate(words):
        if word == "zeroinitializer":
            elements += [0] * int(words[at - 3])
        elif at and words[at - 1] == element and word.lstrip("-").isdigit() and words[at + 1] != "x":
            elements.append(int(word))
    return int(element[1:]), elements


def folded_adds(function: llvm.ValueRef) -> dict[str, list[llvm.ValueRef]]:
    """Additions whose one use is another addition, by name with their operands."""
    uses: dict[str, list[str]] = {}
    adds: dict[str, list[llvm.ValueRef]] = {}
    for block in function.blocks:
        for instruction in block.instructions:
            operands = list(instruction.operands)
            for operand in operands:
                uses.setdefault(operand.name, []).append(instruction.opcode)
            if instruction.opcode == "add":
                adds[instruction.name] = operands
    return {name: operands for name, operands in adds.items() if uses.get(name) == ["add"]}


@dataclass(frozen=True)
class Pointer:
    """Element `index` of a port or of a table."""

    base: str
    index: BValue | int


@dataclass(frozen=True)
class Table:
    """A constant array, and the width of its elements in C++."""

    literal: BValue
    width: int
    bits: int


@dataclass(frozen=True)
class Translated:
    """A leaf in XLS IR: a package with one function, which returns the outputs, the first one in the highest bits."""

    leaf: Leaf
    text: str
    table_bits: int
    """Bits of its constant tables."""


class Translation:
    """One function on its way from LLVM IR to XLS IR."""

    def __init__(self, module: llvm.ModuleRef, leaf: Leaf):
        self.leaf = leaf
        self.function = module.get_function(leaf.name)
        self.package = Package.create(leaf.name)
        builder = FunctionBuilder.create(leaf.name, self.package)
        self.ports = {port.name: port for port in (*leaf.inputs, *leaf.outputs)}
        self.parameters = {
            port.name: builder.add_parameter(port.name, self.package.get_bits_type(port.bits)) for port in leaf.inputs
        }
        self.builder = builder
        self.at = builder.as_builder_base()
        self.tables: dict[str, Table] = {}
        self.globals = {variable.name: variable for variable in module.global_variables}
        self.values: dict[str, BValue] = {}
        self.pointers: dict[str, Pointer] = {name: Pointer(name, 0) for name in self.ports}
        self.results: dict[tuple[str, int], BValue] = {}
        self.folded = folded_adds(self.function)
        self.blocks: dict[str, BValue] = {}  # whether a block is reached
        self.edges: dict[tuple[str, str], BValue] = {}  # whether an edge is taken

    def run(self) -> Translated:
        """Translate all blocks."""
        for block in self._in_order():
            self._enter(block)
            for instruction in block.instructions:
                self._translate(instruction, block.name)
        parts = [self.results[port.name, index] for port in self.leaf.outputs for index in reversed(range(port.count))]
        self.builder.build_with_return_value(self.at.add_concat(parts))
        self.package.set_top(self.leaf.name)
        return Translated(self.leaf, self.package.to_string(), sum(table.bits for table in self.tables.values()))

    def _in_order(self) -> list[llvm.ValueRef]:
        """The blocks, each after all that lead to it."""
        blocks = {block.name: block for block in self.function.blocks}
        order: list[llvm.ValueRef] = []
        state: dict[str, bool] = {}  # False while its successors are visited

        def visit(name: str) -> None:
            if name in state:
                if not state[name]:
                    raise PeelVitError(
                        f"leaf {self.leaf.name} still has a loop after unrolling; give it constant bounds"
                    )
                return
            state[name] = False
            *_, last = blocks[name].instructions
            for operand in last.operands:
                if operand.value_kind.name == "basic_block":
                    visit(operand.name)
            state[name] = True
            order.insert(0, blocks[name])

        visit(next(iter(blocks)))
        return order

    def _enter(self, block: llvm.ValueRef) -> None:
        """State when a block is reached: on any of its incoming edges."""
        taken = [condition for (_, target), condition in self.edges.items() if target == block.name]
        reached = taken[0] if taken else self._literal(1, 1)
        for condition in taken[1:]:
            reached = self.at.add_or(reached, condition)
        self.blocks[block.name] = reached

    def _literal(self, value: int, bits: int) -> BValue:
        return self.at.add_literal(Value.make_ubits(bits, value & ((1 << bits) - 1)))

    def _value(self, operand: llvm.ValueRef) -> BValue:
        """The XLS value of an operand."""
        kind = operand.value_kind.name
        if kind == "constant_int":
            return self._literal(operand.get_constant_value(signed_int=True), width(operand.type))
        if kind in ("poison_value", "undef_value"):
            return self._literal(0, width(operand.type))
        return self.values[operand.name]

    def _select(self, condition: BValue, yes: BValue, no: BValue) -> BValue:
        return self.at.add_select(condition, [no, yes])

    def _translate(self, instruction: llvm.ValueRef, block: str) -> None:
        """One instruction."""
        opcode = instruction.opcode
        operands = list(instruction.operands)
        if opcode in ("ret", "unreachable") or instruction.name in self.folded:
            return
        if opcode == "br":
            self._branch(operands, block)
        elif opcode == "getelementptr":
            self.pointers[instruction.name] = self._element(instruction, operands)
        elif opcode == "store":
            pointer = self.pointers[operands[1].name]
            self.results[pointer.base, int(pointer.index)] = self._value(operands[0])
        elif opcode == "phi":
            self.values[instruction.name] = self._phi(instruction, operands, block)
        elif opcode == "load":
            self.values[instruction.name] = self._load(self.pointers[operands[0].name])
        else:
            self.values[instruction.name] = self._compute(instruction, operands)

    def _branch(self, operands: Sequence[llvm.ValueRef], block: str) -> None:
        if len(operands) == 1:
            self.edges[block, operands[0].name] = self.blocks[block]
            return
        condition = self._value(operands[0])
        otherwise, then = operands[1].name, operands[2].name  # LLVM keeps them in this order
        self.edges[block, then] = self.at.add_and(self.blocks[block], condition)
        self.edges[block, otherwise] = self.at.add_and(self.blocks[block], self.at.add_not(condition))

    def _phi(self, instruction: llvm.ValueRef, operands: Sequence[llvm.ValueRef], block: str) -> BValue:
        first, *others = zip(instruction.incoming_blocks, operands, strict=True)
        result = self._value(first[1])
        for source, operand in others:
            result = self._select(self.edges[source.name, block], self._value(operand), result)
        return result

    def _element(self, instruction: llvm.ValueRef, operands: Sequence[llvm.ValueRef]) -> Pointer:
        """`getelementptr`: an index into a port is constant, counted in elements or (type i8) in bytes."""
        base = operands[0].name
        index = operands[-1]
        if index.value_kind.name != "constant_int":
            return Pointer(base, self._value(index))
        at = index.get_constant_value()
        if base in self.ports and " i8, ptr " in str(instruction):
            at //= self.ports[base].element_bytes
        return Pointer(base, at if base in self.ports else self._value(index))

    def _load(self, pointer: Pointer) -> BValue:
        if pointer.base in self.ports:
            bits = self.ports[pointer.base].width
            return self.at.add_bit_slice(self.parameters[pointer.base], int(pointer.index) * bits, bits)
        index = pointer.index if isinstance(pointer.index, BValue) else self._literal(pointer.index, 32)
        table = self._table(pointer.base)
        return self.at.add_sign_extend(self.at.add_array_index(table.literal, [index]), table.width)

    def _table(self, name: str) -> Table:
        """A constant array, its elements as wide as the largest needs."""
        if name not in self.tables:
            bits, elements = table_of(self.globals[name])
            held = 1 + max((element ^ (element >> bits)).bit_length() for element in elements)
            literal = Value.make_array([Value.make_ubits(held, element & ((1 << held) - 1)) for element in elements])
            self.tables[name] = Table(self.at.add_literal(literal), bits, held * len(elements))
        return self.tables[name]

    def _compute(self, instruction: llvm.ValueRef, operands: Sequence[llvm.ValueRef]) -> BValue:
        """An instruction whose result depends on its operands alone."""
        opcode = instruction.opcode
        if opcode == "add":
            return self._sum(operands)
        if opcode in BINARY:
            return getattr(self.at, BINARY[opcode])(*map(self._value, operands))
        if opcode == "icmp":
            predicate = str(instruction).partition("icmp ")[2].replace("samesign ", "").split()[0]
            return getattr(self.at, COMPARE[predicate])(*map(self._value, operands))
        if opcode == "select":
            return self._select(*map(self._value, operands))
        if opcode == "freeze":
            return self._value(operands[0])
        if opcode == "trunc":
            return self.at.add_bit_slice(self._value(operands[0]), 0, width(instruction.type))
        if opcode == "sext":
            return self.at.add_sign_extend(self._value(operands[0]), width(instruction.type))
        if opcode == "zext":
            return self.at.add_zero_extend(self._value(operands[0]), width(instruction.type))
        if opcode == "call":
            return self._intrinsic(operands)
        raise PeelVitError(
            f"leaf {self.leaf.name} needs the LLVM instruction {opcode}, which has no hardware form here"
        )

    def _sum(self, operands: Sequence[llvm.ValueRef]) -> BValue:
        """A chain of additions as a balanced tree, as Vitis HLS makes of it (its expression_balance)."""
        terms: list[BValue] = []
        waiting = list(operands)
        while waiting:
            operand = waiting.pop()
            if operand.name in self.folded:
                waiting += self.folded[operand.name]
            else:
                terms.append(self._value(operand))
        while len(terms) > 1:
            pairs = [self.at.add_add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + terms[2 * len(pairs) :]
        return terms[0]

    def _intrinsic(self, operands: Sequence[llvm.ValueRef]) -> BValue:
        """Minimum, maximum and absolute value."""
        *_, function = operands
        name = function.name.rpartition(".")[0]
        first = self._value(operands[0])
        if name == "llvm.abs":
            negative = self.at.add_slt(first, self._literal(0, width(operands[0].type)))
            return self._select(negative, self.at.add_negate(first), first)
        if name in MIN_MAX:
            second = self._value(operands[1])
            return self._select(getattr(self.at, MIN_MAX[name])(first, second), first, second)
        raise PeelVitError(f"leaf {self.leaf.name} calls {function.name}, which has no hardware form here")


def translate(llvm_ir: str, leaf: Leaf) -> Translated:
    """One leaf, from the LLVM IR of all."""
    return Translation(named(llvm_ir), leaf).run()

"""Design: a netlist of modules as plain values. `verilog.py` is the only place that turns it into text."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.lower.claims import Claims


@dataclass(frozen=True, slots=True)
class Name:
    """A declared signal."""

    name: str
    width: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Literal:
    """A number of a given width."""

    value: int
    width: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """Bits high..low of a signal, unsigned."""

    of: Name
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class Concat:
    """Bits joined, first part highest, unsigned."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """The same bits read as two's complement."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """op is one of + - * >= < ==. Both operands signed or both unsigned."""

    op: str
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Choose:
    """condition ? a : b."""

    condition: Expr
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class AnyBit:
    """1 where any bit of the slice is set."""

    of: Slice


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of one bit."""

    of: Slice


Expr = Name | Literal | Slice | Concat | Signed | Binary | Choose | AnyBit | Not


@dataclass(frozen=True, slots=True)
class Assign:
    """Declare a wire and drive it. keep: yosys must not merge the wire's logic into its readers'."""

    target: Name
    value: Expr
    comment: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """Declare a register that takes `value` at every rising clock edge."""

    target: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Rom:
    """Declare a register that takes words[address] at every rising clock edge. block: in block RAM."""

    target: Name
    words: tuple[int, ...]
    address: Name
    block: bool


@dataclass(frozen=True, slots=True)
class Pick:
    """Declare a register that takes cases[select] at every rising clock edge. All cases signed, or none."""

    target: Name
    select: Name
    cases: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A comment line between groups."""

    text: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A module instance; connections in the order of the module's ports. leaf: a hand-written cell, on one line.

    A parameter wider than 31 bits is a Literal.
    """

    module: str
    name: str
    connections: tuple[tuple[str, Expr], ...]
    parameters: tuple[tuple[str, int | Literal], ...] = ()
    leaf: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Wire:
    """Declare a wire that an instance drives."""

    target: Name


@dataclass(frozen=True, slots=True)
class TruthTable:
    """Declare a wire and drive it with entry `index` of a table of constants; entries: 2**(bits of index)."""

    target: Name
    index: Name
    entries: tuple[int, ...]
    comment: str = ""


Item = Assign | Register | Rom | Pick | TruthTable | Heading | Instance | Wire


@dataclass(frozen=True, slots=True)
class Port:
    """A module port."""

    signal: Name
    output: bool
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Ports and items in the order in which they are written; `drives` assigns output ports; attributes: for tools."""

    name: str
    header: tuple[str, ...]
    ports: tuple[Port, ...]
    items: tuple[Item, ...]
    drives: tuple[tuple[Name, Expr], ...] = ()
    clocked: bool = True
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LayerSignal:
    """Where a layer's element can be watched: a signal of a module and the stage in which it is valid.

    The program's integer is signal << shift. layer: the program's layer; instance: below the core, dots between levels.
    """

    layer: str
    element: int
    module: str
    instance: str
    signal: Name
    stage: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A compiled core: modules (layers first, the core last) and what is claimed of it."""

    name: str
    modules: tuple[Module, ...]
    claims: Claims
    watch: tuple[LayerSignal, ...]

    @property
    def core(self) -> Module:
        """The top of the core."""
        return self.modules[-1]

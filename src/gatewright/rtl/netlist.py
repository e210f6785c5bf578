"""Design: a netlist of modules as plain values. `verilog.py` is the only place that turns it into text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice

from gatewright.errors import LowerError
from gatewright.lower.claims import Claims
from gatewright.lower.stream import Stream


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
    """op is one of + - * >= < == & |. Both operands signed or both unsigned."""

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
    """Declare a register that takes `value` at every rising clock edge with `enable`; without one, at every edge.

    reset: a condition of one bit; at an edge with it the register takes reset_value instead, whatever enable says.
    keep: yosys must not merge it with a register that always holds the same.
    """

    target: Name
    value: Expr
    enable: Expr | None = None
    reset: Expr | None = None
    reset_value: int = 0
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Rom:
    """Declare a register that takes words[address] at every rising clock edge. block: in block RAM."""

    target: Name
    words: tuple[int, ...]
    address: Name
    block: bool


MemoryStyle = Choice["auto", "block", "distributed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Declare a memory of `depth` words with a write port, and `target` with which one word is read.

    At every rising clock edge with write_enable the word at write_address takes write_data. target, `clocked`: a
    register that takes the word at read_address at every edge (with read_enable, where there is one). The word that
    is written at the same edge must not be read: what the register then holds is not defined. Not `clocked`: a wire
    with the word at read_address.
    contents: words at power-up, the first `len(contents)` of them; a reset does not bring them back.
    style: a hint for synthesis, see `ram_style`; "block" asks for a clocked read.
    Raises LowerError for a depth below 2, for too many contents, for "block" and read_enable without a clocked read.
    """

    target: Name
    depth: int
    write_enable: Expr
    write_address: Name
    write_data: Expr
    read_address: Name
    clocked: bool
    read_enable: Expr | None = None
    contents: tuple[int, ...] = ()
    style: MemoryStyle = "auto"

    def __post_init__(self) -> None:
        name = self.target.name
        if self.depth < 2:
            raise LowerError(f"memory {name!r} must have at least 2 words, not {self.depth!r}; one word is a register")
        if len(self.contents) > self.depth:
            raise LowerError(f"memory {name!r} of {self.depth} words cannot start with {len(self.contents)} of them")
        if not self.clocked and (self.style == "block" or self.read_enable):
            what = "style 'block'" if self.style == "block" else "a read enable"
            raise LowerError(f"memory {name!r}: {what} needs a clocked read; set clocked")


def ram_style(family: str, style: MemoryStyle) -> MemoryStyle:
    """Return the hint that a family's synthesis takes: "distributed" stops yosys where the chip has no LUT RAM.

    There an unclocked read, or "auto" for few words, becomes flip-flops.
    """
    return "auto" if style == "distributed" and family in _NO_LUT_RAM else style


_NO_LUT_RAM = frozenset({"ice40", "gatemate"})


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


Item = Assign | Register | Rom | Memory | Pick | TruthTable | Heading | Instance | Wire


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
    start: the core's signal from which stages count, 1 where a vector enters the signal's unit; empty: the core's own.
    """

    layer: str
    element: int
    module: str
    instance: str
    signal: Name
    stage: int
    shift: int
    start: str = ""


@dataclass(frozen=True, slots=True)
class LaneSignal:
    """Element `lane` of a channel's beats: the program's integer is signal << shift."""

    lane: int
    signal: Name
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSignals:
    """Where a channel's transfers can be watched: one-bit signals of the core, and those of its lanes.

    channel: a name for people; value, stream: the op of the lowered program whose trace the beats are, and how it is
    cut. A transfer is a cycle with valid and ready. written: a word enters the FIFO of `depth` words; empty where the
    channel is wires.
    """

    channel: str
    value: str
    stream: Stream
    depth: int
    written: str
    valid: str
    ready: str
    lanes: tuple[LaneSignal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A compiled core: modules (layers first, the core last) and what is claimed of it.

    channels: of an elastic core, in order, the last with the results; a rigid core has none.
    """

    name: str
    modules: tuple[Module, ...]
    claims: Claims
    watch: tuple[LayerSignal, ...]
    channels: tuple[ChannelSignals, ...] = ()

    @property
    def core(self) -> Module:
        """The top of the core."""
        return self.modules[-1]

"""A dataflow's names in, the identifiers of its Verilog out: one table for each design, no two names in one.

A layer, a unit or a value may be called anything. Its *stem* is the part that every name derived from it starts with:
the module of layer `fc.1` of the design `net` is `net_fc_1`, its instance `u_fc_1`, its third result `fc_1_y2`. Stems
are the names themselves with other characters as single underscores, so most designs read as their program does.

Where that would give two things one name, the stems carry a number in front, `l2_fc_1`: the second layer. With it a
derived name can be read in one way only, whatever the names are, for nothing else starts with a letter, digits and an
underscore. Two names are one name too where they differ in case alone: on some disks their files are one.
"""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, assert_never

from gatewright.errors import LowerError
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.folded.unit import Folded
from gatewright.lower.streaming.folded_cell import FoldedCell
from gatewright.lower.streaming.joined import Joined
from gatewright.lower.streaming.pooled import Pooled
from gatewright.lower.streaming.recurrent import Recurrent
from gatewright.lower.streaming.regrouped import Regrouped
from gatewright.lower.streaming.reordered import Reordered
from gatewright.lower.streaming.resampled import Resampled
from gatewright.lower.streaming.summed import Summed
from gatewright.lower.streaming.swept import Swept
from gatewright.lower.streaming.windowed import Windowed
from gatewright.lower.unrolled import Unrolled
from gatewright.rtl.leaves import leaf_names
from gatewright.rtl.netlist import (
    Assign,
    Design,
    Heading,
    Instance,
    Item,
    Memory,
    Module,
    Pick,
    Register,
    Rom,
    TruthTable,
    Wire,
)
from gatewright.rtl.verilog import KEYWORDS, identifier

Kind = Literal["layer", "unit", "value"]
_MARKS: Mapping[Kind, str] = {"layer": "l", "unit": "p", "value": "v"}
_CORE = "core"  # every design has a module of this ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The table of one design. top: its stream shell; stems: what each name of each kind became.

    A *unit* is one of the dataflow, or the circuit of a folded layer's adders.
    """

    program: str
    prefix: str
    top: str
    stems: Mapping[tuple[Kind, str], str]

    @property
    def core(self) -> str:
        """The module that the shell instantiates."""
        return f"{self.top}_{_CORE}"

    def layer(self, name: str) -> str:
        """Return the stem of a layer."""
        return self.stems["layer", name]

    def unit(self, name: str) -> str:
        """Return the stem of a unit."""
        return self.stems["unit", name]

    def value(self, name: str) -> str:
        """Return the stem of an op's value."""
        return self.stems["value", name]

    def folded(self, unit: str) -> str:
        """Return the module of a unit that is one: a folded layer, a pool or a sum over beats."""
        return f"{self.top}_{self.unit(unit)}"

    def window(self, unit: str) -> str:
        """Return the module that slides a unit's window."""
        return f"{self.top}_{self.unit(unit)}_window"

    def circuit(self, unit: str) -> str:
        """Return what the modules of an unrolled unit start with."""
        stem = self.unit(unit)
        if unit == self.program:
            return self.top
        return f"{self.prefix}{stem}" if stem == identifier(unit) else f"{self.top}_{stem}"


def with_names(dataflow: Dataflow, prefix: str, make: Callable[[Names], Design]) -> Design:
    """Return the design that `make` gives with the plainest table under which no two of its names are one."""
    design = make(names_of(dataflow, prefix=prefix))
    if not clashes(design, prefix):
        return design
    design = make(names_of(dataflow, prefix=prefix, numbered=True))
    if found := clashes(design, prefix):
        raise LowerError(f"names of design {design.name!r} are not unique: {found[0]}; this is a bug, report it")
    return design


def names_of(dataflow: Dataflow, *, prefix: str = "", numbered: bool = False) -> Names:
    """Return a dataflow's table. numbered: whether all stems carry a number, or those alone that repeat."""
    units: list[str] = []
    layers: list[str] = []
    for unit in dataflow.units:
        units.append(unit.name)
        match unit:
            case Unrolled():
                circuits = [unit.circuit]
            case Folded() | Summed():
                layers.append(unit.plan.layer)
                circuits = [unit.tree] if unit.tree else []
            case Swept() | FoldedCell():
                layers.append(unit.plan.layer)
                circuits = [circuit for circuit in (unit.tree, unit.circuit) if circuit]
            case Windowed() | Recurrent():
                circuits = [unit.circuit]
            case Pooled() | Resampled() | Regrouped() | Joined() | Reordered():
                circuits = []
            case _:
                assert_never(unit)
        for circuit in circuits:
            units.append(circuit.name)
            layers += [*(layer for layer, _ in circuit.layer_values), *(node.layer for node in circuit.nodes)]
    values = [channel.value for channel in dataflow.channels]
    named: dict[Kind, list[str]] = {"layer": layers, "unit": units, "value": values}
    return Names(
        program=dataflow.program.name,
        prefix=prefix,
        top=top_name(dataflow.program.name, prefix),
        stems={
            (kind, name): stem
            for kind, of_kind in named.items()
            for name, stem in stems(of_kind, _MARKS[kind], numbered=numbered).items()
        },
    )


def top_name(program: str, prefix: str = "") -> str:
    """Return the name of a design's stream shell, which is no word that another tool has taken."""
    name = identifier(program)
    taken = name.lower() in {leaf.lower() for leaf in leaf_names()} or is_reserved(prefix + name)
    return f"{prefix}m_{name}" if taken else f"{prefix}{name}"


def stems(names: Iterable[str], mark: str, *, numbered: bool = False) -> dict[str, str]:
    """Return an identifier for each of the names, no two alike but for case; see the module for `numbered`."""
    plain = {name: identifier(name) for name in names}
    if not numbered:
        counts = Counter(stem.lower() for stem in plain.values())
        counts[_CORE] += 1
        found = {
            name: stem if counts[stem.lower()] == 1 else f"{mark}{number}_{stem}"
            for number, (name, stem) in enumerate(plain.items(), 1)
        }
        if len({stem.lower() for stem in found.values()}) == len(found):
            return found
    return {name: f"{mark}{number}_{stem}" for number, (name, stem) in enumerate(plain.items(), 1)}


def is_reserved(module: str) -> bool:
    """Tell whether no module may have this name: a word of Verilog or VHDL, or a vendor's cell."""
    return module.lower() in KEYWORDS or module.lower() in _reserved()


def unused(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number behind it where one of those taken is the same but for case."""
    used = {other.lower() for other in taken}
    number, free = 1, name
    while free.lower() in used or is_reserved(free):
        number += 1
        free = f"{name}_{number}"
    return free


def clashes(design: Design, prefix: str = "") -> list[str]:
    """Return what is wrong with a design's names: a module that is taken, two things of one name in a module."""
    modules = Counter(name.lower() for name in (design.name, *(module.name for module in design.modules)))
    leaves = {f"{prefix}{leaf}".lower() for leaf in leaf_names()}
    found = [f"module {name!r} twice" for name, count in modules.items() if count > 1]
    found += [f"module {name!r} is taken" for name in modules if name in leaves or is_reserved(name)]
    for module in design.modules:
        declared = Counter(name.lower() for name in declarations(module))
        found += [f"{name!r} twice in module {module.name!r}" for name, count in declared.items() if count > 1]
        found += [f"{name!r} in module {module.name!r} is a keyword" for name in declared if name in KEYWORDS]
    return found


def declarations(module: Module) -> Iterator[str]:
    """Yield every name that a module declares: ports, signals, memories, parameters, instances."""
    if module.clocked:
        yield "clk"
    yield from (port.signal.name for port in module.ports)
    for item in module.items:
        yield from _declared(item)


def _declared(item: Item) -> Sequence[str]:
    """Return what an item's text declares; see rtl/verilog.py."""
    match item:
        case Heading():
            return ()
        case Instance():
            return (item.name,)
        case Assign() | Register() | Wire():
            return (item.target.name,)
        case Rom():
            return (item.target.name, f"{item.target.name}_rom")
        case Memory():
            return (item.target.name, f"{item.target.name}_ram")
        case Pick():
            name = item.target.name
            return (name, f"{name}_list", *(f"{name}_{i}" for i in range(len(set(item.cases)))))
        case TruthTable():
            name = item.target.name
            return (name, *(f"{name}_table{bit}" for bit in range(item.target.width)))
        case _:
            assert_never(item)


@cache
def _reserved() -> frozenset[str]:
    text = (importlib.resources.files("gatewright.rtl") / "reserved.txt").read_text()
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())

"""A module in, the same module with registers of many readers copied out: shorter wires on families that gain by it.

Readers share one register only up to a limit; each further group of them reads a copy, which takes the same value at
the same edge. Register and copies carry `keep`: yosys merges an unmarked one with a marked one, but no two marked ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from gatewright.rtl.netlist import (
    AnyBit,
    Assign,
    Binary,
    Choose,
    Concat,
    Expr,
    Heading,
    Instance,
    Item,
    Literal,
    Memory,
    Module,
    Name,
    Not,
    Pick,
    Register,
    Rom,
    Signed,
    Slice,
    TruthTable,
    Wire,
)

_Of = Callable[[Name], Name]


def with_copies(module: Module, readers: int) -> Module:
    """Return a module in which a register is read by at most `readers` of its items; 0: as it is.

    Ports are driven by the register itself, which keeps its name; its copies are called NAME_copy1 and so on. They read
    what the register reads, so registers in a loop may have a few readers more.
    """
    if not readers:
        return module
    slots: list[list[Item]] = [[item] for item in module.items]  # an item, and the copies that come behind it
    reading: dict[Name, set[tuple[int, int]]] = {}
    for slot, item in enumerate(module.items):
        for name in _names(item):
            reading.setdefault(name, set()).add((slot, 0))
    changed = False
    for slot, register in reversed(list(enumerate(module.items))):
        if not isinstance(register, Register):
            continue
        name = register.target
        places = sorted(reading.get(name, ()))
        copies: list[Item] = []
        for group in range(readers, len(places), readers):
            copy = Name(f"{name.name}_copy{group // readers}", name.width, name.signed)
            copies.append(replace(register, target=copy, keep=True))
            for at, place in places[group : group + readers]:
                slots[at][place] = _mapped(
                    slots[at][place], lambda read, own=name, copy=copy: copy if read == own else read
                )
        if copies:
            slots[slot] = [replace(slots[slot][0], keep=True), *copies]
            for read in _names(register):
                reading[read] |= {(slot, place) for place in range(1, len(copies) + 1)}
            changed = True
    return replace(module, items=tuple(item for slot in slots for item in slot)) if changed else module


def _names(item: Item) -> set[Name]:
    """Return the signals that an item reads."""
    seen: set[Name] = set()

    def note(name: Name) -> Name:
        seen.add(name)
        return name

    _mapped(item, note)
    return seen


def _mapped(item: Item, of: _Of) -> Item:
    """Return an item with every signal that it reads replaced; what it declares stays."""
    match item:
        case Assign():
            return replace(item, value=_expr(item.value, of))
        case Register():
            enable, reset = (None if e is None else _expr(e, of) for e in (item.enable, item.reset))
            return replace(item, value=_expr(item.value, of), enable=enable, reset=reset)
        case Rom():
            return replace(item, address=of(item.address))
        case Memory():
            return replace(
                item,
                write_enable=_expr(item.write_enable, of),
                write_address=of(item.write_address),
                write_data=_expr(item.write_data, of),
                read_address=of(item.read_address),
                read_enable=None if item.read_enable is None else _expr(item.read_enable, of),
            )
        case Pick():
            return replace(item, select=of(item.select), cases=tuple(_expr(case, of) for case in item.cases))
        case TruthTable():
            return replace(item, index=of(item.index))
        case Instance():
            return replace(item, connections=tuple((pin, _expr(value, of)) for pin, value in item.connections))
        case Heading() | Wire():
            return item
        case _:
            assert_never(item)


def _expr(value: Expr, of: _Of) -> Expr:
    match value:
        case Name():
            return of(value)
        case Literal():
            return value
        case Slice():
            return replace(value, of=of(value.of))
        case Concat():
            return Concat(tuple(_expr(part, of) for part in value.parts))
        case Signed():
            return Signed(_expr(value.of, of))
        case Binary():
            return replace(value, a=_expr(value.a, of), b=_expr(value.b, of))
        case Choose():
            return Choose(_expr(value.condition, of), _expr(value.a, of), _expr(value.b, of))
        case AnyBit() | Not():
            return replace(value, of=replace(value.of, of=of(value.of.of)))
        case _:
            assert_never(value)

"""An overlay's description in, the Verilog module that counts what its streams carry, behind AXI4-Lite, out."""

from __future__ import annotations

from gatewright.instrument import reading
from gatewright.instrument.block import sticky, vector_ends, vector_open, word_of
from gatewright.instrument.overlay.description import COUNTERS, Overlay
from gatewright.instrument.reading import (
    ASKED,
    LITE,
    PARTIAL,
    READ_WORD,
    WRITE_DATA,
    WRITE_WORD,
    WRITES,
    bus,
    is_word,
    number,
    wire,
)
from gatewright.rtl.netlist import Assign, Binary, Choose, Expr, Heading, Item, Module, Port, Register, Slice, Wire
from gatewright.rtl.signals import RST_N
from gatewright.rtl.streaming.counting import all_of, either, negated
from gatewright.version import __version__

LEAVES = reading.LEAVES
WATCHED = tuple(f"{side}_{part}" for side in "xy" for part in ("valid", "ready", "last"))
"""Signals of the streams that are counted: x_* into the core, y_* out of it."""

_RUNS, _HOLD, _PARTIAL_SEEN = wire("runs"), wire("hold"), wire("partial_seen")
_SCRATCH = wire("scratch", 32)
_TAKEN, _GIVEN = wire("x_taken"), wire("y_taken")


def counting_module(overlay: Overlay, module: str) -> Module:
    """Return the module. core_rst_n: the reset of the core and its stream."""
    ports = [Port(RST_N, output=False, comment="synchronous, active low")]
    ports += [Port(wire(name, bits), output=way == "output") for way, bits, name in LITE]
    ports += [Port(wire(name), output=False) for name in WATCHED]
    ports.append(Port(wire("core_rst_n"), output=True))
    words = {register.name: register.word for register in overlay.registers}
    items: list[Item] = [
        Heading("What the bus asks for"),
        *(Wire(asked) for asked in ASKED),
        Heading("Reset from the bus"),
        Register(_HOLD, Slice(WRITE_DATA, 0, 0), enable=_writes(words["RESET"]), reset=negated(RST_N)),
        Register(_RUNS, all_of([RST_N, negated(_HOLD)])),
        Register(_SCRATCH, WRITE_DATA, enable=_writes(words["SCRATCH"]), reset=negated(RST_N)),
        Heading("What went wrong; it stays to be seen, though it be read in the same cycle"),
        sticky(_PARTIAL_SEEN, PARTIAL, is_word(READ_WORD, words["FLAGS"])),
        *_counters(overlay),
        *bus(_words(overlay), outputs=False),
    ]
    return Module(
        name=module,
        header=(
            f"{module}: counters of a core between two streams, by gatewright {__version__}",
            "SPDX-License-Identifier: Apache-2.0",
        ),
        ports=tuple(ports),
        items=tuple(items),
        drives=((wire("core_rst_n"), _RUNS),),
    )


def _writes(word: int) -> Expr:
    return all_of([WRITES, is_word(WRITE_WORD, word)])


def _counters(overlay: Overlay) -> list[Item]:
    """Return what follows vectors and results, and counts."""
    x, y = overlay.x.words, overlay.y.words
    counters = {name: wire(name.lower(), 32) for name, _ in COUNTERS}
    same = Binary("==", counters["VECTORS_IN"], counters["RESULTS_OUT"])
    last_in = all_of([_TAKEN, wire("x_last")])
    events: dict[str, Expr] = {
        "BEATS_IN": _TAKEN,
        "BEATS_OUT": _GIVEN,
        "VECTORS_IN": all_of([_TAKEN, wire("x_ends")]),
        "RESULTS_OUT": all_of([_GIVEN, wire("y_ends")]),
        "PACKETS_IN": last_in,
        "PACKETS_OUT": all_of([_GIVEN, wire("y_last")]),
        "FRAMING_ERRORS": all_of([last_in, negated(wire("x_ends"))]),
        "CYCLES_BUSY": either(vector_open(x), Choose(same, number(0, 1), number(1, 1))),
    }
    items: list[Item] = [
        Heading("Where vectors and results end, and what is counted"),
        Assign(_TAKEN, all_of([wire("x_valid"), wire("x_ready")])),
        Assign(_GIVEN, all_of([wire("y_valid"), wire("y_ready")])),
        *vector_ends(x, _TAKEN, _RUNS),
        *vector_ends(y, _GIVEN, _RUNS, side="y"),
    ]
    for name, counter in counters.items():
        up = Binary("+", counter, number(1, 32))
        items.append(Register(counter, up, enable=events[name], reset=negated(_RUNS)))
    return items


def _words(overlay: Overlay) -> dict[int, Expr]:
    """Return what reading each word gives."""
    found: dict[str, Expr] = {
        "FLAGS": word_of((_PARTIAL_SEEN, 1)),
        "RESET": word_of((_HOLD, 1)),
        "SCRATCH": _SCRATCH,
        **{name: wire(name.lower(), 32) for name, _ in COUNTERS},
    }
    return {item.word: found.get(item.name, number(item.reset, 32)) for item in overlay.registers}

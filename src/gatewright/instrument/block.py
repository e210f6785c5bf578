"""A block's description in, the Verilog module of its registers, FIFOs and counters behind AXI4-Lite out."""

from __future__ import annotations

from gatewright.instrument import reading
from gatewright.instrument.reading import (
    ASKED,
    LITE,
    PARTIAL,
    READ_WORD,
    READS,
    WRITE_DATA,
    WRITE_WORD,
    WRITES,
    bus,
    is_word,
    number,
    output_registers,
    shown_output,
    wire,
)
from gatewright.instrument.registers import Block, FifoPair, Frame
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
    Module,
    Name,
    Port,
    Register,
    Slice,
    Wire,
)
from gatewright.rtl.signals import CLK, RST_N
from gatewright.rtl.streaming.counting import all_of, either, negated
from gatewright.version import __version__

LEAVES = (*reading.LEAVES, "gw_counted_fifo")


def word_of(*parts: tuple[Expr, int]) -> Expr:
    """Return expressions of so many bits each, the first highest, with zeros in front: 32 bits in all."""
    rest = 32 - sum(bits for _, bits in parts)
    return Concat((*([number(0, rest)] if rest else []), *(part for part, _ in parts)))


def registers_module(block: Block, module: str, *, family: str = "xc7") -> Module:
    """Return the module with everything but the core: bus, registers, FIFOs, counters.

    Its streams x_* (to the core) and y_* (from it) carry words of 32 bits, the last of each vector marked;
    core_rst_n is the core's reset. family: where it has LUT RAM, the output registers are read from a copy there.
    """
    ports = [Port(RST_N, output=False, comment="synchronous, active low")]
    ports += [Port(wire(name, bits), output=way == "output") for way, bits, name in LITE]
    ports += [Port(wire(f"reg{i}_i", 32), output=False) for i in range(block.inputs)]
    ports += [Port(wire(f"reg{i}_o", 32), output=True) for i in range(block.outputs)]
    values: dict[int, Expr] = {block.word(f"IREG{i}"): wire(f"reg{i}_i", 32) for i in range(block.inputs)}
    drives: list[tuple[Name, Expr]] = []
    items: list[Item] = [Heading("What the bus asks for"), *(Wire(asked) for asked in ASKED)]
    if block.outputs:
        items += output_registers(block.outputs, family=family)
        drives += [(wire(f"reg{i}_o", 32), shown_output(i, block.outputs)) for i in range(block.outputs)]
    if block.fifos is not None and block.x is not None and block.y is not None:
        ports += [Port(wire(name, bits), output=out) for name, bits, out in _STREAMS]
        items += _fifos(block, block.fifos)
        items += _counters(block, block.x)
        values |= _read(block, block.fifos, block.x, block.y)
        drives += [(wire(port), wire(inner)) for port, inner in _DRIVEN.items()]
    return Module(
        name=module,
        header=(
            f"{module}: registers and FIFOs behind AXI4-Lite, by gatewright {__version__}",
            "SPDX-License-Identifier: Apache-2.0",
        ),
        ports=tuple(ports),
        items=(*items, *bus(values, outputs=bool(block.outputs))),
        drives=tuple(drives),
    )


_STREAMS = (
    ("core_rst_n", 1, True), ("x_data", 32, True), ("x_valid", 1, True), ("x_last", 1, True), ("x_ready", 1, False),
    ("y_data", 32, False), ("y_valid", 1, False), ("y_last", 1, False), ("y_ready", 1, True),
)  # fmt: skip
_DRIVEN = {"core_rst_n": "runs", "x_valid": "o_valid", "x_last": "x_ends", "y_ready": "i_room"}
_RUNS, _HOLD = wire("runs"), wire("hold")
X_ENDS, X_OPEN, _LOST = wire("x_ends"), wire("x_open"), wire("lost")
COUNTERS = ("VECTORS_IN", "RESULTS_OUT", "FRAMING_ERRORS", "CYCLES_BUSY")


def _fifos(block: Block, fifos: FifoPair) -> list[Item]:
    """Return the two FIFOs with their controls and sticky flags: o_* to the core, i_* from it."""
    items: list[Item] = [
        Heading("Reset from the bus"),
        _control(block, "RESET", _HOLD, negated(RST_N)),
        Register(_RUNS, all_of([RST_N, negated(_HOLD)])),
    ]
    sides = (
        ("o", "input", "OFIFO", fifos.output_depth, (WRITE_DATA, wire("o_push"), wire("o_room")),
         (wire("x_data", 32), wire("o_valid"), wire("x_ready"))),
        ("i", "results", "IFIFO", fifos.input_depth, (wire("y_data", 32), wire("y_valid"), wire("i_room")),
         (wire("i_data", 32), wire("i_valid"), wire("i_pop"))),
    )  # fmt: skip
    for side, what, fifo, depth, way_in, way_out in sides:
        log2_depth = depth.bit_length() - 1
        clear, words = wire(f"{side}_clear"), wire(f"{side}_words", log2_depth + 1)
        if side == "o":
            asked = Assign(way_in[1], all_of([WRITES, is_word(WRITE_WORD, block.word("OFIFO_VALUE"))]))
        else:
            asked = Assign(way_out[2], all_of([READS, is_word(READ_WORD, block.word("IFIFO_VALUE"))]))
        items += [
            Heading(f"FIFO of the {what}"),
            _control(block, f"{fifo}_CONTROL", clear, negated(_RUNS)),
            asked,
            Assign(wire(f"{side}_cleared"), either(clear, negated(_RUNS))),
            *([Wire(way_in[2]), Wire(way_out[1])]),
            *([Wire(way_out[0])] if side == "i" else []),
            Wire(words),
            Instance(
                "gw_counted_fifo",
                f"u_{what}",
                (
                    ("clk", CLK),
                    ("clear", wire(f"{side}_cleared")),
                    *zip(("in_data", "in_valid", "in_ready"), way_in, strict=True),
                    *zip(("out_data", "out_valid", "out_ready"), way_out, strict=True),
                    ("words", words),
                ),
                parameters=(("WIDTH", 32), ("LOG2_DEPTH", log2_depth)),
            ),
        ]
    over = all_of([wire("o_push"), either(negated(wire("o_room")), wire("o_clear"))])
    under = all_of([wire("i_pop"), negated(wire("i_valid"))])
    return [
        *items,
        Heading("What was lost; it stays to be seen, though its status be read in the same cycle"),
        Assign(_LOST, over),
        sticky(wire("overflow"), _LOST, is_word(READ_WORD, block.word("OFIFO_STATUS"))),
        sticky(wire("underflow"), under, is_word(READ_WORD, block.word("IFIFO_STATUS"))),
        Register(wire("partial_seen"), number(1, 1), enable=PARTIAL, reset=negated(_RUNS)),
    ]


def _control(block: Block, name: str, target: Name, reset: Expr) -> Register:
    """Return the register of one bit that a word of control has."""
    return Register(
        target, Slice(WRITE_DATA, 0, 0), enable=all_of([WRITES, is_word(WRITE_WORD, block.word(name))]), reset=reset
    )


def sticky(flag: Name, sets: Expr, status: Expr) -> Register:
    """Return a flag that reading its status clears."""
    stays = all_of([flag, Choose(all_of([READS, status]), number(0, 1), number(1, 1))])
    return Register(flag, either(sets, stays), reset=negated(_RUNS))


def _counters(block: Block, x: Frame) -> list[Item]:
    """Return what follows the vectors into the core and out of it, and counts."""
    taken = all_of([wire("o_valid"), wire("x_ready")])
    items: list[Item] = [Heading("Where a vector ends, and what is counted"), *vector_ends(x.words, taken, _RUNS)]
    items.append(Assign(X_OPEN, vector_open(x.words)))
    counters = {name: wire(name.lower(), 32) for name in COUNTERS}
    cut = all_of([WRITES, is_word(WRITE_WORD, block.word("OFIFO_CONTROL")), Slice(WRITE_DATA, 0, 0), X_OPEN])
    same = Binary("==", counters["VECTORS_IN"], counters["RESULTS_OUT"])
    events = {
        "VECTORS_IN": all_of([taken, X_ENDS]),
        "RESULTS_OUT": all_of([wire("y_valid"), wire("i_room"), wire("y_last")]),
        "FRAMING_ERRORS": either(_LOST, cut),
        "CYCLES_BUSY": either(X_OPEN, Choose(same, number(0, 1), number(1, 1))),
    }
    for name, counter in counters.items():
        up = Binary("+", counter, number(1, 32))
        items.append(Register(counter, up, enable=events[name], reset=negated(_RUNS)))
    return items


def vector_ends(words: int, taken: Expr, runs: Name, *, side: str = "x") -> list[Item]:
    """Return what says of each word that is `taken` whether it is a vector's last: x_ends; and x_word, which it is.

    side: in front of these names.
    """
    ended = wire(f"{side}_ends")
    if words == 1:
        return [Assign(ended, number(1, 1))]
    place = wire(f"{side}_word", (words - 1).bit_length())
    ends = Binary("==", place, number(words - 1, place.width))
    after = Choose(ends, number(0, place.width), Binary("+", place, number(1, place.width)))
    return [
        Register(place, after, enable=taken, reset=negated(runs)),
        Assign(ended, ends),
    ]


def vector_open(words: int, *, side: str = "x") -> Expr:
    """Return whether a vector has begun and not ended, of what `vector_ends` made."""
    bits = (words - 1).bit_length()
    return AnyBit(Slice(wire(f"{side}_word", bits), bits - 1, 0)) if words > 1 else number(0, 1)


def _read(block: Block, fifos: FifoPair, x: Frame, y: Frame) -> dict[int, Expr]:
    """Return what reading the words of FIFOs and diagnosis gives."""
    held = {side: wire(f"{side}_words", depth.bit_length()) for side, depth in _depths(fifos).items()}
    almost_full = _at_least(held["o"], fifos.output_depth - x.words + 1)
    almost_empty = _below(held["i"], y.words)
    values: dict[str, Expr] = {
        "IFIFO_VALUE": Choose(wire("i_valid"), wire("i_data", 32), number(0, 32)),
        "IFIFO_CONTROL": word_of((wire("i_clear"), 1)),
        "IFIFO_STATUS": _status(held["i"], wire("underflow"), almost_empty, negated(wire("i_valid"))),
        "OFIFO_CONTROL": word_of((wire("o_clear"), 1)),
        "OFIFO_STATUS": _status(held["o"], wire("overflow"), almost_full, negated(wire("o_room"))),
        **{name: wire(name.lower(), 32) for name in COUNTERS},
        "FLAGS": word_of((wire("partial_seen"), 1)),
        "RESET": word_of((_HOLD, 1)),
    }
    fixed = {item.word: number(item.reset, 32) for item in block.registers if item.name in _FIXED}
    return {block.word(name): value for name, value in values.items()} | fixed


_FIXED = ("ID", "HASH_HIGH", "HASH_LOW", "X_WORDS", "Y_WORDS", "DEPTHS", "RAM_WORDS")


def _depths(fifos: FifoPair) -> dict[str, int]:
    return {"o": fifos.output_depth, "i": fifos.input_depth}


def _status(held: Name, sticky: Name, almost: Expr, end: Expr) -> Expr:
    """Return a status: the count in the upper half, the sticky flag, the two of the level."""
    count = Concat((number(0, 16 - held.width), held)) if held.width < 16 else held
    return Concat((count, number(0, 13), sticky, almost, end))


def _at_least(held: Name, bound: int) -> Expr:
    return Binary(">=", held, number(bound, held.width)) if bound > 0 else number(1, 1)


def _below(held: Name, bound: int) -> Expr:
    return Binary("<", held, number(bound, held.width)) if bound < 1 << held.width else number(1, 1)

"""Words that can be read in, the netlist of an AXI4-Lite bus that reads them out; what it asks of registers behind it.

A word lies in one of three groups: 0 to 15, 16 to 31, 32 to 63. The low bits of its number pick one of each group, its
high bits a group; where no word is, the bus reads 0 by the reset of its flip-flops.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatewright.instrument.registers import WORD_BITS
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
    Name,
    Slice,
    Wire,
    ram_style,
)
from gatewright.rtl.signals import CLK, RST_N
from gatewright.rtl.streaming.counting import NO, all_of, either

LEAVES = ("gw_lite", "gw_pick", "gw_shown_registers")
ADDRESS_BITS = WORD_BITS + 2
OUTPUTS = 16
"""The first word of the output registers, and how many may be there."""

LITE = (
    ("input", ADDRESS_BITS, "awaddr"),
    ("input", 1, "awvalid"),
    ("output", 1, "awready"),
    ("input", 32, "wdata"),
    ("input", 4, "wstrb"),
    ("input", 1, "wvalid"),
    ("output", 1, "wready"),
    ("output", 2, "bresp"),
    ("output", 1, "bvalid"),
    ("input", 1, "bready"),
    ("input", ADDRESS_BITS, "araddr"),
    ("input", 1, "arvalid"),
    ("output", 1, "arready"),
    ("output", 32, "rdata"),
    ("output", 2, "rresp"),
    ("output", 1, "rvalid"),
    ("input", 1, "rready"),
)
"""The bus, as a block drives it: direction, bits, name without its prefix."""


def wire(name: str, width: int = 1) -> Name:
    """Return an unsigned signal."""
    return Name(name, width, False)


def number(value: int, width: int) -> Literal:
    """Return an unsigned number."""
    return Literal(value, width, False)


READS, WRITES, PARTIAL = wire("reads"), wire("writes"), wire("partial")
READ_WORD, WRITE_WORD, WRITE_DATA = wire("read_word", WORD_BITS), wire("write_word", WORD_BITS), wire("write_data", 32)
ASKED = (READS, READ_WORD, WRITES, WRITE_WORD, WRITE_DATA, PARTIAL)
"""What the bus asks for: see gw_lite."""

_VALUE, _BLANK = wire("value", 32), wire("blank")
_SHOWN, _OREG, _FRESH = "shown", wire("oreg", 32), wire("oreg_blank")
_WORTH_A_COPY = 4  # registers: LUT RAM comes in 32 words of 6 bits


def is_word(word: Name, value: int) -> Expr:
    """Return whether a word of the bus is this one."""
    return Binary("==", word, number(value, WORD_BITS))


def bus(values: Mapping[int, Expr], *, outputs: bool) -> list[Item]:
    """Return the bus, which reads these words, of 32 bits each. outputs: those of `output_registers` too."""
    groups: list[tuple[Expr, Name]] = []  # (that the word is in the group, what is read there)
    items: list[Item] = []
    blank: Expr = NO
    for name, words in (("low", range(OUTPUTS)), ("middle", range(OUTPUTS, 32)), ("high", range(32, 1 << WORD_BITS))):
        inside = _inside(words)
        listed = [
            values.get(word, number(0, 32)) for word in range(words[0], max(values.keys() & set(words), default=0) + 1)
        ]
        if outputs and words[0] == OUTPUTS:
            groups.append((inside, _OREG))
            blank = either(blank, all_of([inside, _FRESH]))
        elif not listed:
            blank = either(blank, inside)
        else:
            bits = max(2, (len(listed) - 1).bit_length())
            items += _picked(name, listed, bits)
            groups.append((inside, wire(name, 32)))
            if len(words) > 1 << bits:
                above = Slice(READ_WORD, len(words).bit_length() - 2, bits)
                blank = either(blank, all_of([inside, AnyBit(above)]))
    value: Expr = groups[0][1] if groups else number(0, 32)
    for inside, read in groups[1:]:
        value = Choose(inside, read, value)
    ends = (("clk", CLK), ("rst_n", RST_N), *((name, wire(name, bits)) for _, bits, name in LITE))
    inner = (("value", _VALUE), ("blank", _BLANK), *((asked.name, asked) for asked in ASKED))
    return [
        Heading("What the bus reads; lists have the last word first"),
        *items,
        Assign(_VALUE, value),
        Assign(_BLANK, blank),
        Instance("gw_lite", "u_lite", (*ends, *inner), parameters=(("WORD_BITS", WORD_BITS),)),
    ]


def _inside(words: range) -> Expr:
    """Return whether the word that is being read is in a group, which is aligned to its size."""
    low = len(words).bit_length() - 1
    return Binary("==", Slice(READ_WORD, WORD_BITS - 1, low), number(words[0] >> low, WORD_BITS - low))


def _picked(name: str, listed: list[Expr], bits: int) -> list[Item]:
    """Return the items that give `name` the one of the words that the low bits of its number say."""
    own, words = wire(name, 32), wire(f"{name}_words", 32 << bits)
    full = all(isinstance(value, Name) for value in listed)
    rest = [number(0, 32)] * ((1 << bits) - len(listed))
    ends = (("values", words), ("word", Slice(READ_WORD, bits - 1, 0)), ("value", own))
    return [
        Assign(words, Concat((*rest, *reversed(listed)))),
        Wire(own),
        Instance("gw_pick", f"u_{name}", ends, parameters=(("LOG2_WORDS", bits), ("FULL", int(full)))),
    ]


def output_registers(count: int, *, family: str) -> list[Item]:
    """Return the registers from word 16 on that the bus writes and reads back; `shown_output` is one of them.

    family: where it has LUT RAM they are read from a copy there.
    """
    shown = wire(_SHOWN, 32 * count)
    ends = (
        ("clk", CLK),
        ("rst_n", RST_N),
        ("writes", wire("oreg_writes")),
        ("written", Slice(WRITE_WORD, 3, 0)),
        ("data", WRITE_DATA),
        ("read", Slice(READ_WORD, 3, 0)),
        ("value", _OREG),
        ("blank", _FRESH),
        ("shown", shown),
    )
    copied = count >= _WORTH_A_COPY and ram_style(family, "distributed") == "distributed"
    written = Binary("==", Slice(WRITE_WORD, WORD_BITS - 1, 4), number(OUTPUTS >> 4, WORD_BITS - 4))
    return [
        Heading("Registers for the user's logic"),
        *(Wire(own) for own in (shown, _OREG, _FRESH)),
        Assign(wire("oreg_writes"), all_of([WRITES, written])),
        Instance("gw_shown_registers", "u_outputs", ends, parameters=(("COUNT", count), ("COPY", int(copied)))),
    ]


def shown_output(index: int, count: int) -> Slice:
    """Return one of `count` output registers, for the user's logic."""
    return Slice(wire(_SHOWN, 32 * count), 32 * index + 31, 32 * index)

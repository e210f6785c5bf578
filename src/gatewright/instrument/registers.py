"""What an instrument has in; the one description of its registers, FIFOs and frames that all else is made from out.

Verilog, C headers, the Python client's map, the Markdown table and IP-XACT come from a `Block`, and tests read each of
them back. The words 0 to 38 lie where a ComBlock 2.1 has them; what diagnoses lies in words that it leaves free.
SystemRDL with PeakRDL could describe the registers, but its Verilog is read by neither yosys nor Icarus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from gatewright.errors import LowerError
from gatewright.rtl.shell import StreamPort

Access = Literal["read-only", "read-write", "write-only"]

WORD_BITS = 6
"""Bits of a word's number: 64 words of 32 bits."""
MAGIC = 0x47570001
"""Word ID: "GW", and the version of this map."""
MOST_REGISTERS = 16
SMALLEST_DEPTH, LARGEST_DEPTH = 16, 32768
SMALLEST_RAM, LARGEST_RAM = 32, 1 << 18
_DIAGNOSIS = 40  # the first word of those that a ComBlock has not


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Some bits of a register: `bits` of them from bit `low` on."""

    name: str
    low: int
    bits: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One word. reset: what it holds behind a reset. effect: what reading or writing it does beside."""

    name: str
    word: int
    access: Access
    description: str
    reset: int = 0
    effect: str = ""
    fields: tuple[Field, ...] = ()
    prefix: str = ""

    @property
    def macro(self) -> str:
        """Its name in C: as ComBlock's driver has it, where ComBlock has the word, if it has no prefix of its own."""
        return f"{self.prefix or ('CB' if self.word < _DIAGNOSIS else 'GW')}_{self.name}"

    @property
    def offset(self) -> int:
        """Bytes from the block's address."""
        return 4 * self.word


@dataclass(frozen=True, slots=True, kw_only=True)
class FifoPair:
    """The two FIFOs of 32-bit words: depths in words, powers of two; `output` from the processor to the core.

    Raises LowerError for other depths.
    """

    output_depth: int = 1024
    input_depth: int = 1024

    def __post_init__(self) -> None:
        for what, depth in (("output", self.output_depth), ("input", self.input_depth)):
            if not SMALLEST_DEPTH <= depth <= LARGEST_DEPTH or depth & (depth - 1):
                raise LowerError(
                    f"the depth of the {what} FIFO must be a power of two in {SMALLEST_DEPTH}..{LARGEST_DEPTH}, not "
                    f"{depth!r}; the count in its status has 16 bits"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How a vector crosses the bus: `beats` pieces of `elements` codes, each in whole words of `beat_bits`.

    In a piece element i lies in lane i, its width rounded up to whole bytes, lowest first; a code may cross from a word
    to the next; the rest of the last word is ignored on the way in and zero on the way out. One piece is the whole
    vector, but for cores on streams, where it is what the core takes at a time. frac_bits: a code q means
    q * 2**-frac_bits.
    """

    elements: int
    width_bits: int
    signed: bool
    frac_bits: int
    beats: int = 1
    beat_bits: int = 32

    @property
    def port(self) -> StreamPort:
        """The stream of one piece."""
        return StreamPort(
            elements=self.elements, width_bits=self.width_bits, signed=self.signed, beat_bits=self.beat_bits
        )

    @property
    def words(self) -> int:
        """Words of a vector."""
        return self.beats * self.port.beats

    @property
    def total(self) -> int:
        """Codes of a vector."""
        return self.beats * self.elements


class Described(Protocol):
    """What has registers: a `Block`, or a kernel."""

    @property
    def name(self) -> str:
        """Of the top."""
        ...

    @property
    def program_hash(self) -> str:
        """Of what is inside."""
        ...

    @property
    def registers(self) -> tuple[Register, ...]:
        """All, by word."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The instrument. program_hash: of what is inside, hexadecimal; x, y: frames of the input and of the result.

    inputs, outputs: registers of the user's own logic, which the processor reads and writes. fifos None: these, and
    no core. ram_words: of a RAM between the processor and the user's logic, behind AXI4; 0: none.
    Raises LowerError for more registers than the map has, and for a RAM of another size than a power of two.
    """

    name: str
    program_hash: str = "0" * 64
    x: Frame | None = None
    y: Frame | None = None
    fifos: FifoPair | None = None
    inputs: int = MOST_REGISTERS
    outputs: int = MOST_REGISTERS
    ram_words: int = 0

    def __post_init__(self) -> None:
        for what, count in (("input", self.inputs), ("output", self.outputs)):
            if not 0 <= count <= MOST_REGISTERS:
                raise LowerError(f"a block must have 0..{MOST_REGISTERS} {what} registers, not {count!r}")
        words = self.ram_words
        if words and (not SMALLEST_RAM <= words <= LARGEST_RAM or words & (words - 1)):
            raise LowerError(f"a RAM must have a power of two of words in {SMALLEST_RAM}..{LARGEST_RAM}, not {words!r}")
        if (self.x is None) != (self.fifos is None) or (self.y is None) != (self.fifos is None):
            raise LowerError("a block with FIFOs needs the frames x and y, and one without needs neither")

    @property
    def registers(self) -> tuple[Register, ...]:
        """Every register that there is, by word."""
        found = [
            *(
                Register(
                    name=f"IREG{i}", word=i, access="read-only", description=f"What the user's logic puts on reg{i}_i."
                )
                for i in range(self.inputs)
            ),
            *(
                Register(
                    name=f"OREG{i}",
                    word=16 + i,
                    access="read-write",
                    description=f"What reg{i}_o has for the user's logic.",
                )
                for i in range(self.outputs)
            ),
        ]
        if self.fifos is not None and self.x is not None and self.y is not None:
            found += [*_fifo_registers(self.fifos), *_diagnosis(self, self.fifos, self.x, self.y)]
        return tuple(found)

    def word(self, name: str) -> int:
        """Return a register's word."""
        return next(register.word for register in self.registers if register.name == name)


def _count(description: str) -> Field:
    return Field(name="COUNT", low=16, bits=16, description=description)


def _flag(name: str, low: int, description: str) -> Field:
    return Field(name=name, low=low, bits=1, description=description)


_CLEAR = "Bit 0 empties the FIFO while it is 1: write 1, then 0."


def _fifo_registers(fifos: FifoPair) -> list[Register]:
    cleared = "reading clears the sticky bit"
    return [
        Register(
            name="IFIFO_VALUE", word=32, access="read-only", effect="reading takes the word",
            description="The next word of the results. Of an empty FIFO: 0, and UF is set.",
        ),
        Register(
            name="IFIFO_CONTROL", word=33, access="read-write", description=f"FIFO of the results: {_CLEAR}",
            fields=(_flag("CLEAR", 0, "Holds the FIFO empty."),),
        ),
        Register(
            name="IFIFO_STATUS", word=34, access="read-only", effect=cleared, reset=0b011,
            description=f"FIFO of the results, {fifos.input_depth} words.",
            fields=(
                _flag("E", 0, "Empty."),
                _flag("AE", 1, "Almost empty: holds no whole result."),
                _flag("UF", 2, "Underflow, sticky: was read while empty."),
                _count("Words that it holds."),
            ),
        ),
        Register(
            name="OFIFO_VALUE", word=36, access="write-only", effect="writing appends the word",
            description="A word of the input. Into a full FIFO: dropped, and OF is set.",
        ),
        Register(
            name="OFIFO_CONTROL", word=37, access="read-write", description=f"FIFO of the input: {_CLEAR}",
            fields=(_flag("CLEAR", 0, "Holds the FIFO empty."),),
        ),
        Register(
            name="OFIFO_STATUS", word=38, access="read-only", effect=cleared,
            description=f"FIFO of the input, {fifos.output_depth} words.",
            fields=(
                _flag("F", 0, "Full."),
                _flag("AF", 1, "Almost full: a whole vector has no room."),
                _flag("OF", 2, "Overflow, sticky: was written while full."),
                _count("Words that it holds."),
            ),
        ),
    ]  # fmt: skip


def _diagnosis(block: Block, fifos: FifoPair, x: Frame, y: Frame) -> list[Register]:
    depths = (fifos.output_depth << 16) | fifos.input_depth
    constants = (
        ("ID", MAGIC, "Who answers: 0x4757, \"GW\", and the version of this map."),
        ("HASH_HIGH", int(block.program_hash[:8], 16), "First 32 bits of the hash of the program inside."),
        ("HASH_LOW", int(block.program_hash[8:16], 16), "The next 32 bits of it."),
        ("X_WORDS", x.words, "Words of an input vector."),
        ("Y_WORDS", y.words, "Words of a result."),
        ("DEPTHS", depths, "Depth of the input's FIFO in the upper half, of the results' in the lower."),
        ("RAM_WORDS", block.ram_words, "Words of the RAM window, 0 where there is none."),
    )  # fmt: skip
    counters = (
        ("VECTORS_IN", "Vectors that have entered the core since the reset."),
        ("RESULTS_OUT", "Results that have left the core since the reset."),
        ("FRAMING_ERRORS", "Words lost to a full FIFO, and vectors cut by OFIFO_CONTROL: each tears a vector."),
        ("CYCLES_BUSY", "Cycles in which the core had a vector, whole or in part."),
    )
    fixed = [
        Register(name=name, word=_DIAGNOSIS + i, access="read-only", reset=value, description=text)
        for i, (name, value, text) in enumerate(constants)
    ]
    return [
        *fixed,
        *(
            Register(name=name, word=_DIAGNOSIS + 8 + i, access="read-only", description=text)
            for i, (name, text) in enumerate(counters)
        ),
        Register(
            name="FLAGS", word=_DIAGNOSIS + 12, access="read-only", description="What went wrong since the reset.",
            fields=(_flag("PARTIAL", 0, "A write of less than a word, which was refused."),),
        ),
        Register(
            name="RESET", word=_DIAGNOSIS + 13, access="read-write",
            description="Bit 0 holds core, FIFOs, counters and flags in reset while it is 1: write 1, then 0.",
            fields=(_flag("HOLD", 0, "Holds all but the user's registers in reset."),),
        ),
    ]  # fmt: skip

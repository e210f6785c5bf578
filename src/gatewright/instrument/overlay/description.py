"""What a design behind a DMA has in; its registers and frames, from which all else is made, out."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.errors import LowerError
from gatewright.instrument.framed import Framed
from gatewright.instrument.registers import Access, Field, Register

MAGIC = 0x47440001
"""Word ID: "GD", and the version of this map."""
DATA_BITS = (32, 64, 128)
"""Widths of the streams that there are."""
LENGTH_BITS = 26
"""Of the DMA's length register: Vivado's default, 14, ends transfers at 16 kB."""
MOST_BYTES = (1 << LENGTH_BITS) - 1

COUNTERS = (
    ("BEATS_IN", "Beats that the core has taken of the DMA."),
    ("BEATS_OUT", "Beats that the DMA has taken of the core."),
    ("VECTORS_IN", "Vectors that have entered the core."),
    ("RESULTS_OUT", "Results that have left it."),
    ("PACKETS_IN", "Beats with TLAST of the DMA: one for each transfer."),
    ("PACKETS_OUT", "Beats with TLAST to the DMA: each ends a transfer."),
    ("FRAMING_ERRORS", "Beats with TLAST that ended no vector: such a transfer gets no TLAST, and never ends."),
    ("CYCLES_BUSY", "Cycles in which the core had a vector, whole or in part."),
)
"""Words 8 to 15: name and meaning, all since the reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay(Framed):
    """The module `name` around the program of a hash. x, y: frames of a vector and of its result, in beats.

    Raises LowerError for a vector longer than a transfer of the DMA, and for beats that are none of `DATA_BITS`.
    """

    def __post_init__(self) -> None:
        if self.data_bits not in DATA_BITS or self.y.beat_bits != self.data_bits:
            listed = ", ".join(map(str, DATA_BITS))
            raise LowerError(f"streams of a DMA must have one of {listed} bits, not {self.data_bits!r}")
        for what, frame in (("vector", self.x), ("result", self.y)):
            if self.vector_bytes(frame) > MOST_BYTES:
                raise LowerError(
                    f"a {what} must have at most {MOST_BYTES} bytes, a transfer's, not {self.vector_bytes(frame)}"
                )

    @property
    def registers(self) -> tuple[Register, ...]:
        """Every word that there is, in order."""
        constants = self.identity(MAGIC, "GD", "Bytes of a vector.", "Bytes of a result.")
        return (
            *(_register(name, word, "read-only", text, reset=value) for word, (name, value, text) in
              enumerate(constants)),
            _register(
                "FLAGS", 5, "read-only", "What went wrong since the reset.", effect="reading clears it",
                fields=(_flag("PARTIAL", "A write of less than a word, which was refused."),),
            ),
            _register(
                "RESET", 6, "read-write",
                "Bit 0 holds core, counters and flags in reset while it is 1: write 1, then 0.",
                fields=(_flag("HOLD", "Holds all but this word in reset; streams stand still."),),
            ),
            _register("SCRATCH", 7, "read-write", "Keeps what is written, and does nothing: a test of the bus."),
            *(_register(name, 8 + i, "read-only", text) for i, (name, text) in enumerate(COUNTERS)),
        )  # fmt: skip


def _flag(name: str, text: str) -> Field:
    return Field(name=name, low=0, bits=1, description=text)


def _register(
    name: str, word: int, access: Access, text: str, *, reset: int = 0, effect: str = "", fields: tuple[Field, ...] = ()
) -> Register:
    return Register(
        name=name, word=word, access=access, description=text, reset=reset, effect=effect, fields=fields, prefix="GD"
    )

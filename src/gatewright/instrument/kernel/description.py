"""What a kernel has in; its control words, arguments and frames, from which all else is made, out."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.errors import LowerError
from gatewright.instrument.framed import Framed
from gatewright.instrument.registers import Access, Field, Register

MAGIC = 0x474B0001
"""Word ID: "GK", and the version of this map."""
DATA_BITS = (32, 64, 128, 256, 512)
"""Widths of its bus to memory that there are."""
PATIENCE = 1 << 20
"""Cycles without any progress after which a run ends, behind a reset."""
LOG2_BURST, LOG2_DEPTH = 6, 9
"""Of the beats of the longest burst, 4 KiB at 512 bits, and of those that wait each way."""
MOST_BEATS = (1 << 16) - 1

CODES = (
    "all results are written",
    "the memory does not answer reads",
    "the memory does not answer writes",
    "the core gives nothing, and waits for nothing of the memory",
    "the memory refused a read",
    "the memory refused a write",
    "an address is no multiple of a beat's bytes",
)
"""What word STATUS says of the last run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What a host gives with a run. offset: in bytes; pointer: an address in memory, of 8 bytes, else a number of 4."""

    name: str
    offset: int
    pointer: bool

    @property
    def bytes(self) -> int:
        """Of its value."""
        return 8 if self.pointer else 4


ARGUMENTS = (
    Argument(name="x", offset=0x10, pointer=True),
    Argument(name="y", offset=0x1C, pointer=True),
    Argument(name="count", offset=0x28, pointer=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel(Framed):
    """The kernel `name` around the program of a hash. x, y: frames of a vector and of its result, in beats of its bus.

    Raises LowerError for a vector that is too long, and for beats that are none of `DATA_BITS`.
    """

    def __post_init__(self) -> None:
        if self.data_bits not in DATA_BITS or self.y.beat_bits != self.data_bits:
            listed = ", ".join(map(str, DATA_BITS))
            raise LowerError(f"a kernel's bus to memory must have one of {listed} bits, not {self.data_bits!r}")
        for what, frame in (("vector", self.x), ("result", self.y)):
            if frame.words > MOST_BEATS:
                raise LowerError(
                    f"a {what} must have at most {MOST_BEATS} beats of {self.data_bits} bits, not {frame.words}; "
                    "take a wider bus"
                )

    @property
    def registers(self) -> tuple[Register, ...]:
        """Every word that there is, in order."""
        constants = self.identity(MAGIC, "GK", "Bytes from a vector to the next.", "Bytes from a result to the next.")
        counters = (
            ("VECTORS_IN", "Vectors that have entered the core in this run, or the last."),
            ("RESULTS_OUT", "Results that have left it."),
            ("CYCLES", "Cycles from the run's start to its end."),
        )
        return (
            *_control(),
            *(_register(f"{name}", word, "read-write", text) for name, word, text in _ARGUMENTS),
            _register("PATIENCE", 12, "read-write", _PATIENCE, reset=PATIENCE),
            _register("STATUS", 13, "read-only", _STATUS, fields=_STATUS_FIELDS),
            *(
                _register(name, 16 + i, "read-only", text, reset=value)
                for i, (name, value, text) in enumerate(constants)
            ),
            *(_register(name, 24 + i, "read-only", text) for i, (name, text) in enumerate(counters)),
        )


_ARGUMENTS = (
    ("X_LOW", 4, "Argument x: where the vectors begin, a multiple of a beat's bytes; low half."),
    ("X_HIGH", 5, "Its high half."),
    ("Y_LOW", 7, "Argument y: where the results go; low half."),
    ("Y_HIGH", 8, "Its high half."),
    ("COUNT", 10, "Argument count: how many vectors."),
)
_PATIENCE = "Cycles in which nothing moves after which a run is ended; 0: never."
_STATUS = "How the last run ended."


def _bit(name: str, low: int, text: str) -> Field:
    return Field(name=name, low=low, bits=1, description=text)


_STATUS_FIELDS = (
    Field(
        name="CODE", low=0, bits=3, description="; ".join(f"{code}: {text}" for code, text in enumerate(CODES)) + "."
    ),
    _bit("PARTIAL", 30, "A write of less than a word came since the reset, and was refused."),
    _bit("HUNG", 31, "Something is still expected of the memory after a run that failed; runs fail until it has come."),
)


def _register(
    name: str, word: int, access: Access, text: str, *, reset: int = 0, effect: str = "", fields: tuple[Field, ...] = ()
) -> Register:
    return Register(
        name=name, word=word, access=access, description=text, reset=reset, effect=effect, fields=fields, prefix="GK"
    )


def _control() -> tuple[Register, ...]:
    events = (_bit("DONE", 0, "A run has ended."), _bit("READY", 1, "The next one may be asked for."))
    return (
        _register(
            "CONTROL", 0, "read-write", "Starts a run and says where it is.", reset=0b100,
            effect="reading clears DONE and READY",
            fields=(
                _bit("START", 0, "Write 1 to start; 0 when the run has ended."),
                _bit("DONE", 1, "A run has ended."),
                _bit("IDLE", 2, "No run is under way."),
                _bit("READY", 3, "As DONE."),
                _bit("RESTART", 7, "A run that ends as it should is followed by the next."),
                _bit("INTERRUPT", 9, "The interrupt is on."),
            ),
        ),
        _register(
            "GLOBAL_ENABLE", 1, "read-write", "Of the interrupt.", fields=(_bit("ON", 0, "Lets the interrupt out."),)
        ),
        _register("EVENTS_ENABLE", 2, "read-write", "Which events set EVENTS.", fields=events),
        _register(
            "EVENTS", 3, "read-write", "What the interrupt is for.", fields=events,
            effect="writing 1 to a bit turns it over",
        ),
    )  # fmt: skip

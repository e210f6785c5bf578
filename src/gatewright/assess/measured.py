"""What a system's program printed in; vectors, differences and cycles out, or the error that it tells of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from gatewright.errors import MismatchError, ToolError

_COMPARED = ("mismatches", "words_mismatches", "bulk_mismatches", "one_mismatches")
# What gw_status means, in the words of gw_message: the program has no room for them.
_STATUS = {
    1: "no block of this map answers",
    2: "the block is of another program than its client",
    3: "the block's vectors have other sizes than the client's",
    4: "the arrays hold no whole vectors",
    5: "a code does not fit the input's format",
    6: "nothing moved any more",
    7: "the input's FIFO has lost a word",
    8: "the results' FIFO was read while empty",
    9: "a result differs from the stored one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Cycles of one clock, which processor, bus and core share.

    client_cycles: gw_run, codes in and codes out, all vectors; words_cycles: the same of words that are packed already;
    write_cycles, read_cycles: of so many words, in one go; one_cycles: gw_run_words of each vector alone.
    """

    vectors: int
    client_cycles: int
    words_cycles: int
    write_words: int
    write_cycles: int
    read_words: int
    read_cycles: int
    one_cycles: tuple[int, ...]

    def part(self) -> dict[str, Any]:
        """Return the keys of results.json's assessment that are measured."""
        return {
            "vectors": self.vectors,
            "mismatches": 0,
            "write_cycles_per_word": round(self.write_cycles / self.write_words, 2),
            "read_cycles_per_word": round(self.read_cycles / self.read_words, 2),
            "bus_latency_cycles": median_low(self.one_cycles),
            "words_cycles_per_vector": round(self.words_cycles / self.vectors, 1),
            "client_cycles_per_vector": round(self.client_cycles / self.vectors, 1),
            "one_vector_cycles": list(self.one_cycles),
        }


def measured(text: str, *, vectors: int) -> Measured:
    """Read the lines `NAME NUMBER` that main.c prints.

    vectors: stored ones, all of which it must have compared. Raises MismatchError where any result differed,
    ToolError where the client failed or a line is not as it must be.
    """
    lines = [line.split() for line in text.splitlines()]
    odd = [" ".join(words) for words in lines if len(words) != 2 or not words[1].isdecimal()]
    if odd:
        raise ToolError(f"the simulated program must print a name and a number a line, not {odd[0]!r}")
    said = {name: int(number) for name, number in lines}
    if "status" in said:
        counts = ", ".join(f"{key} {said[key]}" for key in ("vectors_in", "results_out", "framing_errors", "flags"))
        raise ToolError(
            f"the simulated client must run its {vectors} vectors, but ended with status {said['status']}, "
            f"{_STATUS.get(said['status'], 'which is not known')}: {counts}"
        )
    if "end" not in said:
        last = " ".join(lines[-1]) if lines else ""
        raise ToolError(f"the simulated program must print `end 0` last, not {last!r}")
    _compare(said, vectors)
    one = tuple(int(number) for name, number in lines if name == "one")
    return Measured(
        vectors=said["vectors"],
        client_cycles=said["cycles"] - said["empty"],
        words_cycles=said["words_cycles"] - said["empty"],
        write_words=said["write_words"],
        write_cycles=said["write_cycles"] - said["empty"],
        read_words=said["read_words"],
        read_cycles=said["read_cycles"] - said["empty"],
        one_cycles=tuple(cycles - said["empty"] for cycles in one),
    )


def _compare(said: dict[str, int], vectors: int) -> None:
    counted: Sequence[str] = ("vectors_in", "results_out")
    if said["vectors"] != vectors or said["framing_errors"] != 0 or said[counted[0]] != said[counted[1]]:
        raise ToolError(
            f"the block must have answered all of {vectors} vectors, but was given {said['vectors']} and counted "
            f"{said['vectors_in']} in, {said['results_out']} out and {said['framing_errors']} framing errors"
        )
    for key in _COMPARED:
        if said[key]:
            raise MismatchError(
                f"behind the bus {said[key]} of {vectors} vectors give other results than the program ({key}), the "
                f"first of them vector {said['first_vector']}, code {said['first_code']}; if the Verilog was edited, "
                "`gatewright sim` finds the layer"
            )

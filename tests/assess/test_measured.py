"""What the program says: its numbers are read, and each way of failing is an error that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewright.assess.measured import Measured, measured
from gatewright.assess.tools import check_tools, find_riscv
from gatewright.errors import MismatchError, MissingToolError, ToolError

GOOD = {
    "empty": 6,
    "vectors": 2,
    "mismatches": 0,
    "cycles": 1006,
    "words_mismatches": 0,
    "words_cycles": 206,
    "write_words": 4,
    "write_cycles": 74,
    "read_words": 2,
    "read_cycles": 41,
    "bulk_mismatches": 0,
    "one_mismatches": 0,
    "vectors_in": 8,
    "results_out": 8,
    "framing_errors": 0,
    "end": 0,
}


def text(**changes: int) -> str:
    return "one 106\none 116\n" + "".join(f"{name} {value}\n" for name, value in (GOOD | changes).items())


def test_cycles_are_without_the_cost_of_looking():
    found = measured(text(), vectors=2)
    assert found == Measured(
        vectors=2,
        client_cycles=1000,
        words_cycles=200,
        write_words=4,
        write_cycles=68,
        read_words=2,
        read_cycles=35,
        one_cycles=(100, 110),
    )
    assert found.part() | {"one_vector_cycles": 0} == {
        "vectors": 2,
        "mismatches": 0,
        "write_cycles_per_word": 17.0,
        "read_cycles_per_word": 17.5,
        "bus_latency_cycles": 100,
        "words_cycles_per_vector": 100.0,
        "client_cycles_per_vector": 500.0,
        "one_vector_cycles": 0,
    }


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            "first_vector 1\nfirst_code 0\n" + text(words_mismatches=1),
            MismatchError,
            r"1 of 2 vectors give other results .* \(words_mismatches\), the first of them vector 1, code 0",
        ),
        (
            "status 6\nvectors_in 3\nresults_out 2\nframing_errors 0\nflags 0\n",
            ToolError,
            "its 2 vectors, but ended with status 6, nothing moved any more: vectors_in 3, results_out 2,",
        ),
        (
            text(vectors_in=9),
            ToolError,
            "all of 2 vectors, but was given 2 and counted 9 in, 8 out and 0 framing errors",
        ),
        (text().replace("end 0\n", ""), ToolError, "must print `end 0` last, not 'framing_errors 0'"),
        ("empty 6\nframe\n", ToolError, "a name and a number a line, not 'frame'"),
    ],
)
def test_what_fails_says_so(said: str, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        measured(said, vectors=2)


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(MissingToolError) as raised:
        check_tools(which=lambda _: None, package=lambda _: None)
    said = str(raised.value)
    assert said.count("\n") == 4
    for hint in ("apt install gcc-riscv64-unknown-elf", "'gatewright[soc]'", "gatewright[sim]", "gatewright[zig]"):
        assert hint in said


def test_another_compiler_serves():
    there = {f"riscv-none-elf-{name}": f"/opt/{name}" for name in ("gcc", "objcopy", "nm")}
    assert Path(find_riscv(which=there.get).gcc) == Path("/opt/gcc")
    with pytest.raises(MissingToolError, match="none is on the PATH"):
        find_riscv(which={"riscv64-unknown-elf-gcc": "/usr/bin/gcc"}.get)

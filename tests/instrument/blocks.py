"""A small program as a block: its files, and vectors with their words, for tests of the bus and of the clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatewright.fixedpoint import Ints
from gatewright.flow.codes import random_codes
from gatewright.instrument.registers import FifoPair, Frame
from gatewright.instrument.top import WrittenBlock, make_block
from gatewright.ir import Interpreter, Program
from gatewright.rtl.beats import pack
from gatewright.rtl.manifest import write_design
from tests.lowering import lower_for


def built(
    folder: Path,
    program: Program,
    *,
    depth: int = 32,
    registers: int = 16,
    ram_words: int = 0,
    family: str = "ecp5",
    frac_bits: tuple[int, int] = (0, 0),
    **options: Any,
) -> WrittenBlock:
    """Return the block of a program; its Verilog lies in `folder`."""
    x = random_codes(program, 40, seed=1)
    dataflow = lower_for(program, x, family=family, clock_mhz=40 if family == "ice40" else 60, **options)
    manifest = write_design(dataflow, program_hash="c0ffee01" * 8, stream_bits=0, folder=folder / "rtl")
    fifos = FifoPair(output_depth=depth, input_depth=depth)
    made = make_block(
        manifest,
        folder / "rtl",
        input_frac_bits=frac_bits[0],
        result_frac_bits=frac_bits[1],
        fifos=fifos,
        inputs=registers,
        outputs=registers,
        ram_words=ram_words,
    )
    for name, text in made.files.items():
        (folder / name).write_text(text)
    return made


def vectors(program: Program, count: int, seed: int = 3) -> tuple[Ints, Ints]:
    """Return input codes and the interpreter's results: (n, elements) each."""
    x = random_codes(program, count, seed=seed)
    return x.reshape(count, -1), Interpreter(program).run(x).reshape(count, -1)


def words(frame: Frame, codes: Ints) -> list[list[int]]:
    """Return the words of vectors as they cross the bus."""
    beats = pack(frame.port, codes.reshape(len(codes) * frame.beats, frame.elements))
    return beats.reshape(len(codes), -1).tolist()

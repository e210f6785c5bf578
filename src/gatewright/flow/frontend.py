"""A configuration and its data in; the unit in front of the network and the stream that it is tried on out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewright.errors import ConfigError, DataError, FormatError, MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gatewright.capture import Capture
    from gatewright.config import Config
    from gatewright.data import Dataset
    from gatewright.fixedpoint import Fixed, Ints
    from gatewright.ir import Program
    from gatewright.rtl.manifest import RtlManifest


SAMPLES = "samples.npy"  # in the run's folder data: the stream of raw samples


def check_frontend(config: Config) -> None:
    """Raise ConfigError or FormatError for a [frontend] that no data can make right, before any work."""
    from gatewright.data.dataset import AUTO, input_format

    known = config.data.trigger is not None or (
        config.frontend and config.frontend.stride and config.data.window.length
    )
    if config.frontend is not None and known and config.data.input_format != AUTO:
        capture_unit(config, input_format(config.data.input_format), config.data.window.length)
    elif config.frontend is not None and not config.frontend.adc_format and config.data.input_format == AUTO:
        raise ConfigError(
            'data.input_format "auto" does not say what an ADC gives; set frontend.adc_format, e.g. "ufixed<12,12>"'
        )


def capture_unit(config: Config, codes: Fixed, length: int, record: int = 0) -> Capture:
    """Return the unit that [data] and [frontend] ask for.

    codes: the network's input format; length: samples of a window; record: of a raw one, for a stride of 0.
    Raises FormatError for what has no hardware.
    """
    from gatewright.capture import Capture, Every
    from gatewright.data.conditioning import edge_of
    from gatewright.fixedpoint import Fixed

    data, front = config.data, config.frontend
    assert front is not None, "asked for with a [frontend] only"
    rule = (
        Every(stride=front.stride or record, first=data.window.start)
        if data.trigger is None
        else edge_of(data.trigger.model_dump())
    )
    return Capture(
        samples=Fixed.parse(front.adc_format) if front.adc_format else codes,
        rule=rule,
        length=length,
        codes=codes,
        baseline=data.baseline.samples,
        factor=data.subsample.factor,
        average=data.subsample.mode == "average" and data.subsample.factor > 1,
        depth=front.buffer,
    )


def unit_for(config: Config, contract: dict[str, Any], codes: Fixed) -> Capture:
    """Return the unit for data of a contract. Raises FormatError, and DataError for samples of several channels."""
    shape = contract["raw_shape"]
    if len(shape) != 1:
        raise DataError(
            f"[frontend] takes a stream of single samples, and the data's have the shape {tuple(shape)}; leave it out"
        )
    return capture_unit(config, codes, contract["window"]["length"], shape[0])


def stream_of(config: Config, data: Dataset, records: NDArray[Any]) -> Ints:
    """Return the records end to end, test ones first: the stream that the hardware is tried on, (samples,) codes.

    records: (n, samples), of the dataset's rows; as many as simulation.vectors. Each of them, alone behind a reset,
    must give the codes that the network was trained on: MismatchError where unit and conditioning differ.
    Raises DataError for samples that are no whole numbers.
    """
    from gatewright.capture import capture

    unit = unit_for(config, data.contract, data.format)
    if records.dtype.kind not in "iub":
        raise DataError(
            f"[frontend] takes an ADC's whole numbers, and the samples of {config.data.source} are "
            f"{records.dtype}; give raw codes, or leave [frontend] out"
        )
    rows = np.argsort(2 - data.split, kind="stable")[: config.simulation.vectors]
    taken = records[rows].astype(np.int64)
    try:
        alike = [np.array_equal(capture(record, unit)[0], data.x[row]) for record, row in zip(taken, rows, strict=True)]
    except FormatError as error:
        raise DataError(f"{config.data.source}: {error}") from None
    if not all(alike):
        raise MismatchError(
            f"[frontend] and the data's conditioning must give the same codes, and {alike.count(False)} of "
            f"{len(alike)} records differ; that is a fault of gatewright: please report it"
        )
    return taken.reshape(-1)


def put_in_front(config: Config, data: Path, manifest: RtlManifest, codes: Fixed, out: Path) -> RtlManifest:
    """Write the unit that [frontend] asks for beside a network's Verilog in `out`; return the manifest of the whole.

    data: the run's folder of that name. codes: the network's input format. Raises LowerError where they do not fit.
    """
    from gatewright.rtl.captured import write_captured
    from gatewright.rtl.leaves import Leaves

    contract = json.loads((data / "dataset.json").read_text())["contract"]
    leaves = Leaves(prefix=config.hardware.prefix, mapping=config.hardware.mapping)
    return write_captured(manifest, unit_for(config, contract, codes), out, leaves).over(manifest)


def first_windows_of(unit: Capture, data: Path, count: int) -> tuple[Ints, Ints]:
    """Return as many samples as the first `count` windows take, (samples,), and these, (windows, elements)."""
    from gatewright.capture import capture
    from gatewright.tools import load_npy

    stream = load_npy(data / SAMPLES)
    first = unit.starts(stream)
    given = stream[: int(first[count - 1]) + unit.needed] if len(first) >= count else stream
    return given, capture(given, unit)


def simulate_whole(config: Config, data: Path, rtl: Path, program: Program, out: Path) -> None:
    """Simulate the network behind its unit on the stream of raw samples; the report lies in `out`.

    data, rtl: the run's folders of these names. Raises MismatchError where anything differs from the program.
    """
    from gatewright.ir import Interpreter
    from gatewright.rtl.captured import Captured
    from gatewright.rtl.manifest import RtlManifest
    from gatewright.sim.captured import simulate_captured
    from gatewright.tools import load_npy

    captured, network = Captured.load(rtl), RtlManifest.load(rtl)
    assert captured is not None, "written by put_in_front"
    whole, unit = captured.over(network), captured.unit

    def answer(windows: Ints) -> Ints:
        return Interpreter(program).run(windows.reshape(-1, *program.input.shape)).reshape(len(windows), -1)

    simulate_captured(
        unit,
        load_npy(data / SAMPLES),
        answer,
        sources=whole.sources(rtl),
        top=whole.top,
        result=whole.result,
        never_waits=unit.samples_per_cycle(network.stream_interval) >= 1,
        patience=2 * (network.transfer_latency_cycles + network.stream_interval + unit.cycles) + 64,
        stall_fraction=config.simulation.stall_fraction,
        seed=config.simulation.seed,
        out=out,
    ).require_match()
    shutil.rmtree(out / "build")

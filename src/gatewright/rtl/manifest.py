"""Dataflow and bus width in, a folder of Verilog files and its manifest out; and back from the folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gatewright.chips import FAMILIES
from gatewright.config import CellMapping, Framing
from gatewright.errors import GatewrightError, LowerError
from gatewright.fixedpoint import Fixed
from gatewright.ir import save_program
from gatewright.lower.claims import Claims
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.stream import Stream
from gatewright.rtl.copies import with_copies
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.elastic import compile_elastic
from gatewright.rtl.leaves import PLAIN, SHELL_LEAVES, Leaves
from gatewright.rtl.netlist import ChannelSignals, Design, Instance, LaneSignal, LayerSignal, Module, Name
from gatewright.rtl.shell import StreamPort, axis_shell, initiation_interval, transfer_latency_cycles
from gatewright.rtl.shell_cells import BARE, Wiring
from gatewright.rtl.streaming.core import compile_streams
from gatewright.rtl.streaming.shell import LEAVES, stream_shell
from gatewright.rtl.verilog import module_text
from gatewright.tools import write_atomic, write_json

FILE = "design.json"
LOWERED = "lowered.txt"  # of an elastic design: the program whose values its channels carry


@dataclass(frozen=True, slots=True, kw_only=True)
class RtlManifest:
    """What a folder of generated Verilog holds and claims.

    top: the AXI4-Stream module; core: the pipeline inside, of which the claims are. stream_interval,
    transfer_latency_cycles: of the top, first beat in to last beat out. channels: of an elastic core, whose latency is
    that of one vector in the empty design; a rigid core has none. prefix: of all modules, see config.Hardware.
    framed: whether packets of the input end with TLAST, and the shell has the ports of framing. core_beats: beats of a
    vector that enter the core, and of its result that leave it: more than one where vectors are frames of streams.
    core_frames: of such a core, that may be in it at once; else 0.
    """

    top: str
    core: str
    program_hash: str
    claims: Claims
    stream_interval: int
    transfer_latency_cycles: int
    source: StreamPort
    result: StreamPort
    watch: tuple[LayerSignal, ...]
    files: tuple[str, ...]
    channels: tuple[ChannelSignals, ...] = ()
    prefix: str = ""
    framed: bool = False
    core_beats: tuple[int, int] = (1, 1)
    core_frames: int = 0

    @property
    def elastic(self) -> bool:
        """Whether the core waits for both of its ends; see rtl/elastic.py."""
        return bool(self.channels)

    def sources(self, folder: Path) -> list[Path]:
        """Return the Verilog files in `folder`, leaf cells first, the top last."""
        return [folder / name for name in self.files]

    @staticmethod
    def load(folder: Path) -> RtlManifest:
        """Read design.json. Raises GatewrightError where it is missing or not one of ours."""
        try:
            raw: dict[str, Any] = json.loads((folder / FILE).read_text())
            raw["claims"]["clock_range_mhz"] = tuple(raw["claims"]["clock_range_mhz"])
            raw["claims"] = Claims(**raw["claims"])
            raw["source"], raw["result"] = StreamPort(**raw["source"]), StreamPort(**raw["result"])
            raw["watch"] = tuple(_signal(row) for row in raw["watch"])
            raw["channels"] = tuple(_channel(row) for row in raw.get("channels", []))
            raw["core_beats"] = tuple(raw.get("core_beats", (1, 1)))
            raw["files"] = tuple(raw["files"])
            return RtlManifest(**raw)
        except FileNotFoundError:
            raise GatewrightError(f"no {FILE} in {folder}; run the rtl stage first") from None
        except (ValueError, TypeError, KeyError) as error:
            raise GatewrightError(
                f"{folder / FILE} is not a design of this version ({error}); delete that folder and run again"
            ) from None


def stream_port(fixed: Fixed, elements: int, beat_bits: int) -> StreamPort:
    """Return the port that carries `elements` values of a format."""
    return StreamPort(elements=elements, width_bits=fixed.width_bits, signed=fixed.signed, beat_bits=beat_bits)


def write_design(
    dataflow: Dataflow,
    *,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    mapping: CellMapping = "auto",
    prefix: str = "",
    framing: Framing = "auto",
    io_registers: bool = False,
    serial: bool = False,
) -> RtlManifest:
    """Compile and write every file: one per layer, the core, the AXI4-Stream top, the leaf cells, design.json.

    stream_bits: width of TDATA, 0 for a whole vector per beat; the rest of what the files hold: see config.Hardware.
    serial: the input comes one element a beat, from a unit in front that gives whole vectors only (rtl/captured.py).
    Same input, same bytes.
    """
    leaves = Leaves(prefix=prefix, mapping=mapping)
    if dataflow.paced is not None:
        wiring = Wiring(framed=framing != "none", io_registers=io_registers)
        return write_streams(
            dataflow,
            program_hash=program_hash,
            stream_bits=stream_bits,
            folder=folder,
            leaves=leaves,
            wiring=wiring,
            serial=serial,
        )
    compiled = compile_elastic if dataflow.elastic else compile_dataflow
    design = compiled(dataflow, program_hash=program_hash, prefix=prefix)
    source, result = stream_ports(dataflow, stream_bits)
    ports = (replace(source, beat_bits=source.lane_bits) if serial else source), result
    framed = framing == "packets" or (framing == "auto" and ports[0].beats > 1)
    wiring = Wiring(framed=framed, io_registers=io_registers)
    if dataflow.elastic:
        save_program(dataflow.program, folder / LOWERED)
    return write_core(design, *ports, program_hash=program_hash, folder=folder, leaves=leaves, wiring=wiring)


def write_streams(
    dataflow: Dataflow,
    *,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    leaves: Leaves = PLAIN,
    wiring: Wiring = BARE,
    serial: bool = False,
) -> RtlManifest:
    """Compile and write a design of units on streams, as write_design does; frames are what else are vectors.

    stream_bits: width of TDATA, 0 for a beat of the core; it must divide one. serial: as for write_design.
    """
    paced, design = dataflow.paced, compile_streams(dataflow, program_hash=program_hash, prefix=leaves.prefix)
    assert paced is not None, "units on streams have a pace"
    save_program(dataflow.program, folder / LOWERED)
    taken, given = dataflow.source.stream, dataflow.result.stream
    source = _beat_port(dataflow.program.input.format, taken.per_beat, 0 if serial else stream_bits, "input")
    if serial:
        source = replace(source, beat_bits=source.lane_bits)
    result = _beat_port(dataflow.result_format, given.per_beat, stream_bits, "result")
    text = stream_shell(
        name=design.name,
        core=design.core.name,
        source=source,
        result=result,
        beats=(taken.beats, given.beats),
        frames=paced.frames + 1,
        interval_cycles=paced.interval_cycles,
        latency_cycles=paced.latency_cycles,
        wiring=wiring,
    )
    frames = (
        replace(source, elements=taken.elements, beat_bits=source.beat_bits),
        replace(result, elements=given.elements, beat_bits=result.beat_bits),
    )
    transfer = transfer_latency_cycles(source, result, paced.latency_cycles, io_registers=wiring.io_registers)
    claims = design.claims
    manifest = RtlManifest(
        top=design.name,
        core=design.core.name,
        program_hash=program_hash,
        claims=claims,
        stream_interval=initiation_interval(*frames, claims.initiation_interval),
        transfer_latency_cycles=transfer,
        source=frames[0],
        result=frames[1],
        watch=design.watch,
        files=(),
        channels=design.channels,
        prefix=leaves.prefix,
        framed=wiring.framed,
        core_beats=(taken.beats, given.beats),
        core_frames=paced.frames + 1,
    )
    return _write(manifest, _copied(design), text, LEAVES, leaves, folder, wiring.leaves)


def _beat_port(fixed: Fixed, lanes: int, stream_bits: int, which: str) -> StreamPort:
    """Return the port of one beat of a core on streams."""
    whole = stream_port(fixed, lanes, 0)
    if not stream_bits or stream_bits >= whole.beat_bits:
        return whole
    if whole.beat_bits % stream_bits:
        raise LowerError(
            f"hardware.stream_bits must divide a beat of the {which}, {lanes} lanes of {whole.lane_bits} bits, not be "
            f"{stream_bits}; set it to 0, or to a divisor of {whole.beat_bits}"
        )
    return replace(whole, beat_bits=stream_bits)


def stream_ports(dataflow: Dataflow, stream_bits: int) -> tuple[StreamPort, StreamPort]:
    """Return the ports of the input and the result, with beats of stream_bits or less; 0: the whole vector."""

    def port(fixed: Fixed, elements: int) -> StreamPort:
        whole = stream_port(fixed, elements, 0)
        return replace(whole, beat_bits=min(stream_bits, whole.beat_bits)) if stream_bits else whole

    source = dataflow.program.input.format
    return port(source, len(dataflow.source.lanes)), port(dataflow.result_format, len(dataflow.result.lanes))


def write_core(
    design: Design,
    source: StreamPort,
    result: StreamPort,
    *,
    program_hash: str,
    folder: Path,
    leaves: Leaves = PLAIN,
    wiring: Wiring = BARE,
) -> RtlManifest:
    """Write a compiled core with its shell, as write_design does."""
    claims, design = design.claims, _copied(design)
    more = ("gw_pace",) if claims.initiation_interval > source.beats else ()
    shell = axis_shell(
        name=design.name,
        core=design.core.name,
        latency_cycles=claims.latency_cycles,
        source=source,
        result=result,
        core_interval=claims.initiation_interval,
        elastic=bool(design.channels),
        framed=wiring.framed,
        io_registers=wiring.io_registers,
        family=claims.family,
    )
    manifest = RtlManifest(
        top=design.name,
        core=design.core.name,
        program_hash=program_hash,
        claims=claims,
        stream_interval=initiation_interval(source, result, claims.initiation_interval),
        transfer_latency_cycles=transfer_latency_cycles(
            source, result, claims.latency_cycles, io_registers=wiring.io_registers
        ),
        source=source,
        result=result,
        watch=design.watch,
        files=(),
        channels=design.channels,
        prefix=leaves.prefix,
        framed=wiring.framed,
    )
    return _write(manifest, design, shell, more, leaves, folder, wiring.leaves)


def _copied(design: Design) -> Design:
    """Return a design whose registers have no more readers each than its family suits."""
    readers = FAMILIES[design.claims.family].register_readers
    return replace(design, modules=tuple(with_copies(module, readers) for module in design.modules))


def _write(
    manifest: RtlManifest,
    design: Design,
    shell: str,
    more: Sequence[str],
    leaves: Leaves,
    folder: Path,
    outer: Sequence[str] = (),
) -> RtlManifest:
    """Write a core's modules, the leaf cells that they and the shell need, the shell and the manifest of them all.

    more, outer: cells of the shell beside SHELL_LEAVES, among those of the core and before them.
    """
    used = {
        item.module for module in design.modules for item in module.items if isinstance(item, Instance) and item.leaf
    }
    texts = leaves.files(*SHELL_LEAVES, *outer, *sorted(used | set(more)))
    texts |= {f"{module.name}.v": module_text(_on_leaves(module, leaves)) for module in design.modules}
    texts[f"{design.name}.v"] = leaves.renamed(shell)
    for name, text in texts.items():
        write_atomic(folder / name, text)
    manifest = replace(manifest, files=tuple(texts))
    write_json(folder / FILE, _record(manifest))
    return manifest


def _on_leaves(module: Module, leaves: Leaves) -> Module:
    """Return a module whose leaf cells are called what this design has them as."""
    items = tuple(
        replace(item, module=leaves.name(item.module)) if isinstance(item, Instance) and item.leaf else item
        for item in module.items
    )
    return replace(module, items=items)


def _record(manifest: RtlManifest) -> dict[str, Any]:
    """Return the manifest for JSON, without what a rigid core, a prefix or framing would bring."""
    record = asdict(manifest)
    for key in ("channels", "prefix", "framed", "core_frames"):
        if not record[key]:
            del record[key]
    if manifest.core_beats == (1, 1):
        del record["core_beats"]
    for row in record["watch"]:
        if not row["start"]:
            del row["start"]
    return record


def _channel(row: dict[str, Any]) -> ChannelSignals:
    cut: dict[str, Any] = row["stream"]
    stream = Stream(shape=tuple(cut["shape"]), order=tuple(cut["order"]), per_beat=cut["per_beat"])
    lanes = tuple(LaneSignal(lane["lane"], Name(**lane["signal"]), lane["shift"]) for lane in row["lanes"])
    fields: dict[str, Any] = {**row, "stream": stream, "lanes": lanes}
    return ChannelSignals(**fields)


def _signal(row: dict[str, Any]) -> LayerSignal:
    fields: dict[str, Any] = {**row, "signal": Name(**row["signal"])}
    return LayerSignal(**fields)

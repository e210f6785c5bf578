"""Circuit, schedule and bus width in, a folder of Verilog files and its manifest out; and back from the folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatewright.config import CellMapping
from gatewright.errors import GatewrightError
from gatewright.fixedpoint import Fixed
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.compile import Lowered
from gatewright.lower.folded.pieces import LoweredFolded
from gatewright.lower.pipeline.schedule import Schedule
from gatewright.rtl.chain import compile_chain
from gatewright.rtl.netlist import Design, Instance, LayerSignal, Name
from gatewright.rtl.parallel import compile_parallel
from gatewright.rtl.shell import StreamPort, axis_shell, initiation_interval, leaf_sources, transfer_latency_cycles
from gatewright.rtl.verilog import module_text
from gatewright.tools import write_atomic, write_json

FILE = "design.json"

# Simulators know none of the vendors' cells.
_CELLS = """`ifndef VERILATOR
`ifndef __ICARUS__
`define GW_XILINX_CELLS
`endif
`endif
"""
_MAPPING: dict[CellMapping, str] = {"auto": "", "cells": _CELLS, "behavioural": "`undef GW_XILINX_CELLS\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RtlManifest:
    """What a folder of generated Verilog holds and claims.

    top: the AXI4-Stream module; core: the pipeline inside. latency_cycles, initiation_interval: of the core;
    stream_interval, transfer_latency_cycles: of the top, first beat in to last beat out.
    dsp: whether products belong into DSP blocks.
    """

    top: str
    core: str
    program_hash: str
    family: str
    clock_mhz: float
    latency_cycles: int
    initiation_interval: int
    stream_interval: int
    transfer_latency_cycles: int
    adders: int
    source: StreamPort
    result: StreamPort
    watch: tuple[LayerSignal, ...]
    files: tuple[str, ...]
    dsp: bool = False

    def sources(self, folder: Path) -> list[Path]:
        """Return the Verilog files in `folder`, leaf cells first, the top last."""
        return [folder / name for name in self.files]

    @staticmethod
    def load(folder: Path) -> RtlManifest:
        """Read design.json. Raises GatewrightError where it is missing or not one of ours."""
        try:
            raw: dict[str, Any] = json.loads((folder / FILE).read_text())
            raw["source"], raw["result"] = StreamPort(**raw["source"]), StreamPort(**raw["result"])
            raw["watch"] = tuple(_signal(row) for row in raw["watch"])
            raw["files"] = tuple(raw["files"])
            return RtlManifest(**raw)
        except FileNotFoundError:
            raise GatewrightError(f"no {FILE} in {folder}; run the rtl stage first") from None
        except (ValueError, TypeError, KeyError) as error:
            raise GatewrightError(f"{folder / FILE} is not a design of this version ({error}); run rtl again") from None


def stream_port(fixed: Fixed, elements: int, beat_bits: int) -> StreamPort:
    """Return the port that carries `elements` values of a format."""
    return StreamPort(elements=elements, width_bits=fixed.width_bits, signed=fixed.signed, beat_bits=beat_bits)


def write_rtl(
    circuit: Circuit,
    schedule: Schedule,
    *,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    mapping: CellMapping = "auto",
) -> RtlManifest:
    """Compile and write every file: one per layer, the core, the AXI4-Stream top, the leaf cells, design.json.

    stream_bits: width of TDATA, 0 for a whole vector per beat; mapping: see config.Hardware. Same input, same bytes.
    """
    return write_design(
        compile_parallel(circuit, schedule, program_hash=program_hash),
        circuit,
        schedule,
        program_hash=program_hash,
        stream_bits=stream_bits,
        folder=folder,
        mapping=mapping,
    )


def write_lowered(
    lowered: Lowered | LoweredFolded,
    *,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    mapping: CellMapping = "auto",
) -> RtlManifest:
    """Compile and write a program of either architecture as write_rtl does."""
    if isinstance(lowered, Lowered):
        return write_rtl(
            lowered.circuit,
            lowered.schedule,
            program_hash=program_hash,
            stream_bits=stream_bits,
            folder=folder,
            mapping=mapping,
        )
    return write_core(
        compile_chain(lowered, program_hash=program_hash),
        source=lowered.program.input.format,
        inputs=lowered.program.input.shape[-1],
        result=lowered.output_format,
        outputs=lowered.outputs,
        family=lowered.family,
        clock_mhz=lowered.clock_mhz,
        adders=lowered.adders,
        dsp=lowered.dsp,
        program_hash=program_hash,
        stream_bits=stream_bits,
        folder=folder,
        mapping=mapping,
    )


def write_design(
    design: Design,
    circuit: Circuit,
    schedule: Schedule,
    *,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    mapping: CellMapping = "auto",
) -> RtlManifest:
    """Write a compiled design as write_rtl does."""
    return write_core(
        design,
        source=circuit.input_format,
        inputs=circuit.input_elements,
        result=circuit.output_format,
        outputs=len(circuit.outputs),
        family=schedule.family,
        clock_mhz=schedule.clock_mhz,
        adders=circuit.adders,
        program_hash=program_hash,
        stream_bits=stream_bits,
        folder=folder,
        mapping=mapping,
    )


def write_core(
    design: Design,
    *,
    source: Fixed,
    inputs: int,
    result: Fixed,
    outputs: int,
    family: str,
    clock_mhz: float,
    adders: int,
    program_hash: str,
    stream_bits: int,
    folder: Path,
    dsp: bool = False,
    mapping: CellMapping = "auto",
) -> RtlManifest:
    """Write a compiled core of any architecture with its shell. source, result: formats; inputs, outputs: elements."""
    taken = stream_port(source, inputs, _beat(stream_bits, source, inputs))
    given = stream_port(result, outputs, _beat(stream_bits, result, outputs))
    interval = design.initiation_interval
    used = {
        item.module for module in design.modules for item in module.items if isinstance(item, Instance) and item.leaf
    }
    used |= {"gw_pace"} if interval > taken.beats else set()
    leaves = {name: _MAPPING[mapping] + text for name, text in leaf_sources(*sorted(used)).items()}
    texts = leaves | {f"{module.name}.v": module_text(module) for module in design.modules}
    texts[f"{design.name}.v"] = axis_shell(
        name=design.name,
        core=design.core.name,
        latency_cycles=design.latency_cycles,
        source=taken,
        result=given,
        core_interval=interval,
    )
    for name, text in texts.items():
        write_atomic(folder / name, text)
    manifest = RtlManifest(
        top=design.name,
        core=design.core.name,
        program_hash=program_hash,
        family=family,
        clock_mhz=clock_mhz,
        latency_cycles=design.latency_cycles,
        initiation_interval=interval,
        stream_interval=initiation_interval(taken, given, interval),
        transfer_latency_cycles=transfer_latency_cycles(taken, given, design.latency_cycles),
        adders=adders,
        source=taken,
        result=given,
        watch=design.watch,
        files=tuple(texts),
        dsp=dsp,
    )
    write_json(folder / FILE, asdict(manifest))
    return manifest


def _signal(row: dict[str, Any]) -> LayerSignal:
    fields: dict[str, Any] = {**row, "signal": Name(**row["signal"])}
    return LayerSignal(**fields)


def _beat(stream_bits: int, fixed: Fixed, elements: int) -> int:
    """Return the port's beat: the bus, or the whole vector where that is narrower."""
    whole = stream_port(fixed, elements, 0).beat_bits
    return min(stream_bits, whole) if stream_bits else 0

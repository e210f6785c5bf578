"""A written design in, another AXI4-Stream shell around its core out: other beats, for a link or a bus of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gatewright.errors import LowerError
from gatewright.rtl.leaves import SHELL_LEAVES
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.shell import StreamPort, axis_shell
from gatewright.rtl.shell_cells import Wiring
from gatewright.rtl.streaming.shell import LEAVES, stream_shell


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshelled:
    """A shell without framing: its text, the cells that it needs, and the ports of one piece of a vector.

    source, result: of what the core takes and gives at a time: the whole vector, but for cores on streams, where a
    vector has `pieces` of them, in and out.
    """

    verilog: str
    leaves: tuple[str, ...]
    source: StreamPort
    result: StreamPort
    pieces: tuple[int, int]


def reshelled(
    manifest: RtlManifest, *, name: str, beat_bits: int, source_bits: int = 0, io_registers: bool = False
) -> Reshelled:
    """Return a shell `name` with beats of beat_bits around a design's core; TLAST cuts no vector.

    source_bits: of the beats that come in, where they are others.

    Raises LowerError for a core on streams that an earlier version wrote.
    """
    pieces, claims = manifest.core_beats, manifest.claims
    source, result = (
        replace(port, elements=port.elements // count, beat_bits=bits)
        for port, count, bits in (
            (manifest.source, pieces[0], source_bits or beat_bits),
            (manifest.result, pieces[1], beat_bits),
        )
    )
    wiring = Wiring(io_registers=io_registers)
    if pieces != (1, 1) and not manifest.core_frames:
        raise LowerError(
            f"the design {manifest.top!r} does not say how many frames its core holds; it is of an earlier version: "
            "delete the folder rtl and run again"
        )
    if manifest.core_frames:
        text = stream_shell(
            name=name,
            core=manifest.core,
            source=source,
            result=result,
            beats=pieces,
            frames=manifest.core_frames,
            interval_cycles=claims.initiation_interval,
            latency_cycles=claims.latency_cycles,
            wiring=wiring,
        )
        more = LEAVES
    else:
        text = axis_shell(
            name=name,
            core=manifest.core,
            latency_cycles=claims.latency_cycles,
            source=source,
            result=result,
            core_interval=claims.initiation_interval,
            elastic=manifest.elastic,
            io_registers=io_registers,
            family=claims.family,
        )
        more = ("gw_pace",) if claims.initiation_interval > source.beats else ()
    leaves = tuple(dict.fromkeys((*SHELL_LEAVES, *wiring.leaves, *more)))
    return Reshelled(verilog=text, leaves=leaves, source=source, result=result, pieces=pieces)

"""A compiled design's watched signals in, the simulator's probes and the values that they must show out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatewright.fixedpoint import Ints
from gatewright.ir import Input, Program
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.netlist import ChannelSignals, LayerSignal
from gatewright.sim.design import ChannelProbe, LaneProbe, Probe


def watch_probes(
    signals: Sequence[LayerSignal], *, layers: Sequence[str] = (), path: tuple[str, ...] = ("u_core",)
) -> list[Probe]:
    """Return a probe per signal. layers: the names under which their values are given, the signals' own where empty.

    path: the core's instance below the top.
    """
    return [
        Probe(
            layer=layer,
            element=w.element,
            module=w.module,
            signal=w.signal.name,
            path=(*path, *w.instance.split(".")),
            stage=w.stage,
            width_bits=w.signal.width,
            signed=w.signal.signed,
            start=(*path, w.start) if w.start else (),
        )
        for w, layer in zip(signals, layers or [w.layer for w in signals], strict=True)
    ]


def watched_values(program: Program, trace: Mapping[str, Ints], manifest: RtlManifest) -> dict[str, Ints]:
    """Return, per layer, the values that the watched signals must show: (n, elements), the signals' shifts removed.

    None where nothing is watched: units on streams show all that they compute on their channels.
    """
    if not manifest.watch:
        return {}
    last = {op.layer: op.name for op in program.ops if not isinstance(op, Input)}
    values = {layer: trace[name].reshape(len(trace[name]), -1).copy() for layer, name in last.items()}
    for signal in manifest.watch:
        values[signal.layer][:, signal.element] >>= signal.shift
    return values


def channel_probes(
    channels: Sequence[ChannelSignals], *, module: str, path: tuple[str, ...] = ("u_core",)
) -> list[ChannelProbe]:
    """Return a probe per channel of an elastic core. module: the core's; path: its instance below the top."""
    return [
        ChannelProbe(
            channel=c.channel,
            depth=c.depth,
            module=module,
            path=path,
            written=c.written,
            valid=c.valid,
            ready=c.ready,
            lanes=tuple(
                LaneProbe(
                    lane=lane.lane, signal=lane.signal.name, width_bits=lane.signal.width, signed=lane.signal.signed
                )
                for lane in c.lanes
            ),
        )
        for c in channels
    ]


def channel_values(channels: Sequence[ChannelSignals], trace: Mapping[str, Ints]) -> dict[str, Ints]:
    """Return what each channel must carry, (n, beats, lanes), the signals' shifts removed.

    trace: of the lowered program.
    """
    found: dict[str, Ints] = {}
    for channel in channels:
        found[channel.channel] = beats = channel.stream.cut(trace[channel.value]).copy()
        for lane in channel.lanes:
            beats[:, :, lane.lane] >>= lane.shift
    return found

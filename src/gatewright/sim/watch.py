"""A compiled design's watched signals in, the simulator's probes and the values that they must show out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatewright.fixedpoint import Ints
from gatewright.ir import Input, Program
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.netlist import LayerSignal
from gatewright.sim.design import Probe


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
        )
        for w, layer in zip(signals, layers or [w.layer for w in signals], strict=True)
    ]


def watched_values(program: Program, trace: Mapping[str, Ints], manifest: RtlManifest) -> dict[str, Ints]:
    """Return, per layer, the values that the watched signals must show: (n, elements), the signals' shifts removed."""
    last = {op.layer: op.name for op in program.ops if not isinstance(op, Input)}
    values = {layer: trace[name].copy() for layer, name in last.items()}
    for signal in manifest.watch:
        values[signal.layer][:, signal.element] >>= signal.shift
    return values

"""A simulation as three values: the device, what goes in and must come out, and what is claimed and asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.fixedpoint import Ints
from gatewright.rtl.shell import StreamPort
from gatewright.sim.design import ChannelProbe, Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A shell and how it is watched.

    sources: all Verilog files, leaf cells included; top: the shell among them. layers: (name, elements) in layer
    order; probes are checked against their values. channels: of an elastic core, in the order of the design; the last
    gives the results, and tells when they leave. A rigid core has none. framed: whether packets end with TLAST, and
    the shell has the ports of framing. core_beats: beats of a vector that enter the core, and beats of its result that
    leave it; with more than one of the former vectors are frames, which TLAST may end but not tear.
    """

    sources: tuple[Path, ...]
    top: str
    source: StreamPort
    result: StreamPort
    probes: tuple[Probe, ...] = ()
    layers: tuple[tuple[str, int], ...] = ()
    channels: tuple[ChannelProbe, ...] = ()
    framed: bool = False
    core_beats: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What goes in and what must be seen.

    x: (n, source.elements) codes; expected: (n, result.elements) codes. layers: layer -> (n, elements) codes, for the
    probes, in layer order; channels: channel -> (n, beats, lanes), what it must carry.
    """

    x: Ints
    expected: Ints
    layers: Mapping[str, Ints] = field(default_factory=dict[str, Ints])
    channels: Mapping[str, Ints] = field(default_factory=dict[str, Ints])

    @property
    def layer_sizes(self) -> tuple[tuple[str, int], ...]:
        """The layers' names and elements."""
        return tuple((name, array.shape[1] if array.ndim == 2 else 0) for name, array in self.layers.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is claimed, and how hard it is tried.

    latency_cycles: core input to core output, compared where there are no channels; initiation_interval: cycles per
    vector on the streams. stall_fraction: share of cycles in which each stream stalls in the second phase.
    Raises GatewrightError for a share out of 0 <= share < 1.
    """

    latency_cycles: int
    initiation_interval: int
    stall_fraction: float
    seed: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.stall_fraction < 1.0:
            raise GatewrightError(f"stall_fraction must be at least 0 and less than 1, not {self.stall_fraction!r}")

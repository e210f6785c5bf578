"""Ports and probes of a design in, the two generated inputs of its simulator out: design.h and probes.vlt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatewright.errors import GatewrightError, ToolError, nearest
from gatewright.rtl.shell import StreamPort

PREFIX = "Vtb"  # Verilator's name for the model's C++ class
ENTERED, LEFT = "core_in_valid", "core_out_valid"  # the shell's signals: when vectors enter and leave the core
_LINES_PER_FUNCTION = 500  # keeps the compiler's work per function bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A signal that must hold one element of one layer in a known cycle.

    signal: wire or reg of `width_bits` in Verilog module `module`, instance path from the top,
    e.g. ("u_core", "u_fc1").
    start: the signal, by its path from the top, that is 1 in the cycle in which a vector enters the rigid group around
    the probe; empty: the core's. stage: for the vector that enters there in cycle t the signal holds the layer's
    value in cycle t + stage.
    """

    layer: str
    element: int
    module: str
    signal: str
    path: tuple[str, ...]
    stage: int
    width_bits: int
    signed: bool
    start: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.module, self.signal, *self.path, *self.start):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise GatewrightError(f"a probe of layer {self.layer!r} needs Verilog identifiers, not {name!r}")
        if not 1 <= self.width_bits <= 64 or self.stage < 0 or self.element < 0:
            raise GatewrightError(
                f"a probe of layer {self.layer!r} needs 1..64 bits and stage, element >= 0, "
                f"not {self.width_bits} bits, stage {self.stage}, element {self.element}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneProbe:
    """Lane `lane` of a channel: signal, a wire or reg of `width_bits`, in the channel's module."""

    lane: int
    signal: str
    width_bits: int
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProbe:
    """A channel: its k-th transfer, a cycle with `valid` and `ready`, must be beat k of what the program computes.

    path, module: as in Probe, where all signals lie. written: the signal with which a word enters the channel's FIFO
    of `depth` words; empty for a channel of wires, whose depth is 0.
    """

    channel: str
    depth: int
    module: str
    path: tuple[str, ...]
    written: str
    valid: str
    ready: str
    lanes: tuple[LaneProbe, ...]

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal that the bench reads."""
        control = (*([self.written] if self.written else []), self.valid, self.ready)
        return (*control, *(lane.signal for lane in self.lanes))

    def __post_init__(self) -> None:
        for name in (self.module, *self.path, *self.signals):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise GatewrightError(f"the probe of channel {self.channel!r} needs Verilog identifiers, not {name!r}")
        if self.depth < 0 or bool(self.depth) != bool(self.written):
            raise GatewrightError(
                f"the probe of channel {self.channel!r} needs a depth and the signal that writes its FIFO, or neither, "
                f"not depth {self.depth} and {self.written!r}"
            )
        wide = [lane for lane in self.lanes if not 1 <= lane.width_bits <= 64 or lane.lane < 0]
        if wide:
            raise GatewrightError(
                f"the probe of channel {self.channel!r} needs lanes >= 0 of 1..64 bits, not {wide[0]}"
            )


def watched(channels: Sequence[ChannelProbe]) -> dict[str, tuple[str, ...]]:
    """Return where the bench sees vectors enter and leave the core: paths from the top, the signal last.

    They leave a rigid core with LEFT, an elastic one where they are written to the last channel's FIFO.
    """
    last = (*channels[-1].path, channels[-1].written) if channels else (LEFT,)
    return {ENTERED: (ENTERED,), LEFT: last}


def check_channels(channels: Sequence[ChannelProbe], values: Mapping[str, int]) -> None:
    """Raise GatewrightError for a channel without values, or too few lanes. values: channel -> lanes of its values."""
    for probe in channels:
        if probe.channel not in values:
            raise GatewrightError(
                f"no channel {probe.channel!r} among the values.{nearest(probe.channel, list(values))}"
            )
        for lane in probe.lanes:
            if lane.lane >= values[probe.channel]:
                raise GatewrightError(
                    f"channel {probe.channel!r} has {values[probe.channel]} lanes; a probe asks for lane {lane.lane}"
                )


def check_probes(probes: Sequence[Probe], layers: Sequence[tuple[str, int]]) -> None:
    """Raise GatewrightError for a probe of a layer or an element that does not exist. layers: (name, elements)."""
    sizes = dict(layers)
    for probe in probes:
        if probe.layer not in sizes:
            raise GatewrightError(f"no layer {probe.layer!r} among the values.{nearest(probe.layer, list(sizes))}")
        if probe.element >= sizes[probe.layer]:
            raise GatewrightError(
                f"layer {probe.layer!r} has {sizes[probe.layer]} elements; a probe asks for element {probe.element}"
            )


def public_signals(top: str, probes: Sequence[Probe], channels: Sequence[ChannelProbe] = ()) -> str:
    """Return the Verilator configuration that makes the probed signals readable; the Verilog stays untouched."""
    signals = [(top, ENTERED), *([] if channels else [(top, LEFT)])]
    signals += [(probe.module, probe.signal) for probe in probes]
    signals += [(probe.module, signal) for probe in channels for signal in probe.signals]
    signals += [("*", probe.start[-1]) for probe in probes if probe.start]
    lines = [f'public_flat_rd -module "{module}" -var "{signal}"' for module, signal in dict.fromkeys(signals)]
    return "\n".join(["`verilator_config", *lines]) + "\n"


def design_header(
    top: str,
    source: StreamPort,
    result: StreamPort,
    probes: Sequence[Probe],
    layers: Sequence[tuple[str, int]],
    channels: Sequence[ChannelProbe] = (),
    *,
    framed: bool = False,
    core_beats: tuple[int, int] = (1, 1),
) -> str:
    """Return the C++ header that binds the test bench to a design. layers: (name, elements) in layer order."""
    ranks = {name: rank for rank, (name, _) in enumerate(layers)}
    entered_left = "\n".join(
        f"inline bool {name}(const {PREFIX}& top) {{ return top.rootp->{member(top, path[:-1], path[-1])}; }}"
        for name, path in watched(channels).items()
    )
    keep = "top.m_axis_tkeep[0]" if result.beat_bits > 8 * 64 else "top.m_axis_tkeep"
    states = {"null_beat": f"!({keep} & 1)", "framing_error": "top.framing_error"}
    framing = "\n".join(
        f"inline bool {name}(const {PREFIX}& top) {{ return {value if framed else 'false'}; }}"
        for name, value in states.items()
    )
    starts = list(dict.fromkeys(((ENTERED,), *(probe.start or (ENTERED,) for probe in probes))))
    adds = [
        f"    add(list, root->{member(top, probe.path, probe.signal)}, {probe.width_bits}, {_bool(probe.signed)}, "
        f"{probe.stage}, {ranks[probe.layer]}, {probe.element}, {starts.index(probe.start or (ENTERED,))});"
        for probe in probes
    ]
    chunks = [adds[start : start + _LINES_PER_FUNCTION] for start in range(0, len(adds), _LINES_PER_FUNCTION)]
    functions = "\n".join(
        f"inline void add_{number}(std::vector<Probe>& list, const {PREFIX}___024root* root) {{\n"
        + "\n".join(chunk)
        + "\n}"
        for number, chunk in enumerate(chunks)
    )
    calls = "\n".join(f"    add_{number}(list, top.rootp);" for number in range(len(chunks)))
    begun = "\n".join(f"    list.push_back(&top.rootp->{member(top, path[:-1], path[-1])});" for path in starts)
    joined = "\n".join(_channel_lines(top, number, probe) for number, probe in enumerate(channels))
    # A zero-length array is not C++; without layers one is declared that no probe uses.
    sizes = ", ".join(str(elements) for _, elements in layers) or "0"
    return f"""\
// The design {top} as the test bench bench.cpp sees it. Written by gatewright/sim/design.py.
#include <cstdint>
#include <string>
#include <vector>

#include "{PREFIX}.h"
#include "{PREFIX}___024root.h"

constexpr int SOURCE_BEATS = {source.beats}, SOURCE_WORDS = {_words(source)};
constexpr int RESULT_BEATS = {result.beats}, RESULT_WORDS = {_words(result)};
constexpr int IN_BEATS = {core_beats[0]}, OUT_BEATS = {core_beats[1]};  // of a vector, into and out of the core
constexpr int LAYERS = {len(layers)};
constexpr bool FRAMED = {_bool(framed)};
constexpr int64_t LAYER_ELEMENTS[] = {{{sizes}}};

{entered_left}
{framing}

struct Probe {{
    const void* data;
    int bytes, bits;
    bool is_signed;
    int stage, layer, element, start;
}};

struct Channel {{
    const char* name;
    int depth;
    const uint8_t *written, *valid, *ready;  // written: null for a channel of wires
    std::vector<Probe> lanes;                // element: the lane
}};

template <class Signal>
void add(std::vector<Probe>& list, const Signal& signal, int bits, bool is_signed, int stage, int layer, int element,
         int start) {{
    static_assert(sizeof(Signal) <= 8, "a probe has 64 bits at most");
    list.push_back({{&signal, int(sizeof(Signal)), bits, is_signed, stage, layer, element, start}});
}}

// The signals that tell when a vector enters a rigid group; the first is the core's.
inline std::vector<const uint8_t*> start_table(const {PREFIX}& top) {{
    std::vector<const uint8_t*> list;
{begun}
    return list;
}}

inline std::vector<Channel> channel_table(const {PREFIX}& top) {{
    std::vector<Channel> list;
{joined}
    return list;
}}

{functions}
inline std::vector<Probe> probe_table(const {PREFIX}& top) {{
    std::vector<Probe> list;
    list.reserve({len(probes)});
{calls}
    return list;
}}
"""


def _channel_lines(top: str, number: int, probe: ChannelProbe) -> str:
    def place(signal: str) -> str:
        return f"&top.rootp->{member(top, probe.path, signal)}" if signal else "nullptr"

    control = ", ".join(place(signal) for signal in (probe.written, probe.valid, probe.ready))
    name = probe.channel.replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        [
            f'    list.push_back({{"{name}", {probe.depth}, {control}, {{}}}});',
            *(
                f"    add(list.back().lanes, top.rootp->{member(top, probe.path, lane.signal)}, {lane.width_bits}, "
                f"{_bool(lane.signed)}, 0, {number}, {lane.lane}, 0);"
                for lane in probe.lanes
            ),
        ]
    )


def check_members(top: str, probes: Sequence[Probe], root_header: str, channels: Sequence[ChannelProbe] = ()) -> None:
    """Raise ToolError where Verilator's root class lacks a probed signal (it ignores unknown names silently)."""
    known = set(re.findall(r"\b(\w+__DOT__\w+)\b", root_header))
    for path in watched(channels).values():
        if member(top, path[:-1], path[-1]) not in known:
            signal = ".".join(path)
            raise ToolError(f"module {top!r} has no signal {signal!r}; the test bench needs the shell of rtl/shell.py")
    for probe in probes:
        if member(top, probe.path, probe.signal) not in known:
            raise ToolError(
                f"probe of layer {probe.layer!r}, element {probe.element}: "
                f"no signal {'.'.join((top, *probe.path, probe.signal))!r} in module {probe.module!r}"
            )
        if probe.start and member(top, probe.start[:-1], probe.start[-1]) not in known:
            raise ToolError(f"probe of layer {probe.layer!r}: no start signal {'.'.join((top, *probe.start))!r}")
    for probe in channels:
        for signal in probe.signals:
            if member(top, probe.path, signal) not in known:
                raise ToolError(
                    f"probe of channel {probe.channel!r}: no signal {'.'.join((top, *probe.path, signal))!r} "
                    f"in module {probe.module!r}"
                )


def member(top: str, path: Sequence[str], signal: str) -> str:
    """Return Verilator's C++ name of a signal in the flattened design; it writes a double underscore as ___05F."""
    return "__DOT__".join(name.replace("__", "___05F") for name in (top, *path, signal))


def _words(port: StreamPort) -> int:
    return -(-port.beat_bits // 32)


def _bool(value: bool) -> str:
    return "true" if value else "false"

"""Ports and probes of a design in, the two generated inputs of its simulator out: design.h and probes.vlt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gatewright.errors import GatewrightError, ToolError, nearest
from gatewright.rtl.shell import StreamPort

PREFIX = "Vtb"  # Verilator's name for the model's C++ class
WATCHED = ("core_in_valid", "core_out_valid")  # the shell's signals that tell when vectors enter and leave the core
_LINES_PER_FUNCTION = 500  # keeps the compiler's work per function bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A signal that must hold one element of one layer in a known cycle.

    signal: wire or reg of `width_bits` in Verilog module `module`, instance path from the top,
    e.g. ("u_core", "u_fc1").
    stage: for the vector that enters the core in cycle t it holds the layer's value in cycle t + stage.
    """

    layer: str
    element: int
    module: str
    signal: str
    path: tuple[str, ...]
    stage: int
    width_bits: int
    signed: bool

    def __post_init__(self) -> None:
        for name in (self.module, self.signal, *self.path):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise GatewrightError(f"a probe of layer {self.layer!r} needs Verilog identifiers, not {name!r}")
        if not 1 <= self.width_bits <= 64 or self.stage < 0 or self.element < 0:
            raise GatewrightError(
                f"a probe of layer {self.layer!r} needs 1..64 bits and stage, element >= 0, "
                f"not {self.width_bits} bits, stage {self.stage}, element {self.element}"
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


def public_signals(top: str, probes: Sequence[Probe]) -> str:
    """Return the Verilator configuration that makes the probed signals readable; the Verilog stays untouched."""
    signals = {(top, signal): None for signal in WATCHED} | {(probe.module, probe.signal): None for probe in probes}
    lines = [f'public_flat_rd -module "{module}" -var "{signal}"' for module, signal in signals]
    return "\n".join(["`verilator_config", *lines]) + "\n"


def design_header(
    top: str, source: StreamPort, result: StreamPort, probes: Sequence[Probe], layers: Sequence[tuple[str, int]]
) -> str:
    """Return the C++ header that binds the test bench to a design. layers: (name, elements) in layer order."""
    ranks = {name: rank for rank, (name, _) in enumerate(layers)}
    watched = "\n".join(
        f"inline bool {signal}(const {PREFIX}& top) {{ return top.rootp->{member(top, (), signal)}; }}"
        for signal in WATCHED
    )
    adds = [
        f"    add(list, root->{member(top, probe.path, probe.signal)}, {probe.width_bits}, {_bool(probe.signed)}, "
        f"{probe.stage}, {ranks[probe.layer]}, {probe.element});"
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
    # A zero-length array is not C++; without layers one is declared that no probe uses.
    sizes = ", ".join(str(elements) for _, elements in layers) or "0"
    return f"""\
// The design {top} as the test bench bench.cpp sees it. Written by gatewright/sim/design.py.
#include <cstdint>
#include <vector>

#include "{PREFIX}.h"
#include "{PREFIX}___024root.h"

constexpr int SOURCE_BEATS = {source.beats}, SOURCE_WORDS = {_words(source)};
constexpr int RESULT_BEATS = {result.beats}, RESULT_WORDS = {_words(result)};
constexpr int LAYERS = {len(layers)};
constexpr int64_t LAYER_ELEMENTS[] = {{{sizes}}};

{watched}

struct Probe {{
    const void* data;
    int bytes, bits;
    bool is_signed;
    int stage, layer, element;
}};

template <class Signal>
void add(std::vector<Probe>& list, const Signal& signal, int bits, bool is_signed, int stage, int layer, int element) {{
    static_assert(sizeof(Signal) <= 8, "a probe has 64 bits at most");
    list.push_back({{&signal, int(sizeof(Signal)), bits, is_signed, stage, layer, element}});
}}

{functions}
inline std::vector<Probe> probe_table(const {PREFIX}& top) {{
    std::vector<Probe> list;
    list.reserve({len(probes)});
{calls}
    return list;
}}
"""


def check_members(top: str, probes: Sequence[Probe], root_header: str) -> None:
    """Raise ToolError where Verilator's root class lacks a probed signal (it ignores unknown names silently)."""
    known = set(re.findall(r"\b(\w+__DOT__\w+)\b", root_header))
    for signal in WATCHED:
        if member(top, (), signal) not in known:
            raise ToolError(f"module {top!r} has no signal {signal!r}; the test bench needs the shell of rtl/shell.py")
    for probe in probes:
        if member(top, probe.path, probe.signal) not in known:
            raise ToolError(
                f"probe of layer {probe.layer!r}, element {probe.element}: "
                f"no signal {'.'.join((top, *probe.path, probe.signal))!r} in module {probe.module!r}"
            )


def member(top: str, path: Sequence[str], signal: str) -> str:
    """Return Verilator's C++ name of a signal in the flattened design; it writes a double underscore as ___05F."""
    return "__DOT__".join(name.replace("__", "___05F") for name in (top, *path, signal))


def _words(port: StreamPort) -> int:
    return -(-port.beat_bits // 32)


def _bool(value: bool) -> str:
    return "true" if value else "false"

"""A written design and some of its beats in; the folder `handover` for whoever takes it over out.

A file list, input and expected beats as .hex, a self-checking Verilog test bench for Icarus and Verilator as it is,
templates that instantiate the design, and a C header that makes its input codes of real numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.rtl.manifest import RtlManifest
from gatewright.tools import write_atomic
from gatewright.version import __version__

FOLDER = "handover"
VECTORS = 64  # of the test bench
_LICENCE = "SPDX-License-Identifier: Apache-2.0"
_PORT = re.compile(r"^\s*(input|output)\s+wire\s+(?:\[(\d+):0\])?\s*(\w+),?\s*$")
_TEMPLATES = files("gatewright.rtl") / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPort:
    """One port of the top: "input" or "output", its bits, its name."""

    direction: str
    bits: int
    name: str


def write_handover(
    manifest: RtlManifest,
    folder: Path,
    *,
    given: NDArray[np.uint32],
    expected: NDArray[np.uint32],
    contract: dict[str, Any] | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Write the folder FOLDER beside a design's files. Same input, same bytes.

    folder: of the design. given, expected: beats of the input and of the result, (n, beats, words of 32 bits, lowest
    first). contract: how the data were conditioned, None where the codes come from elsewhere; classes: names.
    """
    ports = top_ports((folder / f"{manifest.top}.v").read_text())
    out, top = folder / FOLDER, manifest.top
    write_atomic(out / "files.f", "".join(f"../{name}\n" for name in manifest.files))
    write_atomic(out / "input.hex", hex_lines(given, manifest.source.beat_bits))
    write_atomic(out / "expected.hex", hex_lines(expected, manifest.result.beat_bits))
    write_atomic(out / f"{top}_tb.v", test_bench(manifest, ports, len(given), len(expected)))
    write_atomic(out / f"{top}_instance.v", verilog_instance(top, ports))
    write_atomic(out / f"{top}_instance.vhd", vhdl_instance(top, ports))
    write_atomic(out / f"{top}_input.h", input_header(manifest, contract, classes))
    write_atomic(out / "README.txt", _text("handover_readme.txt", top=top))


def top_ports(text: str) -> list[TopPort]:
    """Return the ports of a top's Verilog, in order."""
    head = text[text.index("\nmodule ") : text.index("\n);")]
    hits = (_PORT.match(line) for line in head.splitlines())
    return [TopPort(direction=hit[1], bits=int(hit[2] or 0) + 1, name=hit[3]) for hit in hits if hit]


def hex_lines(beats: NDArray[np.uint32], bits: int) -> str:
    """Return beats as $readmemh reads them, one a line. beats: (n, beats, words), lowest word first."""
    digits = -(-bits // 4)
    rows = beats.reshape(-1, beats.shape[2]).tolist()
    return "".join(f"{sum(word << 32 * place for place, word in enumerate(row)):0{digits}x}\n" for row in rows)


def test_bench(manifest: RtlManifest, ports: Sequence[TopPort], given: int, expected: int) -> str:
    """Return a test bench of so many vectors in and out."""
    extra = "".join(f",\n        .{port.name}()" for port in ports if port.name not in _USED)
    return _text(
        "handover_tb.v",
        top=manifest.top,
        version=__version__,
        in_bits=manifest.source.beat_bits,
        out_bits=manifest.result.beat_bits,
        in_beats=given * manifest.source.beats,
        out_beats=expected * manifest.result.beats,
        in_packet=manifest.source.beats,
        patience=64 * (given + 16) * max(manifest.stream_interval, 1) + 64 * manifest.transfer_latency_cycles + 1000,
        extra=extra,
    )


_USED = {
    "aclk", "aresetn", "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast",
    "m_axis_tdata", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast",
}  # fmt: skip


def verilog_instance(top: str, ports: Sequence[TopPort]) -> str:
    """Return signals and an instance in Verilog, to copy."""
    wires = "".join(f"wire {f'[{p.bits - 1}:0] ' if p.bits > 1 else ''}{p.name};\n" for p in ports)
    pins = ",\n".join(f"    .{p.name}({p.name})" for p in ports)
    return f"// {_LICENCE}\n{wires}\n{top} u_{top} (\n{pins}\n);\n"


def vhdl_instance(top: str, ports: Sequence[TopPort]) -> str:
    """Return a component declaration and an instance in VHDL, to copy."""

    def kind(port: TopPort) -> str:
        return f"std_logic_vector({port.bits - 1} downto 0)" if port.bits > 1 or "tdata" in port.name else "std_logic"

    sides = {"input": "in ", "output": "out"}
    lines = ";\n".join(f"    {p.name:<16} : {sides[p.direction]} {kind(p)}" for p in ports)
    pins = ",\n".join(f"    {p.name:<16} => {p.name}" for p in ports)
    return (
        f"-- {_LICENCE}\ncomponent {top} is\n  port (\n{lines}\n  );\nend component;\n\n"
        f"u_{top} : {top}\n  port map (\n{pins}\n  );\n"
    )


def input_header(manifest: RtlManifest, contract: dict[str, Any] | None, classes: Sequence[str]) -> str:
    """Return a C header: the stream's layout, the recipe from a real number to its code, and the classes."""
    top, port = manifest.top, manifest.source
    upper = top.upper()
    lines = [
        f"/* {top}: what its input and output mean, by gatewright {__version__}. {_LICENCE} */",
        f"#ifndef {upper}_INPUT_H",
        f"#define {upper}_INPUT_H",
        "#include <math.h>",
        "#include <stdint.h>",
        "",
        f"#define {upper}_FEATURES {port.elements}",
        f"#define {upper}_WIDTH_BITS {port.width_bits}  /* of a code */",
        f"#define {upper}_LANE_BITS {port.lane_bits}  /* from a code to the next in the stream, lowest first */",
        f"#define {upper}_BEAT_BITS {port.beat_bits}  /* of s_axis_tdata */",
        f"#define {upper}_SIGNED {int(port.signed)}",
        f"#define {upper}_RESULT_ELEMENTS {manifest.result.elements}",
        f"#define {upper}_RESULT_WIDTH_BITS {manifest.result.width_bits}",
        "",
    ]
    if classes:
        names = ", ".join(_c_text(name) for name in classes)
        lines += [f"static const char *const {top}_classes[{len(classes)}] = {{{names}}};", ""]
    scaling = (contract or {}).get("scaling")
    if contract is not None and scaling is not None and len(scaling["scale"]) == port.elements:
        frac = contract["format"]["frac_bits"]
        lines += [
            f"/* The data's steps before this: window {contract['window']}, subsample {contract['subsample']}. */",
            f"#define {upper}_FRAC_BITS {frac}",
            *(_c_array(f"{top}_{key}", scaling[key]) for key in ("scale", "offset")),
            *([_c_array(f"{top}_missing", contract["missing"])] if "missing" in contract else []),
            "",
            _text("handover_code.h", top=top, upper=upper).rstrip("\n"),
            "",
        ]
    return "\n".join([*lines, f"#endif /* {upper}_INPUT_H */", ""])


def _c_array(name: str, values: Sequence[float]) -> str:
    return f"static const double {name}[{len(values)}] = {{{', '.join(repr(float(value)) for value in values)}}};"


def _c_text(text: str) -> str:
    plain = text.encode("utf-8").decode("latin-1")
    kept = "".join(c if 32 <= ord(c) < 127 and c not in '"\\?' else f"\\{ord(c):03o}" for c in plain)
    return f'"{kept}"'


def _text(name: str, **words: object) -> str:
    """Return a template with its @words@ filled in."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    return text

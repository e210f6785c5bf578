"""A written network and the unit in front of it in; the AXI4-Stream top that joins them out.

What comes in is an endless stream of ADC samples, one a beat; what goes out is a result for each window, a packet each.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, assert_never

from gatewright.capture import Capture, Edge, Every
from gatewright.errors import GatewrightError, LowerError
from gatewright.fixedpoint import Fixed
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.shell import StreamPort, commented, describe
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END
from gatewright.tools import write_atomic, write_json

FILE = "frontend.json"
LEAVES = ("gw_axis_unpack", "gw_capture", "gw_channel", "gw_credit", "gw_fifo", "gw_starts")
"""Cells that such a top instantiates, directly or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A design with a unit in front. top: its module; inner: the network's shell; files: what it adds to its files."""

    top: str
    inner: str
    unit: Capture
    files: tuple[str, ...]

    @property
    def source(self) -> StreamPort:
        """The port of the samples, one a beat."""
        return sample_port(self.unit)

    def over(self, manifest: RtlManifest) -> RtlManifest:
        """Return the network's manifest for the whole: another top, more files, and samples in, one a cycle."""
        files = (*manifest.files, *self.files)
        return replace(
            manifest, top=self.top, files=files, source=self.source, framed=False, stream_interval=1, core_beats=(1, 1)
        )

    @staticmethod
    def load(folder: Path) -> Captured | None:
        """Read frontend.json; None where a design has none. Raises GatewrightError where it is not one of ours."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            return Captured(top=raw["top"], inner=raw["inner"], unit=unit_of(raw["unit"]), files=tuple(raw["files"]))
        except (ValueError, TypeError, KeyError) as error:
            raise GatewrightError(
                f"{path} is not a unit of this version ({error}); delete that folder and run again"
            ) from None


def write_captured(manifest: RtlManifest, unit: Capture, folder: Path, leaves: Leaves) -> Captured:
    """Write the top, the cells that it needs and FILE beside a network's files; the network takes one code a beat.

    Raises LowerError where the network reads another number of codes than the unit gives.
    """
    port = manifest.source
    if port.elements != unit.elements or (port.width_bits, port.signed) != (unit.codes.width_bits, unit.codes.signed):
        raise LowerError(
            f"the network must read the {unit.elements} codes of {unit.codes} that [frontend] gives for a window, not "
            f"{port.elements} of {'' if port.signed else 'un'}signed {port.width_bits} bits; see [data], window and "
            "subsample"
        )
    stems = [Path(name).stem for name in manifest.files]
    top = unused(f"{manifest.top}_frontend", stems)
    texts = {name: text for name, text in leaves.files(*LEAVES).items() if name not in manifest.files}
    texts[f"{top}.v"] = leaves.renamed(captured_top(top, unit, inner=manifest.top, result=manifest.result))
    for name, text in texts.items():
        write_atomic(folder / name, text)
    made = Captured(top=top, inner=manifest.top, unit=unit, files=tuple(texts))
    write_json(folder / FILE, {"top": top, "inner": made.inner, "unit": asdict(unit), "files": list(made.files)})
    return made


def unit_of(record: dict[str, Any]) -> Capture:
    """Return the unit whose fields a record holds, as dataclasses.asdict made it."""
    rule = record["rule"]
    fields: dict[str, Any] = {
        **record,
        "samples": Fixed(**record["samples"]),
        "codes": Fixed(**record["codes"]),
        "rule": Edge(**rule) if "threshold" in rule else Every(**rule),
    }
    return Capture(**fields)


def sample_port(unit: Capture, beat_bits: int = 0) -> StreamPort:
    """Return the port of an ADC's samples."""
    samples = unit.samples
    return StreamPort(elements=1, width_bits=samples.width_bits, signed=samples.signed, beat_bits=beat_bits)


def captured_top(
    name: str, unit: Capture, *, inner: str, result: StreamPort, beat_bits: int = 0, link: bool = False
) -> str:
    """Return the Verilog of module `name`: the unit, and behind it `inner`, a shell that takes one code a beat.

    beat_bits: of s_axis_tdata; 0: a sample in one beat. inner: "" lets the codes out as they are; result: of what comes
    out then, or of the inner shell. link: behind a board's link, which has no use for the port overrun.
    """
    source = sample_port(unit, beat_bits)
    lane = source.lane_bits
    codes = StreamPort(elements=1, width_bits=unit.codes.width_bits, signed=unit.codes.signed)
    outer = {f"m_axis_{wire}": f"m_axis_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")}
    window = {f"window_{wire}": f"window_{wire}" for wire in ("tdata", "tvalid", "tready", "tlast")}
    between = window if inner else {key.replace("m_axis", "window"): value for key, value in outer.items()}
    taken = {"s_tdata": "s_axis_tdata", "s_tvalid": "s_axis_tvalid", "s_tready": "s_axis_tready"}
    wires: list[str] = []
    placed: list[str] = []
    if link:
        wires.append("    wire unused_overrun;")
    if source.beats > 1:
        wires += [f"    wire [{lane - 1}:0] sample;", "    wire sample_valid, sample_ready;"]
        wires += ["    wire unused_last, unused_torn;"]
        settings = {"ELEMENTS": 1, "WIDTH": lane, "BEAT": source.beat_bits}
        ends = {
            "clk": "aclk",
            "rst_n": "aresetn",
            **taken,
            "s_tlast": "1'b0",
            "room": "sample_ready",
            "vector": "sample",
            "vector_valid": "sample_valid",
            "vector_last": "unused_last",
            "vector_torn": "unused_torn",
        }
        placed.append(instance("gw_axis_unpack", "u_sample", settings, ends))
        taken = {"s_tdata": "sample", "s_tvalid": "sample_valid", "s_tready": "sample_ready"}
    if inner:
        wires += [f"    wire [{codes.lane_bits - 1}:0] window_tdata;", "    wire window_tvalid, window_tready;"]
        wires += ["    wire window_tlast;"]
    given = {f"m_{wire}": between[f"window_{wire}"] for wire in ("tdata", "tvalid", "tready", "tlast")}
    ends = {"clk": "aclk", "rst_n": "aresetn", **taken, **given, "overrun": "unused_overrun" if link else "overrun"}
    placed.append(instance("gw_capture", "u_capture", cell_settings(unit), ends))
    if inner:
        ends = {key.replace("window", "s_axis"): value for key, value in window.items()}
        placed.append(instance(inner, "u_network", {}, {"aclk": "aclk", "aresetn": "aresetn", **ends, **outer}))
    header = commented(f"""\
{name}: windows of an endless stream of samples{f", and {inner} behind them" if inner else ""}

  s_axis  {describe(source)}; TLAST means nothing
  m_axis  {describe(result)}; each window's ends with TLAST
  windows {rule_text(unit)}

{_LINKED if link else _OVERRUN}""")
    ports = [
        "    input  wire aclk",
        "    input  wire aresetn",
        f"    input  wire [{source.beat_bits - 1}:0] s_axis_tdata",
        "    input  wire s_axis_tvalid",
        "    output wire s_axis_tready",
        "    /* verilator lint_off UNUSEDSIGNAL */\n    input  wire s_axis_tlast",
        f"    /* verilator lint_on UNUSEDSIGNAL */\n    output wire [{result.beat_bits - 1}:0] m_axis_tdata",
        "    output wire m_axis_tvalid",
        "    input  wire m_axis_tready",
        "    output wire m_axis_tlast",
        *([] if link else ["    output wire overrun"]),
    ]
    head = [header, NETTYPE, f"module {name} (", ",\n".join(ports), ");"]
    return "\n".join([*head, *wires, "", *placed, "endmodule", NETTYPE_END, ""])


_OVERRUN = "overrun: a sample had to wait, and a source that cannot wait has lost it. High until the next reset."
_LINKED = "Behind a link whose bytes come so slowly that none waits."


def cell_settings(unit: Capture) -> dict[str, int]:
    """Return the parameters of gw_capture for a unit."""
    samples, codes, rule = unit.samples, unit.codes, unit.rule
    settings = {
        "WIDTH": samples.width_bits,
        "SIGNED": int(samples.signed),
        "DISTANCE": unit.least_distance,
        "READ": unit.read,
        "BASELINE": unit.baseline,
        "LOG2_BASELINE": max(unit.baseline, 1).bit_length() - 1,
        "FACTOR": unit.factor,
        "LOG2_FACTOR": unit.factor.bit_length() - 1 if unit.average else 0,
        "AVERAGE": int(unit.average),
        "LEFT": max(codes.frac_bits, 0),
        "RIGHT": max(-codes.frac_bits, 0),
        "CODE": codes.width_bits,
        "CODE_SIGNED": int(codes.signed),
        "LOG2_DEPTH": unit.depth.bit_length() - 1,
    }
    match rule:
        case Edge():
            top = samples.hi if rule.falling else samples.lo  # where levels begin
            levels = {"THRESHOLD": abs(rule.threshold - top), "REARM": abs(rule.rearm - top)}
            waiting = 3
            settings |= {"EDGE": 1, "FALLING": int(rule.falling), **levels}
            settings |= {"FIRST": rule.pretrigger, "PRETRIGGER": rule.pretrigger}
        case Every():
            waiting = -(-unit.length // rule.stride) + 2
            settings |= {"EDGE": 0, "FIRST": rule.first, "PRETRIGGER": 0}
        case _:
            assert_never(rule)
    return {**settings, "PLACES": waiting}


def rule_text(unit: Capture) -> str:
    """Return where windows begin and what becomes of them, for people."""
    rule = unit.rule
    match rule:
        case Edge():
            sign, away = ("<=", "+") if rule.falling else (">=", "-")
            began = (
                f"{rule.pretrigger} samples before an edge, a sample {sign} {rule.threshold}, armed beyond "
                f"{rule.threshold} {away} {rule.hysteresis}"
            )
        case Every():
            began = f"every {rule.stride} samples on"
        case _:
            assert_never(rule)
    steps = [f"{unit.length} samples"]
    steps += [f"minus the mean of the first {unit.baseline}"] * bool(unit.baseline)
    steps += [f"{'mean' if unit.average else 'first'} of each {unit.factor}"] * (unit.factor > 1)
    return f"{began}: {', '.join(steps)}; {unit.elements} codes of {unit.codes}"

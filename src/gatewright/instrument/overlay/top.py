"""A written design in, the files of what stands between a DMA's streams out: counters, stream, core, Vivado's ports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.instrument.beats import frames, width_for
from gatewright.instrument.overlay.description import DATA_BITS, Overlay
from gatewright.instrument.overlay.module import LEAVES, WATCHED, counting_module
from gatewright.instrument.reading import ADDRESS_BITS, LITE
from gatewright.instrument.top import BUS, BlockPort
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.reshell import reshelled
from gatewright.rtl.shell import commented
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END, module_text

STREAMS = ("s_axis_", "m_axis_")
"""In front of the names of its two streams."""
_SKID = "gw_axis_skid"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOverlay:
    """What is described, with its Verilog. files: name -> text, cells first, the top last."""

    overlay: Overlay
    files: dict[str, str]


def make_overlay(
    manifest: RtlManifest,
    rtl: Path,
    *,
    data_bits: int = 0,
    most_bits: int = DATA_BITS[-1],
    input_frac_bits: int = 0,
    result_frac_bits: int = 0,
) -> WrittenOverlay:
    """Return the module around a design.

    rtl: the folder that the manifest describes. data_bits: of a beat; 0: the fewest with which the streams are no
    slower than the core, and no more than most_bits. frac_bits: of the codes, for the driver.
    Raises LowerError for other widths and for vectors that are too long.
    """
    taken = [Path(file).stem for file in manifest.files]
    top = unused(f"{manifest.top}_overlay", taken)
    inner, stream = (unused(f"{top}_{part}", [*taken, top]) for part in ("counters", "stream"))
    width = data_bits or width_for(manifest, [bits for bits in DATA_BITS if bits <= most_bits])
    shell = reshelled(manifest, name=stream, beat_bits=width if width in DATA_BITS else DATA_BITS[0], io_registers=True)
    x, y = frames(shell, width, (input_frac_bits, result_frac_bits))
    overlay = Overlay(name=top, program_hash=manifest.program_hash, x=x, y=y)
    leaves = Leaves(prefix=manifest.prefix)
    own = [file for file in manifest.files if Path(file).stem != manifest.top]
    files = leaves.files(*dict.fromkeys((*LEAVES, _SKID, *shell.leaves)))
    files |= {file: (rtl / file).read_text() for file in own}
    files[f"{stream}.v"] = leaves.renamed(shell.verilog)
    files[f"{inner}.v"] = leaves.renamed(module_text(counting_module(overlay, inner)))
    files[f"{top}.v"] = top_text(overlay, inner, stream, leaves)
    return WrittenOverlay(overlay=overlay, files=files)


def overlay_ports(overlay: Overlay) -> tuple[BlockPort, ...]:
    """Return the ports of the top, in order."""
    bits = overlay.data_bits
    ports = [("input", 1, "aclk"), ("input", 1, "aresetn"), *((way, size, f"{BUS}{name}") for way, size, name in LITE)]
    for prefix, forth, back in zip(STREAMS, ("input", "output"), ("output", "input"), strict=True):
        ports += [(forth, bits, f"{prefix}tdata"), (forth, bits // 8, f"{prefix}tkeep"), (forth, 1, f"{prefix}tlast")]
        ports += [(forth, 1, f"{prefix}tvalid"), (back, 1, f"{prefix}tready")]
    return tuple(BlockPort(direction=way, bits=size, name=name) for way, size, name in ports)


def top_text(overlay: Overlay, inner: str, stream: str, leaves: Leaves) -> str:
    """Return the Verilog of the top: counters, the core's stream, a register on write addresses."""
    header = commented(f"""\
{overlay.name}: a core between the two streams of a DMA

  in      {overlay.x.total} codes of {overlay.x.width_bits} bits a vector, {overlay.vector_bytes(overlay.x)} bytes
  out     {overlay.y.total} codes of {overlay.y.width_bits} bits a result, {overlay.vector_bytes(overlay.y)} bytes
  program {overlay.program_hash[:16]}

A packet of whole vectors, ended by TLAST, gives a packet of their results, ended by TLAST.""")
    listed = overlay_ports(overlay)
    ports = [f"    {_ATTRIBUTES.get(p.name, '')}{p.direction:<6} wire {_range(p.bits)} {p.name}" for p in listed]
    signals: dict[str, str] = dict(zip("xy", STREAMS, strict=True))
    watched = {name: f"{signals[name[0]]}t{name[2:]}" for name in WATCHED}
    lite = {name: f"{BUS}{name}" for _, _, name in LITE}
    early = {"awaddr": "awaddr", "awvalid": "awvalid", "awready": "awready"}
    axis = {f"{prefix}t{part}": f"{prefix}t{part}" for prefix in STREAMS for part in ("data", "valid", "ready", "last")}
    skid = {
        "clk": "clk", "rst_n": "aresetn", "in_data": f"{BUS}awaddr", "in_valid": f"{BUS}awvalid",
        "in_ready": f"{BUS}awready", "out_data": "awaddr", "out_valid": "awvalid", "out_ready": "awready",
    }  # fmt: skip
    return "\n".join(
        [
            header,
            NETTYPE,
            "// verilator lint_off UNUSEDSIGNAL  // s_axis_tkeep: vectors are whole beats",
            f"module {overlay.name} (",
            ",\n".join(ports),
            ");",
            "// verilator lint_on UNUSEDSIGNAL",
            f"    wire {_range(1)} clk = aclk;",
            f"    wire {_range(1)} core_rst_n;",
            f"    wire {_range(ADDRESS_BITS)} awaddr;",
            f"    wire {_range(1)} awvalid;",
            f"    wire {_range(1)} awready;",
            "",
            f"    assign m_axis_tkeep = {{{overlay.data_bits // 8}{{1'b1}}}};",
            "",
            "    // A write's address is taken without its data: some masters give one after the other.",
            instance(leaves.name(_SKID), "u_address", {"WIDTH": ADDRESS_BITS}, skid),
            instance(
                inner, "u_counters", {},
                {"clk": "clk", "rst_n": "aresetn", **lite, **early, **watched, "core_rst_n": "core_rst_n"},
            ),
            instance(stream, "u_stream", {}, {"aclk": "clk", "aresetn": "core_rst_n", **axis}),
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )  # fmt: skip


_ATTRIBUTES = {
    "aclk": '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK", X_INTERFACE_PARAMETER = '
    '"ASSOCIATED_BUSIF s_axi:s_axis:m_axis, ASSOCIATED_RESET aresetn" *)\n    ',
    "aresetn": '(* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST", X_INTERFACE_PARAMETER = '
    '"POLARITY ACTIVE_LOW" *)\n    ',
}  # what Vivado's block designs read (UG994, "Referencing RTL Modules")


def _range(bits: int) -> str:
    return f"{f'[{bits - 1}:0]' if bits > 1 else '':<8}"

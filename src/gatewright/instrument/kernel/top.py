"""A written design in, the files of the whole kernel out: control, masters, stream, core, with the ports XRT wants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewright.instrument.beats import frames, width_for
from gatewright.instrument.kernel.description import DATA_BITS, Kernel
from gatewright.instrument.kernel.module import LEAVES, kernel_module, master
from gatewright.instrument.reading import LITE
from gatewright.instrument.top import BlockPort
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.reshell import reshelled
from gatewright.rtl.shell import commented
from gatewright.rtl.shell_cells import instance
from gatewright.rtl.verilog import NETTYPE, NETTYPE_END, module_text

CONTROL, MEMORY = "s_axi_control_", "m_axi_gmem_"
"""In front of the names of its two buses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenKernel:
    """A kernel with its Verilog. files: name -> text, cells first, the top last."""

    kernel: Kernel
    files: dict[str, str]


def make_kernel(
    manifest: RtlManifest, rtl: Path, *, data_bits: int = 0, input_frac_bits: int = 0, result_frac_bits: int = 0
) -> WrittenKernel:
    """Return the kernel around a design.

    rtl: the folder that the manifest describes. data_bits: of a beat of its bus to memory, one of `DATA_BITS`; 0: the
    fewest with which the bus is no slower than the core. frac_bits: of the codes, for clients.
    Raises LowerError for other widths and for vectors that are too long.
    """
    name = f"{manifest.top}_kernel"
    taken = [Path(file).stem for file in manifest.files]
    top = unused(name, taken)
    inner, stream = (unused(f"{top}_{part}", [*taken, top]) for part in ("masters", "stream"))
    width = data_bits or width_for(manifest, DATA_BITS)
    shell = reshelled(manifest, name=stream, beat_bits=width if width in DATA_BITS else DATA_BITS[0], io_registers=True)
    x, y = frames(shell, width, (input_frac_bits, result_frac_bits))
    kernel = Kernel(name=top, program_hash=manifest.program_hash, x=x, y=y)
    leaves = Leaves(prefix=manifest.prefix)
    own = [file for file in manifest.files if Path(file).stem != manifest.top]
    files = leaves.files(*dict.fromkeys((*LEAVES, *shell.leaves))) | {file: (rtl / file).read_text() for file in own}
    files[f"{stream}.v"] = leaves.renamed(shell.verilog)
    files[f"{inner}.v"] = leaves.renamed(module_text(kernel_module(kernel, inner)))
    files[f"{top}.v"] = top_text(kernel, inner, stream)
    return WrittenKernel(kernel=kernel, files=files)


def kernel_ports(kernel: Kernel) -> tuple[BlockPort, ...]:
    """Return the ports of the top, in order."""
    ports = [("input", 1, "ap_clk"), ("input", 1, "ap_rst_n"), ("output", 1, "interrupt")]
    ports += [(way, bits, f"{CONTROL}{name}") for way, bits, name in LITE]
    varying = list(master(kernel.data_bits))
    fixed = [("output", bits, name) for name, bits, _ in _fixed(kernel)]
    unread = [("input", bits, name) for name, bits in _UNREAD]
    for channel in ("aw", "w", "b", "ar", "r"):
        own = [port for port in (*varying, *fixed, *unread) if _channel(port[2]) == channel]
        ports += [(way, bits, f"{MEMORY}{name}") for way, bits, name in own]
    return tuple(BlockPort(direction=way, bits=bits, name=name) for way, bits, name in ports)


_UNREAD = (("bid", 1), ("rid", 1), ("rlast", 1))  # all beats are of one ID, in order, and were counted


def _channel(name: str) -> str:
    return name[:2] if name[:2] in {"aw", "ar"} else name[:1]


def _fixed(kernel: Kernel) -> tuple[tuple[str, int, str], ...]:
    """Return the signals of the bus to memory that never change: name, bits, value."""
    size = (kernel.data_bits // 8).bit_length() - 1
    asks = [
        (f"{channel}{name}", bits, value)
        for channel in ("aw", "ar")
        for name, bits, value in (
            ("id", 1, "1'd0"),
            ("size", 3, f"3'd{size}"),
            ("burst", 2, "2'd1"),
            ("lock", 1, "1'd0"),
            ("cache", 4, "4'd3"),
            ("prot", 3, "3'd0"),
            ("qos", 4, "4'd0"),
            ("region", 4, "4'd0"),
        )
    ]
    strobes = kernel.data_bits // 8
    return (*asks, ("wstrb", strobes, f"{{{strobes}{{1'b1}}}}"))


def top_text(kernel: Kernel, inner: str, stream: str) -> str:
    """Return the Verilog of the top: the module with the masters, and the core's stream."""
    header = commented(f"""\
{kernel.name}: a core that fetches its vectors from memory

  in      {kernel.x.total} codes of {kernel.x.width_bits} bits a vector, {kernel.vector_bytes(kernel.x)} bytes
  out     {kernel.y.total} codes of {kernel.y.width_bits} bits a result, {kernel.vector_bytes(kernel.y)} bytes
  program {kernel.program_hash[:16]}""")
    listed = kernel_ports(kernel)
    ports = ",\n".join(f"    {port.direction:<6} wire {_range(port.bits)} {port.name}" for port in listed)
    varying = {f"m_{name}": f"{MEMORY}{name}" for _, _, name in master(kernel.data_bits)}
    lite = {name: f"{CONTROL}{name}" for _, _, name in LITE}
    wires = [
        f"    wire {_range(kernel.data_bits if part == 'data' else 1)} {side}_{part};"
        for side in "xy"
        for part in ("data", "valid", "last", "ready")
    ]
    streams = {f"{side}_{part}": f"{side}_{part}" for side in "xy" for part in ("data", "valid", "last", "ready")}
    axis = {
        f"{way}_axis_t{part}": f"{side}_{part}"
        for way, side in (("s", "x"), ("m", "y"))
        for part in ("data", "valid", "ready", "last")
    }
    ends = {"clk": "ap_clk", "rst_n": "rst_n", **lite, "irq": "interrupt", **varying}
    return "\n".join(
        [
            header,
            NETTYPE,
            "// verilator lint_off UNUSEDSIGNAL  // all beats are of one ID, in order, and are counted",
            "// verilator lint_off SYMRSVDWORD  // a port of this name is what Vitis looks for",
            f"module {kernel.name} (",
            ports,
            ");",
            "// verilator lint_on SYMRSVDWORD",
            "// verilator lint_on UNUSEDSIGNAL",
            "    reg           rst_n;  // a register of our own: this net is long",
            "    wire          core_rst_n;",
            *wires,
            "",
            "    always @(posedge ap_clk) rst_n <= ap_rst_n;",
            "",
            *(f"    assign {MEMORY}{name} = {value};" for name, _, value in _fixed(kernel)),
            "",
            instance(inner, "u_masters", {}, {**ends, "core_rst_n": "core_rst_n", **streams}),
            instance(stream, "u_stream", {}, {"aclk": "ap_clk", "aresetn": "core_rst_n", **axis}),
            "endmodule",
            NETTYPE_END,
            "",
        ]
    )


def _range(bits: int) -> str:
    return f"{f'[{bits - 1}:0]' if bits > 1 else '':<8}"

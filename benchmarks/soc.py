"""Tables `soc` and `soc_placed`: the cosmic example behind a processor, simulated; the same placed on an ECP5-85."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.tables import BUILD, ROOT, publish
from gatewright.assess.firmware import build_firmware
from gatewright.assess.system import system_files
from gatewright.chips import part
from gatewright.deploy import board as find_board
from gatewright.deploy.pads import Pad
from gatewright.deploy.pins.lpf import lpf
from gatewright.flow.assess import assess_run
from gatewright.flow.instrument import read_instrument
from gatewright.flow.run import run as run_flow
from gatewright.synth import tool_for
from gatewright.tools import write_atomic

EXAMPLE, BOARD, BAUD, SEEDS = "cosmic", "ulx3s_85f", 115_200, (1, 2)
_TOP = """\
`default_nettype none
module soc_board (
    input  wire       clk_board,
    output wire       uart_tx,
    output wire [1:0] led,
    output wire       keep_high
);
    reg [7:0] count = 8'd0;  // 255 cycles of reset after the bitstream is loaded
    always @(posedge clk_board) if (!(&count)) count <= count + 8'd1;
    soc #(.FIRMWARE("@hex@"), .RAM_WORDS(@words@), .CLOCKS_PER_BIT(@bit@)) u_soc (
        .clk(clk_board),
        .rst_n(&count),
        .uart_txd(uart_tx),
        .stopped(led[0]),
        .code(),
        .lost(led[1])
    );
    assign keep_high = 1'b1;
endmodule
"""


def run() -> None:
    """Assess the example and print what it costs; `gatewright assess` shows the same figures without the seconds."""
    folder = _example()
    found = assess_run(folder)
    speed = json.loads((folder / "assess" / "speed.json").read_text())
    cycles = found["simulated_cycles"]
    row = {
        "vectors": found["vectors"],
        "mismatches": found["mismatches"],
        "write cycles": found["write_cycles_per_word"],
        "read cycles": found["read_cycles_per_word"],
        "one vector": found["bus_latency_cycles"],
        "words": found["words_cycles_per_vector"],
        "codes": found["client_cycles_per_vector"],
        "cycles": cycles,
        "build CPU s": speed["build_seconds"],
        "run CPU s": speed["run_seconds"],
        "Mcycles/s": cycles / speed["run_seconds"] / 1e6,
    }
    notes = ("write, read: cycles a word in bulk; words, codes: cycles a vector of gw_run_words and gw_run",)
    publish("soc", f"soc: the {EXAMPLE} example behind PicoRV32, {found['compiler']}", [row], notes)


def run_placed() -> None:
    """Synthesize, place and pack the same system with its stored vectors for an ECP5-85."""
    folder = BUILD / "soc_placed"
    found = read_instrument(_example(), registers=0)
    for name, data in system_files(found.made, x=found.x, y=found.y).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, data)
    firmware, board = build_firmware(folder / "firmware"), find_board(BOARD)
    words = {
        "hex": str(firmware.hex_file.resolve()),
        "words": str(firmware.ram_words),
        "bit": str(round(board.clock_mhz * 1e6 / BAUD)),
    }
    text = _TOP
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    write_atomic(folder / "verilog" / "soc_board.v", text)
    sources = [folder / "verilog" / name for name in (folder / "verilog" / "files.f").read_text().split()]
    chip, tool, out = part(board.part), tool_for("ecp5"), folder / "synth"
    out.mkdir(parents=True, exist_ok=True)
    counts = tool.synthesize(
        sources=[*sources, folder / "verilog" / "soc_board.v"], top="soc_board", family="ecp5", out=out, dsp=True
    )
    pins = _pins(out / "soc.lpf")
    rows: list[dict[str, Any]] = []
    for seed in SEEDS:
        placed = tool.place(
            netlist=out / "netlist.json", part=chip, pins=pins, freq_mhz=board.clock_mhz, seed=seed, out=out
        )
        used = placed.used
        rows.append(
            {
                "seed": seed,
                "Fmax MHz": placed.slowest_mhz,
                "COMB": used["TRELLIS_COMB"],
                "FF": used["TRELLIS_FF"],
                "DP16KD": used["DP16KD"],
                "MULT18X18D": used["MULT18X18D"],
            }
        )
        bitstream = tool.pack(placed.textcfg, out / "soc.bit", part=chip)
    notes = (
        f"{chip.name} of {board.title}, oscillator {board.clock_mhz:g} MHz; {counts.lut} LUT before placement",
        f"{firmware.ram_words * 4 // 1024} KiB of RAM; bitstream of {bitstream.stat().st_size:,} bytes",
    )
    publish("soc_placed", f"soc_placed: the {EXAMPLE} example with its processor on an ECP5-85", rows, notes)


def _example() -> Path:
    """Return the example's run, made where it is not there yet."""
    return run_flow(ROOT / "examples" / EXAMPLE / f"{EXAMPLE}.toml", BUILD / EXAMPLE).path


def _pins(file: Path) -> Path:
    board = find_board(BOARD)
    pads = [
        Pad(port="clk_board", pin=board.clock_pin, kind="clock"),
        Pad(port="uart_tx", pin=board.link.tx, kind="output"),
        *(Pad(port=f"led[{i}]", pin=board.leds[i], kind="output") for i in range(2)),
        Pad(port="keep_high", pin=board.keep_high[0], kind="output"),
    ]
    write_atomic(file, lpf(pads, clock_mhz=board.clock_mhz, comment=f"{board.title}; pins of {board.source}"))
    return file

"""Host codec, UART link, the generated stream shell and a core together: integers in, integers out."""

from __future__ import annotations

import random

import pytest

from gatewright.deploy import board
from gatewright.deploy.links.host.uart_host import Lanes
from gatewright.deploy.links.uart import StreamPorts, board_top
from gatewright.rtl.leaves import leaf_sources
from gatewright.rtl.shell import StreamPort, axis_shell
from tests.leaf_files import UART_SOURCES

CORE = """\
module sum3 (input wire clk, input wire [35:0] x, output reg signed [13:0] y);
    wire signed [13:0] a = {{2{x[11]}}, x[11:0]};
    wire signed [13:0] b = {{2{x[23]}}, x[23:12]};
    wire signed [13:0] c = {{2{x[35]}}, x[35:24]};
    always @(posedge clk) y <= a + b + c;
endmodule
"""


@pytest.mark.sim
def test_shell_and_host_agree_on_lanes_and_a_torn_vector_leaves_no_trace(build, wire, tmp_path):
    source = StreamPort(elements=3, width_bits=12, signed=True, beat_bits=8)
    result = StreamPort(elements=1, width_bits=14, signed=True, beat_bits=8)
    inputs, outputs = Lanes(3, 12, True), Lanes(1, 14, True)
    assert (inputs.total_bytes, outputs.total_bytes) == (source.beats, result.beats)
    shell = axis_shell(name="sum3_link", core="sum3", latency_cycles=1, source=source, result=result)
    core = StreamPorts(module="sum3_link", input_bytes=source.beats, output_bytes=result.beats)
    top = board_top(board=board("ulx3s_25f"), core=core, clock_mhz=25, baud=3_125_000, gap_ms=0.05)
    texts = {"sum3.v": CORE, "sum3_link.v": shell, "top.v": top.verilog, **leaf_sources()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    program = build(top.module, [*(tmp_path / name for name in texts), *UART_SOURCES])

    draw = random.Random(3)
    vectors = [[draw.randrange(-2048, 2048) for _ in range(3)] for _ in range(40)]
    sent = [[f"b {byte}" for byte in inputs.encode(vector)] for vector in vectors]
    torn = [f"b {byte}" for byte in inputs.encode([-1, -1, -1])[:5]]
    commands = [line for lines in sent[:20] for line in lines] + torn + ["w 1500"]
    commands += [line for lines in sent[20:] for line in lines]
    out, _ = wire(program, 8)(*commands)
    answers = [outputs.decode(bytes(out[start : start + 2])) for start in range(0, len(out), 2)]
    assert answers == [[sum(vector)] for vector in vectors]

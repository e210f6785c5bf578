"""A core on streams behind a board's UART, whose answers are longer than its vectors: the interpreter's results."""

from __future__ import annotations

import pytest

from gatewright.capture import Capture, Every
from gatewright.deploy import board
from gatewright.deploy.bitstream import linked_design
from gatewright.deploy.links.host.uart_host import Lanes
from gatewright.errors import GatewrightError, LowerError
from gatewright.fixedpoint import Fixed
from gatewright.flow.codes import random_codes
from gatewright.ir import Constant, Interpreter, Program
from gatewright.ir.ops import Input
from gatewright.rtl.captured import Captured, write_captured
from gatewright.rtl.leaves import PLAIN
from gatewright.rtl.manifest import write_design
from tests.lower.test_streams import conv
from tests.lowering import lower_for


def widening() -> Program:
    """A convolution that keeps the size and makes two channels of one: 16 bytes in, 64 out."""
    constants: dict[str, Constant] = {}
    given = Input(name="x", layer="input", shape=(4, 4, 1), format=Fixed(width_bits=8, frac_bits=0, signed=False))
    ops = (given, conv("a", "x", constants, (3, 3, 1, 2)))
    return Program(name="widening", ops=ops, output="a", constants=constants)


@pytest.mark.sim
@pytest.mark.slow
def test_a_core_that_takes_a_piece_at_a_time(build, wire, tmp_path):
    program = widening()
    x = random_codes(program, 3, seed=1)
    dataflow = lower_for(program, x, family="ecp5", clock_mhz=25, stream="always")
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path / "rtl")
    assert manifest.core_beats == (16, 16)
    linked = linked_design(manifest, board=board("ulx3s_25f"), clock_mhz=25)
    for name, text in linked.files.items():
        (tmp_path / name).write_text(text)
    run = wire(build(linked.top.module, linked.sources(manifest, tmp_path / "rtl", tmp_path)), 25)
    inputs, outputs = (Lanes(port.elements, port.width_bits, port.signed) for port in (linked.source, linked.result))
    sent = [[*(f"b {byte}" for byte in inputs.encode(vector.ravel().tolist())), "w 17000"] for vector in x]
    out, _ = run(*(line for lines in sent for line in lines))
    size = outputs.total_bytes
    assert size == 4 * inputs.total_bytes
    answers = [outputs.decode(bytes(out[start : start + size])) for start in range(0, len(out), size)]
    assert answers == Interpreter(program).run(x).reshape(len(x), -1).tolist()


def test_a_network_of_another_size_is_refused(tmp_path):
    program = widening()
    dataflow = lower_for(program, random_codes(program, 3, seed=1), family="ecp5", clock_mhz=25, stream="always")
    manifest = write_design(dataflow, program_hash="0" * 64, stream_bits=0, folder=tmp_path, serial=True)
    codes = Fixed(width_bits=8, frac_bits=0, signed=False)
    unit = Capture(samples=codes, rule=Every(stride=9), length=9, codes=codes)
    with pytest.raises(
        LowerError, match=r"must read the 9 codes of ufixed<8,8> that \[frontend\] gives .*, not 16 of un"
    ):
        write_captured(manifest, unit, tmp_path, PLAIN)
    (tmp_path / "frontend.json").write_text("{}")
    with pytest.raises(GatewrightError, match=r"is not a unit of this version .*; delete that folder and run again"):
        Captured.load(tmp_path)

"""Ports and shells as data and text: sizes, timing, errors; no tool runs here."""

import pytest

from gatewright.errors import LowerError
from gatewright.rtl.leaves import leaf_sources
from gatewright.rtl.shell import (
    StreamPort,
    axis_shell,
    fifo_log2_depth,
    initiation_interval,
    transfer_latency_cycles,
)
from gatewright.version import __version__

WIDE = StreamPort(elements=64, width_bits=8, signed=True)
ANSWER = StreamPort(elements=1, width_bits=4, signed=False)


@pytest.mark.parametrize(
    ("elements", "width", "beat", "expected"),
    [
        (64, 8, 0, (8, 512, 512, 1, 512)),
        (5, 9, 0, (16, 80, 80, 1, 45)),
        (5, 12, 32, (16, 80, 32, 3, 60)),
        (3, 17, 8, (24, 72, 8, 9, 51)),
        (1, 4, 32, (8, 8, 32, 1, 4)),
    ],
)
def test_sizes(elements: int, width: int, beat: int, expected: tuple[int, ...]):
    port = StreamPort(elements=elements, width_bits=width, signed=True, beat_bits=beat)
    assert (port.lane_bits, port.vector_bits, port.beat_bits, port.beats, port.packed_bits) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": 0}, r"^a stream's vector must have at least 1 element, not 0$"),
        ({"width_bits": 63}, r"^a stream's elements must have 1\.\.62 bits, not 63; narrow them first$"),
        (
            {"beat_bits": 12},
            r"must have a multiple of 8 bits, not 12; set hardware\.stream_bits to 8, 16, 32, \.\.\. or",
        ),
        ({"beat_bits": -8}, r"not -8;"),
    ],
)
def test_impossible_ports_are_refused(changes, message: str):
    with pytest.raises(LowerError, match=message):
        StreamPort(**{"elements": 2, "width_bits": 8, "signed": False, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "2net"}, r"^the shell's name must be a Verilog identifier, not '2net'$"),
        ({"core": "net core"}, r"^the shell's core must be a Verilog identifier, not 'net core'$"),
        ({"latency_cycles": 0}, r"^the core 'net_core' must have at least 1 register stage for the shell, not 0$"),
    ],
)
def test_impossible_shells_are_refused(changes, message: str):
    arguments = {"name": "net", "core": "net_core", "latency_cycles": 3, **changes}
    with pytest.raises(LowerError, match=message):
        axis_shell(source=WIDE, result=ANSWER, **arguments)


def test_timing():
    beats = StreamPort(elements=64, width_bits=8, signed=True, beat_bits=32)
    assert initiation_interval(WIDE, ANSWER) == 1
    assert transfer_latency_cycles(WIDE, ANSWER, 8) == 9
    assert initiation_interval(beats, ANSWER) == 16
    assert transfer_latency_cycles(beats, ANSWER, 8) == 24


@pytest.mark.parametrize(("latency", "depth"), [(1, 4), (6, 8), (7, 16), (14, 16), (15, 32)])
def test_the_fifo_is_as_deep_as_full_throughput_needs(latency: int, depth: int):
    assert 1 << fifo_log2_depth(WIDE, ANSWER, latency) == depth


def test_a_slow_stream_needs_a_small_fifo():
    beats = StreamPort(elements=64, width_bits=8, signed=True, beat_bits=32)
    assert 1 << fifo_log2_depth(beats, ANSWER, 8) == 2


def test_the_text():
    text = axis_shell(name="net", core="net_core", latency_cycles=8, source=WIDE, result=ANSWER)
    assert text.startswith(
        f"// net: AXI4-Stream shell of net_core, by gatewright {__version__}\n"
        "// SPDX-License-Identifier: Apache-2.0\n//\n//   s_axis  64 x 8 bit signed in lanes of 8 bits"
    )
    assert "    net_core u_core (\n        .clk(aclk),\n        .x(core_x),\n        .y(core_y)\n    );\n" in text
    assert text.endswith("    );\nendmodule\n`default_nettype wire\n")
    assert all(line == line.rstrip() for line in text.splitlines())
    assert text == axis_shell(name="net", core="net_core", latency_cycles=8, source=WIDE, result=ANSWER)


def test_leaves_are_named_after_their_modules():
    for name, text in leaf_sources().items():
        assert f"\nmodule {name.removesuffix('.v')} #(" in text

"""Broken cores and shells must be caught, and the message must point at the fault."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gatewright.errors import MismatchError, ToolError
from gatewright.rtl.shell import StreamPort
from gatewright.sim import require_match
from tests.sim.stubs import TOP, Edit, Stub

pytestmark = [pytest.mark.sim, pytest.mark.slow]

WHOLE = Stub(StreamPort(elements=4, width_bits=6, signed=True), StreamPort(elements=2, width_bits=8, signed=True), 4)
BEATS = Stub(
    StreamPort(elements=3, width_bits=8, signed=True, beat_bits=8),
    StreamPort(elements=4, width_bits=8, signed=True, beat_bits=16),
    2,
)


def replace(name: str, old: str, new: str) -> Edit:
    def edit(files: dict[str, str]) -> None:
        assert old in files[name], f"{name} lacks {old!r}"
        files[name] = files[name].replace(old, new)

    return edit


def later_core(files: dict[str, str]) -> None:
    """The core takes one cycle more than the shell was told."""
    files[f"{TOP}_core.v"] = Stub(WHOLE.source, WHOLE.result, WHOLE.latency_cycles + 1).files()[f"{TOP}_core.v"]


# name -> (stub, edit, what the message must say)
MUTANTS: dict[str, tuple[Stub, Edit, str]] = {
    "wrong adder": (
        WHOLE,
        replace(f"{TOP}_sum.v", "s_1 <= w_1 + w_2 + 1", "s_1 <= w_1 + w_2 + 2"),
        r"layer 'sum', element 1, cycle \d+ at full rate \(vector 0\): expected (-?\d+), got -?\d+ \(difference [+-]\d+ LSB\); "
        r"100 of 100 vectors wrong; log .*sim\.log",
    ),
    "latency": (WHOLE, later_core, r"layer 'out'.*every result is that of the vector 1 before: check the core's latency"),
    "claimed latency": (
        WHOLE,
        replace(f"{TOP}.v", ".CYCLES(4)", ".CYCLES(5)"),
        r"every result is that of the vector 1 after.*latency is 5 cycles, claimed 4",
    ),
    "bubbles": (
        WHOLE,
        replace(f"{TOP}.v", ".LOG2_DEPTH(3), .START(8)", ".LOG2_DEPTH(3), .START(3)"),
        r"initiation interval is 3 cycles, claimed 1",
    ),
    "tlast dropped": (
        WHOLE,
        replace("gw_axis_delay.v", "assign out_last = last_line[CYCLES]", "assign out_last = 1'b0"),
        r"m_axis_tlast is wrong \d+ times at full rate, first on beat 0 of vector \d+: expected 1, got 0",
    ),
    "tvalid taken back": (
        WHOLE,
        replace(f"{TOP}.v", ".out_valid(result_valid)", ".out_valid(v0)"),
        r"m_axis_tvalid fell before m_axis_tready \(\d+ times, first in cycle \d+ with stalls\)",
    ),
    "tvalid waits for tready": (
        WHOLE,
        replace("gw_axis_pack.v", "assign m_tvalid = vector_valid", "assign m_tvalid = vector_valid && m_tready"),
        r"m_axis_tvalid depends on m_axis_tready within a cycle",
    ),
    "overflow": (
        WHOLE,
        replace(f"{TOP}.v", '.any(s_axis_tready)', '.any(unused)'),
        r"wrong.*m_axis_tdata or m_axis_tlast changed while waiting",
    ),
    "stale after reset": (
        WHOLE,
        replace("gw_axis_delay.v", "valid <= {CYCLES{1'b0}};", "valid[0] <= 1'b0;"),
        r"with stalls",
    ),
    "results do not drain": (
        WHOLE,
        replace("gw_axis_delay.v", "        valid <= valid_line[CYCLES-1:0];", "        if (in_valid) valid <= valid_line[CYCLES-1:0];"),
        r"time-out: 100 of 100 beats went in, \d+ of 100 came out, and nothing moves",
    ),
    "framing": (
        BEATS,
        replace("gw_axis_unpack.v", "final_beat || s_tlast ?", "final_beat ?"),
        r"with stalls",
    ),
    "lane filling": (BEATS, replace("gw_axis_pack.v", "SIGNED != 0 && vector", "vector"), ""),
}
del MUTANTS["lane filling"]  # 8-bit elements have no filling; kept out


def spoil_valid(files: dict[str, str]) -> None:
    """TVALID pauses in every fourth cycle, whatever waits."""
    text = files[f"{TOP}.v"].replace(".out_valid(result_valid)", ".out_valid(v0)")
    extra = "    wire v0;\n    reg [1:0] n;\n    always @(posedge aclk) n <= n + 2'd1;\n    assign result_valid = v0 && n != 2'd0;\n"
    files[f"{TOP}.v"] = text.replace("    gw_axis_unpack", f"{extra}    gw_axis_unpack", 1)


def always_ready(files: dict[str, str]) -> None:
    """The shell takes vectors without a credit."""
    text = files[f"{TOP}.v"].replace(".any(s_axis_tready)", ".any(credit)")
    extra = "    wire credit;\n    assign s_axis_tready = 1'b1;\n"
    files[f"{TOP}.v"] = text.replace("    gw_axis_unpack", f"{extra}    gw_axis_unpack", 1)


MUTANTS["tvalid taken back"] = (WHOLE, spoil_valid, MUTANTS["tvalid taken back"][2])
MUTANTS["overflow"] = (WHOLE, always_ready, r"wrong.*m_axis_tdata or m_axis_tlast changed while waiting")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str, tmp_path: Path, cache: Path):
    stub, edit, message = MUTANTS[name]
    bench = stub.build(tmp_path / "design", cache, edit)
    report = stub.run(bench, tmp_path, count=100)
    with pytest.raises(MismatchError, match=f"(?s)^hardware != program: .*{message}") as caught:
        require_match(report)
    print(caught.value)

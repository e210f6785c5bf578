"""Broken cores and shells must be caught, and the message must point at the fault."""

from pathlib import Path

import pytest

from gatewright.errors import MismatchError, ToolError
from gatewright.rtl.shell import StreamPort
from gatewright.sim import Device, Probe, build_bench, lint, require_match
from tests.sim.stubs import TOP, Edit, Stub

pytestmark = [pytest.mark.sim, pytest.mark.slow]

WHOLE = Stub(StreamPort(elements=4, width_bits=6, signed=True), StreamPort(elements=2, width_bits=7, signed=True), 4)
BEATS = Stub(
    StreamPort(elements=3, width_bits=8, signed=True, beat_bits=8),
    StreamPort(elements=4, width_bits=8, signed=True, beat_bits=16),
    2,
)


def replace(name: str, old: str, new: str, extra: str = "") -> Edit:
    """Replace text in a file, and put further Verilog before the first cell of the shell."""

    def edit(files: dict[str, str]) -> None:
        assert old in files[name], f"{name} lacks {old!r}"
        files[name] = files[name].replace(old, new)
        first = "    gw_axis_unpack #("
        files[f"{TOP}.v"] = files[f"{TOP}.v"].replace(first, f"{extra}{first}", 1)

    return edit


def later_core(files: dict[str, str]) -> None:
    """Take a core with one stage more than the shell was told."""
    files[f"{TOP}_core.v"] = Stub(WHOLE.source, WHOLE.result, WHOLE.latency_cycles + 1).files()[f"{TOP}_core.v"]


def both(*edits: Edit) -> Edit:
    """Break two things that do not hide each other: a build costs seconds."""

    def edit(files: dict[str, str]) -> None:
        for one in edits:
            one(files)

    return edit


# what is broken -> (stub, edit, what the message must say, in this order)
MUTANTS: dict[str, tuple[Stub, Edit, str]] = {
    "an adder": (
        WHOLE,
        replace(f"{TOP}_sum.v", "s_1 <= w_1 + w_2 + 1", "s_1 <= w_1 + w_2 + 2"),
        r"layer 'sum', element 1, cycle 2 at full rate \(vector 0\): .* LSB\); 100 of 100 vectors wrong; log ",
    ),
    "the core's latency": (
        WHOLE,
        later_core,
        r"layer 'out', .* every result is that of the vector 1 before: check the core's latency",
    ),
    "the shell's latency": (
        WHOLE,
        replace(f"{TOP}.v", ".CYCLES(4)", ".CYCLES(5)"),
        r"every result is that of the vector 1 after: .* latency is 5 cycles, claimed 4",
    ),
    "throughput and TLAST": (
        WHOLE,
        both(
            replace(f"{TOP}.v", ".START(8)", ".START(3)"),
            replace("gw_axis_delay.v", "out_last = last_line[CYCLES*MARKS +: MARKS]", "out_last = 1'b0"),
        ),
        r"interval is 2 cycles, claimed 1; m_axis_tlast is wrong \d+ times at full rate, first on beat 0 of ",
    ),
    "TVALID, taken back in every fourth cycle": (
        WHOLE,
        replace(
            f"{TOP}.v",
            ".out_valid(result_valid)",
            ".out_valid(some)",
            "    wire some;\n    reg [1:0] n;\n    always @(posedge aclk) n <= n + 2'd1;\n"
            "    assign result_valid = some && n != 2'd0;\n",
        ),
        r"m_axis_tvalid fell before m_axis_tready \(\d+ times, first in cycle \d+ with stalls\)",
    ),
    "TVALID and TDATA, waiting for TREADY": (
        WHOLE,
        both(
            replace("gw_axis_pack.v", "m_tvalid = vector_valid", "m_tvalid = vector_valid && (m_tready || vector[0])"),
            replace("gw_axis_pack.v", "m_tdata = lanes", "m_tdata = m_tready ? lanes : {BEAT{1'b0}}"),
        ),
        r"m_axis_tdata or m_axis_tlast changed while waiting .* m_axis_tvalid depends on m_axis_tready within a cycle ",
    ),
    "back-pressure": (
        WHOLE,
        replace(f"{TOP}.v", ".room(room)", ".room(1'b1)"),
        r"layer 'output', .* with stalls .* 100 of 100 vectors wrong; .*m_axis_tvalid fell before m_axis_tready",
    ),
    "reset": (
        WHOLE,
        replace("gw_axis_delay.v", "valid <= {CYCLES{1'b0}};", "valid[0] <= 1'b0;"),
        r"cycle \d+ with stalls",
    ),
    "draining: the next vector must push": (
        WHOLE,
        both(
            replace("gw_axis_delay.v", "        valid <= valid_line", "        if (in_valid) valid <= valid_line"),
            replace("gw_axis_delay.v", "out_valid = valid_line[CYCLES]", "out_valid = valid_line[CYCLES] && in_valid"),
        ),
        r"time-out: 100 of 100 beats went in, 96 of 100 came out, and nothing moves",
    ),
    "the lanes' sign": (
        WHOLE,
        replace("gw_axis_pack.v", "SIGNED != 0 && ", "SIGNED == 0 && "),
        r"layer 'output', element 0, cycle \d+ at full rate \(vector \d+\): expected (-?\d+), got \1 ",
    ),
    "framing: a torn vector and the next are one": (
        BEATS,
        replace("gw_axis_unpack.v", "!final_beat && (s_tlast || missing)", "1'b0"),
        r"cycle \d+ with stalls",
    ),
    "framing: a torn vector is lost": (
        BEATS,
        replace("gw_axis_unpack.v", "comes && final_beat;", "comes && final_beat && !filling;"),
        r"\d+ torn vectors gave 0 null beats, not \d+",
    ),
    "framing: a torn vector's result looks whole": (
        BEATS,
        replace(f"{TOP}.v", "{!result_torn}", "{1'b1}"),
        r"cycle \d+ with stalls",
    ),
    "framing: a reset in mid-packet": (
        BEATS,
        replace("gw_axis_guard.v", "dropping <= taken || packet_open;", "dropping <= 1'b0;"),
        r"a vector of a packet that a reset has cut went into the core",
    ),
    "framing: the error": (
        BEATS,
        replace("gw_axis_guard.v", "torn || (taken && dropping)", "torn && dropping"),
        r"framing_error does not tell that a packet was cut",
    ),
}


@pytest.mark.parametrize("broken", MUTANTS)
def test_a_mutant_is_caught(broken: str, tmp_path: Path):
    stub, edit, message = MUTANTS[broken]
    bench = stub.build(tmp_path / "design", edit)
    report = stub.run(bench, tmp_path, count=100)
    with pytest.raises(MismatchError, match=f"^hardware != program: .*{message}"):
        require_match(report)
    log = Path(report.log).read_text()
    assert all(problem in log for problem in report.problems)
    assert (": expected [" in log) == (report.mismatches > 0)  # the listing of the first wrong vectors


def test_a_probe_of_no_signal_is_an_error(tmp_path: Path):
    for name, text in WHOLE.files().items():
        (tmp_path / name).write_text(text)
    probe = Probe(
        layer="fc1", element=0, module="stub_core", signal="nix", path=("u_core",), stage=1, width_bits=3, signed=True
    )
    device = Device(
        sources=tuple(sorted(tmp_path.glob("*.v"))),
        top=TOP,
        source=WHOLE.source,
        result=WHOLE.result,
        probes=(probe,),
        layers=(("fc1", 1),),
    )
    with pytest.raises(ToolError, match=r"layer 'fc1', element 0: no signal 'stub\.u_core\.nix' in module 'stub_core'"):
        build_bench(device, out=tmp_path / "build")


def test_lint_fails_on_a_warning(tmp_path: Path):
    source = tmp_path / "narrow.v"
    source.write_text("module narrow (input wire [3:0] a, output wire [2:0] b);\n    assign b = a;\nendmodule\n")
    with pytest.raises(ToolError, match="WIDTHTRUNC"):
        lint(sources=[source], top="narrow", out=tmp_path)

"""The shell in other tools' eyes: Verilator's lint, and yosys' cost for two families."""

from pathlib import Path

import pytest

from gatewright.rtl.shell import StreamPort
from gatewright.sim import lint
from gatewright.synth.yosys import synthesize
from tests.sim.stubs import TOP, Stub


def write(stub: Stub, folder: Path) -> list[Path]:
    for name, text in stub.files().items():
        (folder / name).write_text(text)
    return [folder / name for name in sorted(stub.files())]


@pytest.mark.sim
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("latency", [1, 2, 30])
@pytest.mark.parametrize("beats", [(0, 0), (8, 8), (24, 40), (32, 0), (512, 1024)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 2, 13), (7, 16, 5, 62), (2, 9, 9, 8)])
def test_lint_has_no_warnings(
    signed: bool, latency: int, beats: tuple[int, int], shape: tuple[int, ...], tmp_path: Path
):
    source = StreamPort(elements=shape[0], width_bits=shape[1], signed=signed, beat_bits=beats[0])
    result = StreamPort(elements=shape[2], width_bits=shape[3], signed=signed, beat_bits=beats[1])
    lint(sources=write(Stub(source, result, latency), tmp_path), top=TOP, out=tmp_path / "lint")


@pytest.mark.synth
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "beat_bits", "sites", "ff"),
    [("xc7", 0, 32, 40), ("xc7", 32, 32, 530), ("ecp5", 0, 50, 50), ("ecp5", 32, 50, 540)],
)
def test_the_shell_is_small(family, beat_bits: int, sites: int, ff: int, tmp_path: Path):
    stub = Stub(
        StreamPort(elements=64, width_bits=8, signed=True, beat_bits=beat_bits),
        StreamPort(elements=1, width_bits=4, signed=False),
        8,
    )
    report = synthesize(
        sources=write(stub, tmp_path), top=TOP, family=family, out=tmp_path / "synth", keep=[f"{TOP}_core"]
    )
    whole, core = report.modules[TOP], report.modules[f"{TOP}_core"]
    cost = {kind: whole[kind] - core[kind] for kind in ("sites", "inv", "ff")}
    assert cost["sites"] <= sites, cost
    assert cost["ff"] <= ff, cost


@pytest.mark.synth
@pytest.mark.parametrize("family", ["ice40", "gatemate"])
def test_wide_results_wait_in_block_ram_where_there_is_no_lut_ram(family, tmp_path: Path):
    """320 bits for 16 vectors: 5,120 flip-flops, or two words in flip-flops and block RAM."""
    wide = StreamPort(elements=20, width_bits=16, signed=True)
    stub = Stub(StreamPort(elements=4, width_bits=8, signed=True), wide, 8, family=family)
    report = synthesize(
        sources=write(stub, tmp_path), top=TOP, family=family, out=tmp_path / "synth", keep=[f"{TOP}_core"]
    )
    whole, core = report.modules[TOP], report.modules[f"{TOP}_core"]
    assert whole["bram"] - core["bram"] >= 320 // 40 / 2
    assert whole["ff"] - core["ff"] < 2 * 321 + 60
    narrow = Stub(stub.source, StreamPort(elements=1, width_bits=4, signed=False), 8, family=family)
    assert "BLOCK" not in narrow.files()[f"{TOP}.v"]

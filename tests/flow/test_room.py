"""What is far too large for a part is refused at once, before anything is compiled; what may fit is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatewright.errors import BudgetError
from gatewright.flow import lowering, room
from gatewright.flow.build import build_program
from gatewright.flow.estimate import estimate_program
from gatewright.ir import Program, save_program
from gatewright.lower import compile as compiler
from gatewright.lower.estimate import estimate
from gatewright.lower.least import adders, layer_luts, least
from tests.lowering import lower_for
from tests.programs import codes, mlp

LARGE = mlp((200, 160, 10), seed=1, weight_bits=8, sparsity=0.0)


@pytest.fixture
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be compiled."""

    def never(*_: object) -> None:
        pytest.fail("the compiler was started")

    monkeypatch.setattr("gatewright.flow.estimate.lower", never)
    monkeypatch.setattr(compiler, "lower", never)


def _refused(program: Program, **hardware: object) -> str:
    config, part = lowering.given_hardware(Path("net.txt"), hardware)
    with pytest.raises(BudgetError) as refused:
        room.check_room(program, config, part)
    return str(refused.value)


def test_it_says_by_how_much_and_what_would_fit() -> None:
    text = _refused(LARGE, part="XC7A35T")
    weights = sum(int(np.count_nonzero(c.q)) for name, c in LARGE.constants.items() if name.endswith("weight"))
    floor = least(LARGE).lut
    assert f"'net' does not fit XC7A35T with logic of its own for each of its {weights:,} weights" in text
    assert f"at least {int(floor) // 1000 * 1000:,} LUT, and the part has 20,800, {floor / 20800:.1f} times" in text
    assert f'hardware.architecture = "folded" and hardware.reuse_factor of {-(-weights // 90):,} or more' in text


def test_it_names_a_larger_part_where_no_memory_holds_the_weights() -> None:
    text = _refused(LARGE, part="ICE40HX1K")
    assert "folded, its weights alone take 262 kbit, and the part holds about" in text
    assert "choose a larger hardware.part; the smallest part of the table with so many LUTs is " in text


@pytest.mark.usefixtures("_no_compiler")
def test_estimate_and_build_refuse_before_the_compiler_starts(tmp_path: Path) -> None:
    save_program(LARGE, tmp_path / "net.txt")
    with pytest.raises(BudgetError, match=r"'net' does not fit XC7A35T with logic of its own"):
        estimate_program(tmp_path / "net.txt", part="XC7A35T")
    with pytest.raises(BudgetError, match=r"'net' does not fit XC7A35T with logic of its own"):
        build_program(tmp_path / "net.txt", tmp_path / "out", hardware={"part": "XC7A35T"})


def test_what_shares_multipliers_or_may_fit_is_not_refused() -> None:
    for hardware in ({"part": "XCVU9P"}, {"part": "XC7A35T", "architecture": "folded", "reuse_factor": 64}):
        config, part = lowering.given_hardware(Path("net.txt"), hardware)
        room.check_room(LARGE, config, part)


@pytest.mark.parametrize(("bits", "sparsity"), [(2, 0.0), (6, 0.8), (8, 0.0)])
def test_it_is_less_than_what_is_compiled(bits: int, sparsity: float) -> None:
    program = mlp((16, 16), seed=2, weight_bits=bits, sparsity=sparsity, output="scores")
    compiled = estimate(lower_for(program, codes(program, 16), family="xc7", clock_mhz=200.0)).lut
    assert 0.0 <= least(program).lut < compiled


def test_columns_are_counted_once_and_small_ones_not_at_all() -> None:
    rng = np.random.default_rng(0)
    weight, widths = rng.integers(-127, 128, (30, 20)), np.full(30, 8)
    once = layer_luts(weight, widths)
    assert once > 0
    assert layer_luts(np.hstack([weight, -weight, weight]), widths) == once
    assert layer_luts(np.zeros_like(weight), widths) == 0.0
    assert layer_luts(weight[:3], widths[:3]) == 0.0  # tables of 24 bits


def test_adders_tell_what_they_must() -> None:
    count = adders(1e6, 100, 10)
    nodes = np.log2(101 + count)
    assert count * (2 * nodes - np.log2(count + 1) + 8) + 10 * (nodes + 8) == pytest.approx(1e6)
    assert adders(10.0, 100, 10) == 0.0

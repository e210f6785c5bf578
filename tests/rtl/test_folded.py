"""Folded designs, simulated cycle by cycle with stalls on both streams, against the interpreter."""

import dataclasses

import numpy as np
import pytest

from gatewright.errors import MismatchError
from gatewright.ir import Program, print_program
from gatewright.lower.dataflow import Dataflow
from gatewright.lower.folded.unit import Folded
from gatewright.rtl.dataflow import compile_dataflow
from gatewright.rtl.manifest import stream_ports, write_core, write_design
from gatewright.rtl.netlist import Design, Rom
from gatewright.sim import lint, require_match, simulate_compiled
from tests.lowering import lower_for
from tests.programs import codes, mlp
from tests.rtl.batch import simulate_batch
from tests.rtl.test_hardware import drawn

pytestmark = pytest.mark.sim


def folded(program: Program, reuse, **options) -> Dataflow:
    found = lower_for(program, codes(program, 50), family="xc7", clock_mhz=200, reuse=reuse, **options)
    assert any(isinstance(unit, Folded) for unit in found.units)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("family", "clock_mhz", "stream_bits"), [("xc7", 120.0, 0), ("ecp5", 60.0, 1024)])
def test_random_programs_equal_the_interpreter(tmp_path, family: str, clock_mhz: float, stream_bits: int):
    """25 programs, each with a factor of its own, in one simulation: every output and layer's element, in its cycle."""
    batch = drawn(25)
    rng = np.random.default_rng(7)
    reuse = []
    for program in batch:
        most = max((c.q.size for name, c in program.constants.items() if name.endswith("weight")), default=1)
        reuse.append(int(rng.integers(1, most, endpoint=True)))
    report = simulate_batch(
        batch,
        out=tmp_path,
        family=family,
        clock_mhz=clock_mhz,
        vectors=200,
        reuse=reuse,
        stream_bits=stream_bits,
    )
    if report.first_mismatch and report.first_mismatch.layer.startswith("p"):
        number = int(report.first_mismatch.layer[1:].split(".")[0])
        pytest.fail(f"reuse {reuse[number]}\n{print_program(batch[number])}{report!r}")
    require_match(report)
    assert report.initiation_interval > 1
    assert report.probes_compared > 25 * 200


def test_layers_of_both_kinds_in_one_design(tmp_path):
    """A folded layer between unrolled ones, block RAM, two beats in: interval, latency and every value as claimed."""
    program = mlp((8, 20, 6, 3), seed=2, output="scores")
    lowered = folded(program, (1, 120, 1), multiplier="dsp")
    manifest = write_design(lowered, program_hash="0" * 64, stream_bits=32, folder=tmp_path)
    assert manifest.claims.initiation_interval == manifest.stream_interval == lowered.initiation_interval > 50
    x = codes(program, 300)
    report = simulate_compiled(program, manifest, x, folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim")
    require_match(report)
    assert {w.layer for w in manifest.watch} == {"fc1", "fc2", "out"}
    assert report.wrong_probes == 0 < report.probes_compared


@pytest.mark.parametrize(("sparsity", "reuse", "multiplier"), [(0.0, 576, "dsp"), (0.7, 170, "lut")])
def test_a_register_behind_weights_in_block_ram_costs_a_cycle(tmp_path, sparsity: float, reuse, multiplier):
    """Inputs that rotate, and inputs by multiplexers: every value in the cycle it is claimed."""
    program = mlp((24, 24, 6), seed=3, sparsity=sparsity, output="scores")
    slow = lower_for(program, codes(program, 50), family="xc7", clock_mhz=80, reuse=(reuse, 1), multiplier=multiplier)
    fast = folded(program, (reuse, 1), multiplier=multiplier)
    (before, *_), (unit, *_) = ([u for u in made.units if isinstance(u, Folded)] for made in (slow, fast))
    assert unit.plan.gather == (sparsity > 0)
    assert (before.rom_register, unit.rom_register) == (False, True)
    assert unit.timing.latency_cycles - unit.tree_cycles == before.timing.latency_cycles - before.tree_cycles + 1
    assert unit.period_ns("xc7") < before.period_ns("xc7")
    manifest = write_design(fast, program_hash="0" * 64, stream_bits=0, folder=tmp_path)
    report = simulate_compiled(
        program, manifest, codes(program, 200), folder=tmp_path, stall_fraction=0.3, seed=1, out=tmp_path / "sim",
    )  # fmt: skip
    require_match(report)
    assert report.latency_cycles == manifest.claims.latency_cycles
    assert report.wrong_probes == 0 < report.probes_compared
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")


def flipped(design: Design, rng: np.random.Generator) -> tuple[Design, str]:
    """Return the design with one bit of one ROM word changed, and where."""
    places = [
        (m, i)
        for m, module in enumerate(design.modules)
        for i, item in enumerate(module.items)
        if isinstance(item, Rom) and item.target.name == "word"
    ]
    m, i = places[int(rng.integers(len(places)))]
    module = design.modules[m]
    rom = module.items[i]
    assert isinstance(rom, Rom)
    word, bit = int(rng.integers(len(rom.words))), int(rng.integers(rom.target.width))
    words = [value ^ ((k == word) << bit) for k, value in enumerate(rom.words)]
    items = (*module.items[:i], dataclasses.replace(rom, words=tuple(words)), *module.items[i + 1 :])
    modules = (*design.modules[:m], dataclasses.replace(module, items=items), *design.modules[m + 1 :])
    return dataclasses.replace(design, modules=modules), f"{module.name}, word {word}, bit {bit}"


@pytest.mark.slow
def test_one_wrong_rom_bit_is_caught(tmp_path):
    program = mlp((8, 6, 4), seed=2, sparsity=0.0, output="scores")
    lowered = folded(program, 8)
    design = compile_dataflow(lowered, program_hash="0" * 64)
    x = codes(program, 400)
    rng = np.random.default_rng(3)
    for number in range(3):
        broken, where = flipped(design, rng)
        folder = tmp_path / str(number)
        manifest = write_core(broken, *stream_ports(lowered, 0), program_hash="0" * 64, folder=folder)
        report = simulate_compiled(program, manifest, x, folder=folder, stall_fraction=0.3, seed=1, out=folder / "sim")
        layer = where.split(",")[0].removeprefix("net_")
        with pytest.raises(MismatchError, match=rf"layer '{layer}', element \d+"):
            require_match(report)


@pytest.mark.parametrize(("reuse", "sparsity"), [(3, 0.0), (6, 0.6), ((1, 4), 0.5), ((35, 1), 0.0)])
def test_lint_is_clean(tmp_path, reuse, sparsity: float):
    program = mlp((9, 7, 5), seed=4, sparsity=sparsity)
    manifest = write_design(folded(program, reuse), program_hash="0" * 64, stream_bits=16, folder=tmp_path)
    lint(sources=manifest.sources(tmp_path), top=manifest.top, out=tmp_path / "lint")

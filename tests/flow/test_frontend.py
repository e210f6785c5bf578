"""Records and a saved network through the flow with a unit in front: data, Verilog, the whole simulated, the report."""

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gatewright.config import load_config
from gatewright.errors import ConfigError, DataError, FormatError, GatewrightError
from gatewright.flow.frontend import simulate_whole
from gatewright.flow.instrument import read_stored
from gatewright.flow.run import run
from gatewright.graph import save_graph
from gatewright.ir import load_program
from gatewright.report.built import in_front
from gatewright.report.hardware import frontend_facts
from tests.graphs import chain, dense

MODEL = ["model.file=m.npz", "model.quantize=exact", "simulation.vectors=24", "simulation.stall_fraction=0.4"]


@pytest.fixture(scope="module")
def pulses(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example's configuration in a folder of its own, with 300 of its records and a given network."""
    tmp_path = tmp_path_factory.mktemp("trigger")
    text = (root / "examples" / "trigger" / "pulses.py").read_text()
    assert text.count("RECORDS, SAMPLES, STEP_NS, PER_SAMPLE = 12_000,") == 1
    (tmp_path / "pulses.py").write_text(text.replace("12_000", "300", 1))
    shutil.copy(root / "examples" / "trigger" / "trigger.toml", tmp_path)
    runpy.run_path(str(tmp_path / "pulses.py"))
    weight = (np.sign(np.arange(48) - 12.5) * (np.arange(48) % 6 == 0))[:, None] * [0.25, -0.25]
    save_graph(chain((48,), dense("fc", weight, np.array([0.5, -0.5]))), tmp_path / "m.npz")
    return tmp_path / "trigger.toml"


@pytest.mark.sim
@pytest.mark.icarus
@pytest.mark.slow
def test_from_records_to_results_behind_the_trigger(pulses, tmp_path):
    out = tmp_path / "run"
    config = load_config(pulses, [*MODEL, "hardware.architecture=auto", "hardware.board=", "hardware.part=XC7A35T"])
    done = run(config, out, until="rtl")
    assert done.ran == ("data", "model", "student", "program", "rtl")
    simulate_whole(
        config, out / "data", out / "rtl", load_program(out / "program" / "program.txt"), out / "sim/frontend"
    )
    seen = in_front(out)["frontend"]
    assert (seen["mismatches"], seen["waited"], seen["samples"], seen["windows"]) == (0, 0, 24 * 160, 24)
    assert seen["results"] > 60
    assert dict(frontend_facts(seen))["Samples"].startswith(
        "none waits; 0 cycles of waiting at one a cycle, ring of 256"
    )
    bench = ["iverilog", "-g2005", "-o", "tb", "-f", "files.f", "trigger_frontend_tb.v"]
    subprocess.run(bench, cwd=out / "rtl" / "handover", check=True, timeout=60)
    said = subprocess.run(
        ["vvp", "-n", "tb"], cwd=out / "rtl" / "handover", check=True, capture_output=True, timeout=60
    )
    assert said.stdout.startswith(b"PASS: 24 beats")
    with pytest.raises(GatewrightError, match=r"endless stream of samples, .* run it without \[frontend\] for that"):
        read_stored(out)
    assert in_front(tmp_path) == {}
    assert frontend_facts(None) == []
    meta = json.loads((out / "data" / "dataset.json").read_text())["contract"]
    assert meta["trigger"]["threshold"] == 460
    assert meta["untriggered"] < 30


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        (["frontend.adc_format=ufixed<12,10>"], FormatError, "adc_format must be whole numbers of at most 24 bits"),
        (["data.subsample.factor=3"], FormatError, "a power of two to average on the chip, not 3"),
        (["frontend.buffer=64"], FormatError, "buffer must be a power of two from 128 on for windows of 96 samples"),
        (
            ["frontend.adc_format=ufixed<9,9>"],
            DataError,
            "pulses.npz: samples of an ADC of ufixed<9,9> must lie in 0 .. ",
        ),
        (["frontend.adc_format=", "data.input_format=auto"], ConfigError, '"auto" does not say what an ADC gives; set'),
    ],
)
def test_what_cannot_be_built_is_refused_early(pulses, tmp_path, settings, error, text):
    with pytest.raises(error, match=text):
        run(load_config(pulses, [*MODEL, *settings]), tmp_path / "run", until="data")


def test_records_of_several_channels_and_of_real_numbers_have_no_unit_in_front(tmp_path):
    random = np.random.default_rng(1)
    for shape, kind, text in (
        ((40, 2, 16), np.int64, r"a stream of single samples, and the data's have the shape \(2, 16\); leave it out"),
        ((40, 16), np.float64, "takes an ADC's whole numbers, and the samples of .* are float64; give raw codes"),
    ):
        x = random.integers(0, 200, shape) + (0.25 if kind is np.float64 else 0)
        np.savez(tmp_path / "x.npz", x=x.astype(kind), y=np.arange(40) % 2)
        tables = {"data": {"source": str(tmp_path / "x.npz"), "input_format": "ufixed<8,8>"}, "frontend": {}}
        with pytest.raises(DataError, match=text):
            run({"name": "a", **tables}, tmp_path / "run", until="data")

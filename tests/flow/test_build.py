"""A saved program to simulated and counted hardware through the command line; what cannot be built says so."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.config import parse_config
from gatewright.flow.build import _identifier
from gatewright.graph import save_graph
from gatewright.graph.nodes import Activation
from gatewright.ir import load_program, save_program
from tests.graphs import chain, dense
from tests.programs import codes, mlp


def call(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_float_model_to_hardware(tmp_path):
    rng = np.random.default_rng(4)
    layers = (
        dense("fc1", rng.normal(size=(6, 5)), rng.normal(size=5)),
        Activation(name="act", kind="relu"),
        dense("fc2", rng.normal(size=(5, 3)), rng.normal(size=3)),
    )
    save_graph(chain((6,), *layers, name="net"), tmp_path / "m.npz")
    np.save(tmp_path / "x.npy", rng.normal(size=(300, 6)))
    words = ("--weight-bits", 5, "--activation-bits", 5, "--program", tmp_path / "p.txt", "--output", "argmax")
    done = call("quantize", tmp_path / "m.npz", "--data", tmp_path / "x.npy", "--out", tmp_path / "q.npz", *words)
    assert done.exit_code == 0, done.output
    program = load_program(tmp_path / "p.txt")
    np.save(tmp_path / "codes.npy", codes(program, 200))
    out = tmp_path / "hw"
    settings = ("--set", "hardware.part=LFE5U-25F", "--set", "synthesis.families=[]", "--set", "synthesis.place=false")
    built = call("build", tmp_path / "p.txt", "--codes", tmp_path / "codes.npy", "--out", out, *settings)
    assert built.exit_code == 0, built.output
    results = json.loads((out / "build.json").read_text())
    assert (results["hardware"]["vectors"], results["hardware"]["mismatches"]) == (200, 0)
    assert results["synthesis"]["ecp5"]["lut"] > 0
    again = call("build", tmp_path / "p.txt", "--codes", tmp_path / "codes.npy", "--out", out, *settings)
    assert again.output.count("unchanged") == 4


@pytest.mark.sim
@pytest.mark.synth
@pytest.mark.slow
def test_elastic_boundaries_to_hardware(tmp_path):
    program = mlp((6, 5, 3), seed=3)
    save_program(program, tmp_path / "p.txt")
    settings = (
        "hardware.boundaries=elastic",
        "hardware.clock_mhz=150",
        "hardware.part=LFE5U-25F",
        "synthesis.families=[]",
        "synthesis.place=false",
        "simulation.vectors=60",
    )
    done = call("build", tmp_path / "p.txt", "--out", tmp_path / "hw", *(w for s in settings for w in ("--set", s)))
    assert done.exit_code == 0, done.output
    hardware = json.loads((tmp_path / "hw" / "build.json").read_text())["hardware"]
    assert (hardware["mismatches"], hardware["boundaries"], hardware["initiation_interval"]) == (0, "elastic", 1)
    assert hardware["greatest_latency_cycles"] == hardware["latency_cycles"] == hardware["stages"]
    assert [c["name"].split(" -> ")[0] for c in hardware["channels"]] == ["x", "fc1.act", "out", "class"]
    assert all(c["greatest_fill"] <= c["depth"] for c in hardware["channels"])


def test_a_program_of_any_name_is_a_configuration():
    names = ("слой", "a слой", "", " ", "9", "_x", "-", "層" * 60, "n" * 300, "\u0663a", "a\nb")
    for word in map(_identifier, names):
        parse_config({"name": word, "data": {"source": "p.txt"}})


def test_estimates_of_elastic_boundaries(tmp_path):
    save_program(mlp((6, 5, 3), seed=3), tmp_path / "p.txt")
    rigid, elastic = (
        dict(
            line.split(maxsplit=1)
            for line in call("estimate", tmp_path / "p.txt", "--boundaries", kind).output.splitlines()
        )
        for kind in ("rigid", "elastic")
    )
    assert elastic["initiation_interval"] == rigid["initiation_interval"] == "1"
    assert int(elastic["latency_cycles"]) > int(rigid["latency_cycles"])
    assert int(elastic["ff"]) > int(rigid["ff"])


def test_elastic_boundaries_need_a_clock(tmp_path):
    save_program(mlp((6, 5, 3), seed=3), tmp_path / "p.txt")
    settings = ("hardware.boundaries=elastic", "hardware.clock_mhz=0", "hardware.max_latency_cycles=9")
    done = call("build", tmp_path / "p.txt", "--out", tmp_path / "hw", *(w for s in settings for w in ("--set", s)))
    assert done.exit_code != 0
    assert 'clock_mhz must be above 0 with boundaries "elastic"' in done.output


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros((3, 2), dtype=np.int64), "must be integers of shape (n, 4), not int64 (3, 2)"),
        (np.zeros((3, 4)), "not float64 (3, 4)"),
        (np.full((3, 4), 10**6), "input codes must lie in"),
    ],
)
def test_codes_that_do_not_fit(values, text, tmp_path):
    save_program(mlp((4, 3), seed=1), tmp_path / "p.txt")
    np.save(tmp_path / "x.npy", values)
    done = call("build", tmp_path / "p.txt", "--codes", tmp_path / "x.npy", "--out", tmp_path / "hw")
    assert done.exit_code == 2
    assert text in done.output
    assert not (tmp_path / "hw").exists()


def test_settings_of_training_are_refused(tmp_path):
    save_program(mlp((4, 3), seed=1), tmp_path / "p.txt")
    done = call("build", tmp_path / "p.txt", "--set", "student.sparsity=0.5")
    assert done.exit_code == 2
    assert "a setting of hardware, synthesis, simulation" in done.output

"""The exporter of networks and that of graphs give equal programs, for every kind of student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch: pip install gatewright[fit]")

from gatewright.data import Dataset
from gatewright.fit import export_program
from gatewright.graph.store import checksum, load_graph, save_graph
from gatewright.ir import OutputStage

from .side_by_side import assert_same_program, graph_of
from .test_exact import KINDS, _student
from .test_export import dataset_for, random_network

STAGES = [OutputStage(kind="scores"), OutputStage(kind="argmax"), OutputStage(kind="topk")]


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_student_has_the_same_program(kind: str, data: Dataset, tmp_path: Path) -> None:
    network = _student(KINDS[kind], data, tmp_path)
    for stage in STAGES:
        program = export_program(network, name="p", data=data, output=stage)
        assert_same_program(network, program, stage, data.x)
    save_graph(graph_of(network), tmp_path / "g.npz")
    assert checksum(load_graph(tmp_path / "g.npz")) == checksum(graph_of(network))


@pytest.mark.torch
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    per=st.sampled_from(["tensor", "channel", "weight"]),
    frac=st.integers(-3, 5),
    signed=st.booleans(),
    cut=st.booleans(),
    stage=st.sampled_from([*STAGES, OutputStage(kind="softmax"), OutputStage(kind="threshold", threshold=0.3)]),
)
def test_random_networks_have_the_same_program(seed, hidden, per, frac, signed, cut, stage):
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    network = random_network(rng, [4, *hidden, 3], per=per, frac=frac, signed=signed)
    if cut:
        network = replace(network, input_bits=(int(rng.integers(1, 7)), *(int(v) for v in rng.integers(0, 7, 3))))
    data = dataset_for(network)
    assert_same_program(network, export_program(network, name="p", data=data, output=stage), stage, data.x)

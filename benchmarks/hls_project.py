"""Table `hls_project`: stock hls4ml configurations that break, as predicted by `hls-check` and as compiled by g++.

Of each configuration: the first layer that breaks and what it loses, before anything is compiled; then hls4ml's C++,
compiled, every value of every layer beside the predicted one by ==; then the same with the suggested types. Needs
GATEWRIGHT_REFERENCE_PYTHON to name a Python with hls4ml and QKeras (docs/hls.md), g++, and ../shared/data/models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.imports_keras import MODELS
from benchmarks.tables import publish
from gatewright.flow.hls_check import HlsChecked, check_hls_project
from gatewright.graph import evaluate
from gatewright.graph.nodes import Floats
from gatewright.hls.project import Judged, Verdict
from gatewright.importers import load_model
from gatewright.importers.samples import random_samples

SAMPLES = 1000
TUTORIAL = MODELS / "hls4ml_tutorial"
EXAMPLES = MODELS / "example_models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A configuration as its users have it: a granularity of config_from_keras_model, or a file. balanced: as many
    samples of each class of the framework's."""

    name: str
    source: str | Path
    model: Path | None = None
    balanced: bool = False
    samples: int = SAMPLES
    io_type: str | None = None


CASES = (
    Case(
        name="jet MLP, auto by name",
        source="name",
        model=TUTORIAL / "model_1__KERAS_check_best_model.h5",
        balanced=True,
    ),
    Case(name="QKeras jet MLP, by model", source="model", model=TUTORIAL / "model_3__KERAS_check_best_model.h5"),
    Case(name="QKeras jet MLP, auto by name", source="name", model=TUTORIAL / "model_3__KERAS_check_best_model.h5"),
    Case(name="keras-config.yml", source=EXAMPLES / "keras-config.yml"),
    Case(name="muon MLP, by model", source="model", model=MODELS / "muon_nn" / "train__MuonNNTest__model.12.h5"),
    Case(
        name="QKeras MNIST CNN, io_stream",
        source="name",
        model=EXAMPLES / "keras" / "qkeras_mnist_cnn.json",
        samples=20,
        io_type="io_stream",
    ),
)


def run(cases: Sequence[Case] = CASES) -> None:
    """Check every configuration and compile it twice."""
    rows = []
    for case in cases:
        x = _balanced(case) if case.balanced else None
        done = check_hls_project(
            case.source,
            model=case.model,
            x=x,
            samples=case.samples,
            backend="vitis",
            io_type=case.io_type,
            compiled=True,
        )
        rows.append(_row(case, done))
    notes = [
        "error: of the output, against the framework, of the greatest value there; all values: of every layer, both",
        "as configured and as suggested, by == with what was predicted before",
    ]
    publish("hls_project", "hls4ml configurations, as they are and as suggested, predicted and compiled", rows, notes)


def _row(case: Case, done: HlsChecked) -> dict[str, object]:
    assert done.confirmed is not None
    broken = done.judged.broken
    equal = [layer.verdict for layer in done.after.layers].count(Verdict.EQUAL)
    return {
        "configuration": case.name,
        "samples": done.judged.samples,
        "breaks first": broken.name if broken else "none",
        "layers that break": sum(layer.verdict is Verdict.BREAKS for layer in done.judged.layers),
        "error": _error(done.judged),
        "same class": _share(done.judged),
        "suggested: breaks": done.after.broken.name if done.after.broken else "none",
        "layers equal": f"{equal} of {len(done.after.layers)}",
        "error then": _error(done.after),
        "same class then": _share(done.after),
        "compiled values == predicted": sum(done.confirmed),
    }


def _error(judged: Judged) -> str:
    layer = judged.layer(judged.output)
    return f"{layer.error / layer.peak:.2g}"


def _share(judged: Judged) -> str:
    return "" if judged.same_class is None else f"{judged.same_class:.1%}"


def _balanced(case: Case) -> Floats:
    """Return samples of which the framework puts as many in each class."""
    assert case.model is not None
    network = load_model(case.model)
    x, _ = random_samples(network, 40 * case.samples)
    classes = evaluate(network, x).argmax(axis=1)
    count = int(classes.max()) + 1
    kept = [np.flatnonzero(classes == each)[: case.samples // count] for each in range(count)]
    return x[np.concatenate(kept)]

"""A run with an imported model in, what its report says of that model out: where it is from, its layers, its ranges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatewright.report.numbers import count

Results = Mapping[str, Any]
ROADS = {
    "exact": "the model's own quantizers, kept exactly",
    "post-training": "quantized after training, formats calibrated on the training split",
    "qat": "the model taught a quantized student",
}
NAMES = {
    "exact": {"teacher": "model", "student": "quantized model"},
    "post-training": {"teacher": "model", "student": "quantized model"},
    "qat": {"teacher": "model", "student": "student"},
}


def model_part(run: Path) -> dict[str, Any]:
    """Return {"model": ...} of results.json for a run with an imported model, else nothing."""
    path = run / "model" / "model.json"
    return {"model": json.loads(path.read_text())} if path.is_file() else {}


def ranges_of(run: Path) -> list[dict[str, Any]]:
    """Return the profile of a model's layers, which the stage student or model wrote; empty for other runs."""
    for stage in ("student", "model"):
        path = run / stage / "profile.json"
        if path.is_file() and (run / "model" / "model.json").is_file():
            return json.loads(path.read_text())
    return []


def names(results: Results) -> dict[str, str]:
    """Return what the page calls the results' teacher and student."""
    model, grown = results.get("model"), results.get("trees", {})
    named = {"teacher": "teacher", "student": "student"} if model is None else NAMES[model["quantize"]]
    if "kind" not in grown:
        return named
    return {"teacher": named["teacher"] if grown["teacher_weight"] else "trees before rounding", "student": "trees"}


def facts(results: Results) -> list[tuple[str, str]]:
    """Return (term, value) of where the model came from and which road it took."""
    model = results["model"]
    start = {"model": ", whose training began with the model's weights", "random": ", trained from random weights"}
    rows = [
        ("File", model["file"]),
        ("SHA-256", model["sha256"]),
        *([("SHA-256 of its weights", model["weights_sha256"])] if "weights_sha256" in model else []),
        ("Format", model["format"]),
        ("Made by", model["framework"] or "not said in the file"),
        ("Road to hardware", ROADS[model["quantize"]] + start.get(model["start"], "")),
    ]
    return rows + [("Note", note) for note in model["notes"]]


def layer_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of the model's layers as they were read."""
    rows = [
        [
            layer["name"],
            layer["op"],
            " × ".join(map(count, layer["shape"])),
            count(layer["parameters"]),
            layer["weight_format"],
            layer["result_format"],
        ]
        for layer in results["model"]["layers"]
    ]
    return ["layer", "op", "result", "parameters", "weights", "results"], rows


def chain_table(results: Results, scores: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of the verification chain; scores: of teacher, student and hardware, as text."""
    called, h = names(results), results["hardware"]
    samples, vectors = count(results["export"]["samples_compared"]), count(h["vectors"])
    road = {
        "exact": "the same numbers: nothing was changed",
        "post-training": "other numbers: compare the scores",
        "qat": "other numbers: compare the scores",
    }[results["model"]["quantize"]]
    rows = [
        [
            f"{called['teacher']} (as imported)",
            f"with its own framework on request: gatewright verify {results['model']['file']}",
            scores["teacher"],
        ],
        [called["student"], road, scores["student"]],
        ["integer program", f"== on {samples} samples, every layer: 0 differ", scores["hardware"]],
        [
            "Verilog, simulated",
            f"== on {vectors} vectors, outputs and watched layers: {count(h['mismatches'])} differ",
            scores["hardware"],
        ],
    ]
    return ["stands for the network", "compared with the one before", "test score"], rows

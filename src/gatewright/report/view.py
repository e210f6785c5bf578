"""Results in, the page's networks half out: headline, data, confusion matrices, compression, layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatewright.intervals import wilson
from gatewright.report import hardware
from gatewright.report.clocks import mhz_text, ns_text, usable_mhz
from gatewright.report.model import names
from gatewright.report.numbers import (
    DASH,
    THIN,
    count,
    fixed,
    interval,
    percent,
    ratio,
    significant,
)

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One headline figure. tone: "good", "bad" or ""."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a confusion matrix. strength: share of its row, in per cent."""

    text: str
    strength: int
    diagonal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """One confusion matrix; rows: (class, cells)."""

    title: str
    classes: list[str]
    rows: list[tuple[str, list[Cell]]]
    accuracy: str


def is_regression(results: Results) -> bool:
    """Return whether scores are errors instead of accuracies."""
    return "test_rmse" in results["student"]


def digits(results: Results) -> int:
    """Return the decimals that a percentage of the test split deserves."""
    return 2 if results["data"]["samples"]["test"] >= 1000 else 1


def score(results: Results, who: str) -> tuple[str, str]:
    """Return (value, note) of a network's test score: accuracy and interval, or RMSE and R²."""
    part = results[who]
    if is_regression(results):
        return significant(part.get("test_rmse")), f"R² {significant(part.get('test_r2'))}"
    n = digits(results)
    ends = interval(part.get("test_accuracy_low"), part.get("test_accuracy_high"), n)
    return percent(part.get("test_accuracy"), n), f"95{THIN}%: {ends}" if ends else ""


def headline_cards(results: Results) -> list[Card]:
    """Return the figures at the top of the page."""
    h = results["hardware"]
    measure = "RMSE" if is_regression(results) else "Test accuracy"
    called = names(results)
    teacher, student = score(results, "teacher"), score(results, "student")
    on_chip = score(results, "hardware")
    return [
        Card(label=f"{measure}, {called['teacher']}", value=teacher[0], note=teacher[1]),
        Card(label=f"{measure}, {called['student']}", value=student[0], note=student[1]),
        Card(
            label=f"{measure}, hardware",
            value=on_chip[0] if on_chip[0] != DASH else student[0],
            note=f"same as the {called['student']}, bit for bit"
            if h["mismatches"] == 0
            else f"differs from the {called['student']}",
        ),
        mismatch_card(results),
        Card(
            label="Parameters",
            value=count(results["student"]["parameters"]),
            note=f"{_kind(results)}; {called['teacher']} {count(results['teacher']['parameters'])}",
        ),
        *cost_cards(results),
    ]


def weightless(results: Results) -> bool:
    """Whether the student is truth tables, or decision trees, and nothing else."""
    return not any(layer.get("weights", 1) for layer in results["student"]["layers"])


def _kind(results: Results) -> str:
    """Return what the student's parameters are."""
    if weightless(results):
        return "thresholds, and entries of tables or leaves"
    return f"{percent(results['student']['sparsity'])} zero"


def mismatch_card(results: Results) -> Card:
    """Return the figure of the simulation."""
    h = results["hardware"]
    return Card(
        label="Mismatches in simulation",
        value=count(h["mismatches"]),
        note=f"of {count(h['vectors'])} vectors, exact comparison",
        tone="bad" if h["mismatches"] else "good",
    )


def cost_cards(results: Results) -> list[Card]:
    """Return LUTs, latency and clock."""
    h, target = results["hardware"], hardware.target(results)
    usable, asked = usable_mhz(results, results["synthesis"].get(hardware.family(results))), h["clock_mhz"]
    below = "target" if usable == (asked, asked) else f"of {significant(asked)}{THIN}MHz asked for"
    return [
        Card(label=f"{target.lut_name}, {target.part}", value=count(target.lut), note=target.lut_note),
        Card(
            label="Latency, core",
            value=ns_text(h["latency_cycles"], usable),
            note=f"{count(h['latency_cycles'])} cycles at {mhz_text(usable)} {below}",
        ),
        Card(label="Highest clock", value=target.fmax, note=target.fmax_note, tone=target.fmax_tone),
    ]


def data_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of samples per split and class; no header where the counts per class are unknown."""
    data = results["data"]
    splits = [name for name in ("train", "validation", "test") if name in data["samples"]]
    per_class: Mapping[str, list[int]] = data.get("class_counts", {})
    rows = [
        [name, *(count(per_class[split][index]) for split in splits)]
        for index, name in enumerate(data["classes"])
        if all(split in per_class for split in splits)
    ]
    rows.append(["all", *(count(data["samples"][split]) for split in splits)])
    if "groups" in data:
        rows.append(["groups, each in one split", *(count(data["groups"].get(split)) for split in splits)])
    return ["class", *splits], rows


def confusions(results: Results) -> list[Confusion]:
    """Return the confusion matrices of teacher, student and hardware, where they are known."""
    found = ((who, results[who].get("confusion")) for who in ("teacher", "student", "hardware"))
    classes: list[str] = list(results["data"]["classes"])
    called = {**names(results), "hardware": "hardware"}
    return [_confusion(called[who], matrix, classes, score(results, who)[0]) for who, matrix in found if matrix]


def _confusion(who: str, matrix: list[list[int]], classes: list[str], accuracy: str) -> Confusion:
    rows: list[tuple[str, list[Cell]]] = []
    for index, (name, counts) in enumerate(zip(classes, matrix, strict=True)):
        total = max(1, sum(counts))
        cells = [
            Cell(
                text=count(value) if value else "·",
                strength=round(100 * value / total),
                diagonal=column == index,
            )
            for column, value in enumerate(counts)
        ]
        rows.append((name, cells))
    return Confusion(title=who.capitalize(), classes=classes, rows=rows, accuracy=accuracy)


def recall_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows): test samples and recall with its 95 % interval, per class and network."""
    known = [who for who in ("teacher", "student", "hardware") if results[who].get("confusion")]
    called = {**names(results), "hardware": "hardware"}
    rows: list[list[str]] = []
    for index, name in enumerate(results["data"]["classes"]):
        matrices = [results[who]["confusion"][index] for who in known]
        if matrices:
            rows.append([name, count(sum(matrices[0])), *(_recall(counts, index) for counts in matrices)])
    return ["class", "test samples", *(f"recall, {called[who]}" for who in known)], rows


def balanced_rows(results: Results) -> list[list[str]]:
    """Return rows of (network, accuracy, balanced accuracy, area under the ROC curve), where they are known."""
    called = {**names(results), "hardware": "hardware"}
    return [
        [
            called[who],
            *(percent(results[who].get(key), digits(results)) for key in ("test_accuracy", "test_balanced_accuracy")),
            DASH if results[who].get("test_auc") is None else fixed(results[who]["test_auc"], 4),
        ]
        for who in ("teacher", "student", "hardware")
        if "test_balanced_accuracy" in results[who]
    ]


def target_rows(results: Results) -> list[list[str]]:
    """Return rows of (target, network, RMSE, MAE, R², bias) of a regression, where they are known."""
    called = {**names(results), "hardware": "hardware"}
    known = [who for who in ("teacher", "student", "hardware") if results[who].get("targets")]
    count_ = len(results[known[0]]["targets"]) if known else 0
    targets = results["data"].get("targets") or [f"target {number}" for number in range(1, count_ + 1)]
    return [
        [target, called[who], *(significant(results[who]["targets"][k][key]) for key in ("rmse", "mae", "r2", "bias"))]
        for k, target in enumerate(targets)
        for who in known
    ]


def _recall(counts: list[int], index: int) -> str:
    total = sum(counts)
    if not total:
        return DASH
    return f"{percent(counts[index] / total)} ({interval(*wilson(counts[index], total))})"


def compression_rows(results: Results) -> list[list[str]]:
    """Return rows of (quantity, teacher, student, ratio)."""
    teacher, student, compression = results["teacher"], results["student"], results["compression"]
    teacher_bits = teacher.get("bits", 32 * teacher["parameters"])
    nonzero = compression.get("nonzero_ratio", teacher["parameters"] / max(1, student["nonzero"]))
    parameters = [count(part["parameters"]) for part in (teacher, student)]
    pruned = [
        ["non-zero weights", DASH, count(student["nonzero"]), ratio(nonzero)],
        ["weights at exactly zero", DASH, percent(student["sparsity"]), ""],
    ]
    rows = [
        ["parameters", *parameters, ratio(compression["parameter_ratio"])],
        ["bits of all parameters", count(teacher_bits), count(student["bits"]), ratio(compression["bit_ratio"])],
        *([] if weightless(results) else pruned),
        [
            "bits per parameter",
            fixed(teacher_bits / teacher["parameters"]),
            fixed(student["bits"] / max(1, student["parameters"])),
            "",
        ],
    ]
    shapes = [DASH if not part.get("shape") else "–".join(map(str, part["shape"])) for part in (teacher, student)]
    name = "RMSE on the test split" if is_regression(results) else "accuracy on the test split"
    scores = [score(results, who)[0] for who in ("teacher", "student")]
    return [["layers", *shapes, ""], *rows, [name, *scores, ""]]


def layer_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of the widths per layer."""
    layers = results["student"]["layers"]
    with_adders = any("adders" in layer for layer in layers)
    header = ["layer", "shape", "parameters", "non-zero weights", "weights", "biases", "outputs", "bits"]
    rows = [
        [
            layer["name"],
            " × ".join(map(count, layer["shape"])),
            count(layer["parameters"]),
            count(layer["nonzero"]),
            layer["weight_format"],
            layer["bias_format"],
            layer["activation_format"],
            count(layer["bits"]),
            *([count(layer.get("adders"))] if with_adders else []),
        ]
        for layer in layers
    ]
    return [*header, *(["adders"] if with_adders else [])], rows

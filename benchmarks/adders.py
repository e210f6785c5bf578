"""Table `adders`: adders, depth and CPU seconds of our adder graphs beside da4ml's on the same random matrices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.tables import BUILD, publish
from gatewright.fixedpoint import Ints
from gatewright.lower.build.adders import adder_graph
from gatewright.lower.build.graph import AdderGraph

# label, size, bits, share of zeros, matrices
CASES = (
    ("16x16 8-bit", 16, 8, 0.0, 8),
    ("32x32 6-bit half sparse", 32, 6, 0.5, 4),
    ("64x64 6-bit half sparse", 64, 6, 0.5, 2),
)
# adder levels allowed beyond the least possible depth: none, da4ml's command line default, any (da4ml: -1)
DEPTHS: tuple[tuple[str, int, int], ...] = (("least", 0, 0), ("least + 2", 2, 2), ("any", 16, -1))


def matrices() -> dict[str, Ints]:
    """Return the random matrices by case and seed."""
    made: dict[str, Ints] = {}
    for label, size, bits, zeros, number in CASES:
        for seed in range(number):
            rng = np.random.default_rng(seed)
            matrix = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (size, size))
            matrix[rng.random(matrix.shape) < zeros] = 0
            made[f"{label}/{seed}"] = matrix
    return made


def run() -> None:
    """Solve every matrix with both, print means and ratios."""
    cases = matrices()
    (BUILD / "adders").mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = dict(cases)
    np.savez(BUILD / "adders" / "matrices.npz", **arrays)
    rows: list[dict[str, Any]] = []
    for depth, extra, constraint in DEPTHS:
        request = {
            "task": "adders",
            "peer": "da4ml",
            "delay_constraint": constraint,
            "matrices": str(BUILD / "adders" / "matrices.npz"),
        }
        theirs = peers.ask(request, f"adders{constraint}", fresh=True)
        for label, *_ in CASES:
            keys = [key for key in cases if key.startswith(f"{label}/")]
            rows.append({"matrix": label, "n": len(keys), "depth limit": depth, **_compare(cases, keys, extra, theirs)})
    note = "means over n seeds; time is CPU seconds, median per matrix; time ratio is the median of the ratios"
    publish("adders", f"adders: gatewright beside da4ml {theirs['version']}", rows, [note])


def _compare(cases: dict[str, Ints], keys: Sequence[str], extra: int, theirs: dict[str, Any]) -> dict[str, Any]:
    counts: list[int] = []
    depths: list[int] = []
    seconds: list[float] = []
    for key in keys:
        start = time.process_time()
        graph = adder_graph(cases[key], extra_depth=extra)
        seconds.append(time.process_time() - start)
        counts.append(len(graph.sums))
        depths.append(_depth(graph))
    peer_adders = statistics.mean(theirs["adders"][key] for key in keys)
    peer_seconds = [theirs["seconds"][key] for key in keys]
    return {
        "da4ml": peer_adders,
        "gatewright": statistics.mean(counts),
        "ratio": round(statistics.mean(counts) / peer_adders, 4),
        "da4ml depth": statistics.mean(theirs["depths"][key] for key in keys),
        "our depth": statistics.mean(depths),
        "da4ml s": statistics.median(peer_seconds),
        "our s": statistics.median(seconds),
        "time ratio": round(statistics.median(a / b for a, b in zip(seconds, peer_seconds, strict=True)), 2),
    }


def _depth(graph: AdderGraph) -> int:
    depth = [0] * graph.inputs
    for item in graph.sums:
        depth.append(1 + max(depth[item.a], depth[item.b]))
    return max((depth[out.term] for out in graph.outputs if out.term >= 0), default=0)

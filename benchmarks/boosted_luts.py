"""MNIST of one-bit pixels in; boosted trees of six questions each out, one for a class in each round, leaves 0 or 1.

All nodes of one level ask the same question (an oblivious tree), so a tree of six questions is any function of six
pixels: one 6-input LUT. A round fits a tree to the gradient of the cross entropy of each class, on samples drawn by its
magnitude; then its leaves become 0 or 1 times one step of all trees and an offset of its own, and the next round sees
these. A pixel is the highest bit of its byte. Images are also shifted by one pixel in four directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import datasets
from gatewright.fixedpoint import Ints
from gatewright.graph.nodes import Graph, Input, Trees

QUESTIONS, ROUNDS, CLASSES = 6, 150, 10
STEP, RATE, SHRINK = 0.5, 0.5, 2.0  # of a leaf, of the fit, and what is added to its denominator
DRAWN, ASKED = 0.05, 0.3  # shares of the samples and of the pixels that one tree looks at
HELD = 10_000  # images of the training split that validate
SHIFTS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """Trees in the order in which they were made. of: the class of each; pixels: (trees, QUESTIONS); leaves, offset:
    (trees, 2**QUESTIONS) of 0 and 1, and (trees,), in units of STEP and 1. validation: accuracy after each round.
    """

    of: Ints
    pixels: Ints
    leaves: Ints
    offset: NDArray[np.float64]
    validation: NDArray[np.float64]


def trained(file: Path) -> Boosted:
    """Return the trees that `file` holds, or train them, some quarter of an hour on one core, and write it."""
    if file.exists():
        with np.load(file) as kept:
            return Boosted(**{key: kept[key] for key in ("of", "pixels", "leaves", "offset", "validation")})
    made = _train()
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **{key: getattr(made, key) for key in Boosted.__slots__})
    return made


def graph_of(boosted: Boosted, rounds: int) -> Graph:
    """Return the model of the first rounds: scores in units of a quarter of STEP, of which each class's least is 0."""
    count, nodes = rounds * CLASSES, (1 << QUESTIONS) - 1
    level = np.array([(i + 1).bit_length() - 1 for i in range(nodes)])
    path = np.arange(nodes) + 1 - (1 << level)  # the answers so far, the first lowest
    below = path[:, None] | (np.arange(2) << level[:, None])
    inner = (1 << (level + 1))[:, None] - 1 + below
    last = level == QUESTIONS - 1
    children = np.concatenate([np.where(last[:, None], 0, inner + t * nodes) for t in range(count)])
    for t in range(count):
        ends = ~(2 * boosted.of[t] + boosted.leaves[t][below[last]])
        children[t * nodes : (t + 1) * nodes][last] = ends
    bias = np.bincount(boosted.of[:count], boosted.offset[:count], CLASSES) / STEP
    leaves = np.zeros((2 * CLASSES, CLASSES))
    leaves[1::2] = np.eye(CLASSES)
    trees = Trees(
        name="trees",
        sources=("x",),
        feature=boosted.pixels[:count][:, level].ravel(),
        thresholds=np.ones(count * nodes),
        children=children,
        roots=np.arange(count) * nodes,
        leaves=leaves,
        bias=np.rint(4 * (bias - bias.min())) / 4,
    )
    return Graph(name="luts", nodes=(Input(name="x", shape=(784,)), trees), output="trees")


def images() -> tuple[NDArray[np.uint8], Ints, NDArray[np.uint8], Ints]:
    """Return the training images and labels, and the test images and labels: (n, 784)."""
    data = datasets.mnist()
    test = data["split"] == "test"
    x = data["x"].reshape(-1, 784)
    return x[~test], data["y"][~test], x[test], data["y"][test]


def _shifted(x: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    images, moved = x.reshape(-1, 28, 28), np.zeros((len(x), 28, 28), np.uint8)
    moved[:, max(down, 0) : 28 + min(down, 0), max(right, 0) : 28 + min(right, 0)] = images[
        :, max(-down, 0) : 28 + min(-down, 0), max(-right, 0) : 28 + min(-right, 0)
    ]
    return moved.reshape(len(x), -1)


def _train() -> Boosted:
    x, y, _, _ = images()
    order = np.random.default_rng(7).permutation(len(x))
    kept, held = order[:-HELD], order[-HELD:]
    bits: Bits = np.concatenate([_shifted(x[kept], *shift) >= 128 for shift in SHIFTS])
    wanted = np.tile(np.eye(CLASSES)[y[kept]], (len(SHIFTS), 1))
    by_pixel, held_by_pixel = (np.ascontiguousarray(a.T).astype(np.uint8) for a in (bits, x[held] >= 128))
    varying = np.flatnonzero((bits.mean(axis=0) > 0.005) & (bits.mean(axis=0) < 0.995))
    rng, sums = np.random.default_rng(0), np.zeros((len(bits), CLASSES))
    held_sums, found, validation = np.zeros((HELD, CLASSES)), [], []
    for _ in range(ROUNDS):
        e = np.exp(sums - sums.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        slopes, curvatures = p - wanted, np.maximum(p * (1 - p), 1e-6)
        for c in range(CLASSES):
            slope, curvature = slopes[:, c], curvatures[:, c]
            pixels = _questions(bits, slope, curvature, varying, rng)
            at, held_at = (sum(a[q].astype(int) << i for i, q in enumerate(pixels)) for a in (by_pixel, held_by_pixel))
            size = 1 << QUESTIONS
            weight = (np.bincount(at, curvature, size) + SHRINK).astype(np.float64)
            leaves, offset = _two_valued(-RATE * np.bincount(at, slope, size) / weight, weight)
            found.append((c, pixels, leaves, offset))
            sums[:, c] += leaves[at] * STEP + offset
            held_sums[:, c] += leaves[held_at] * STEP + offset
        validation.append(float((held_sums.argmax(axis=1) == y[held]).mean()))
    of, pixels, leaves, offset = (np.array(column) for column in zip(*found, strict=True))
    return Boosted(of=of, pixels=pixels, leaves=leaves.astype(np.int64), offset=offset, validation=np.array(validation))


def _questions(
    bits: Bits, slope: NDArray[np.float64], curvature: NDArray[np.float64], varying: Ints, rng: np.random.Generator
) -> Ints:
    """Return the pixels that a tree asks, each the best for all leaves of the level before."""
    count = int(DRAWN * len(bits))
    share = np.abs(slope) + 0.02
    share /= share.sum()
    drawn = rng.choice(len(bits), count, replace=True, p=share)
    fair = 1 / (share[drawn] * count)
    g, h = (slope[drawn] * fair).astype(np.float32), (curvature[drawn] * fair).astype(np.float32)
    asked = rng.choice(varying, int(ASKED * varying.size), replace=False)
    x, leaf, chosen = bits[np.ix_(drawn, asked)].astype(np.float32), np.zeros(count, dtype=int), list[int]()
    for level in range(QUESTIONS):
        size = 1 << level
        split = np.zeros((2 * size, count), np.float32)
        split[leaf, np.arange(count)], split[size + leaf, np.arange(count)] = g, h
        on, whole = split @ x, split.sum(axis=1, keepdims=True)
        g_on, h_on, g_all, h_all = on[:size], on[size:], whole[:size], whole[size:]
        gain = (g_on**2 / (h_on + SHRINK) + (g_all - g_on) ** 2 / (h_all - h_on + SHRINK)).sum(axis=0)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        leaf |= x[:, chosen[-1]].astype(int) << level
    return asked[chosen]


def _two_valued(values: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return leaves of 0 and 1 and an offset o, so that o + STEP * leaf is near the values in the weighted squares."""
    best: tuple[float, NDArray[np.float64], float] | None = None
    for o in np.quantile(values, np.linspace(0, 0.9, 10)):
        for _ in range(3):
            leaves = np.clip(np.rint((values - o) / STEP), 0, 1)
            o = ((values - leaves * STEP) * weight).sum() / weight.sum()
        error = float(((values - leaves * STEP - o) ** 2 * weight).sum())
        if best is None or error < best[0]:
            best = error, leaves, float(o)
    assert best is not None, "ten offsets were tried"
    return best[1], best[2]

"""Random decision trees as the tables of a Trees op, and programs of one such op."""

import numpy as np

from gatewright.fixedpoint import Fixed
from gatewright.ir import Constant, Input, Program, Trees, verify

TABLES = ("feature", "thresholds", "children", "roots", "leaves", "bias")


def forest_tables(
    rng: np.random.Generator,
    *,
    features: int,
    ends: tuple[int, int],
    n_out: int,
    trees: int = 3,
    depth: int = 4,
    leaf_bits: int = 3,
    frac_bits: int = 0,
) -> list[Constant]:
    """Return the tables in the order of TABLES; thresholds at frac_bits lie about `ends`, some beyond them."""
    feature: list[int] = []
    thresholds: list[int] = []
    children: list[tuple[int, int]] = []
    leaves = rng.integers(-(1 << leaf_bits - 1), 1 << leaf_bits - 1, (trees << depth, n_out))
    leaves[:, rng.random(n_out) < 0.3] = 1  # outputs that no tree changes
    used = 0

    def grow(level: int) -> int:
        nonlocal used
        if not level or rng.random() < 0.15:
            used += 1
            return -used
        at = len(feature)
        feature.append(int(rng.integers(features)))
        thresholds.append(int(rng.integers(ends[0] - 1, ends[1] + 3)))
        children.append((0, 0))
        children[at] = grow(level - 1), grow(level - 1)
        return at

    roots = [grow(depth) for _ in range(trees)]
    if trees > 1 and roots[0] >= 0:
        roots[1] = roots[0]  # a tree counted twice
    bias = rng.integers(-20, 20, n_out)
    frac = int(rng.integers(-1, 3))
    found = [feature, thresholds, np.reshape(children, (-1, 2)), roots, leaves[: max(used, 1)], bias]
    fracs = [0, frac_bits, 0, 0, frac, int(rng.integers(-1, 4))]
    return [Constant(np.array(q, dtype=np.int64), f) for q, f in zip(found, fracs, strict=True)]


def forest_program(fixed: Fixed, *, features: int = 6, seed: int = 0, **sizes: int) -> Program:
    """Return the program of random trees on `features` numbers of a format."""
    tables = forest_tables(
        np.random.default_rng(seed),
        features=features,
        ends=(fixed.lo, fixed.hi),
        frac_bits=fixed.frac_bits,
        **({"n_out": 2} | sizes),
    )
    names = dict(zip(TABLES, TABLES, strict=True))
    ops = (
        Input(name="x", layer="input", shape=(features,), format=fixed),
        Trees(name="y", layer="trees", source="x", **names),
    )
    program = Program(name="p", ops=ops, output="y", constants=dict(zip(TABLES, tables, strict=True)))
    verify(program)
    return program

"""Program in, equal Program out: rounding moves into the bias, ReLU into the requantiser, a bias into thresholds.

All rewrites leave every layer's result bit for bit what it was; the runner replays them on real data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from gatewright.fixedpoint import Overflow, Rounding
from gatewright.ir.op_tables import Thresholds
from gatewright.ir.ops import Dense, Input, Relu, Requant
from gatewright.ir.program import Constant, Op, Program, constants_of
from gatewright.ir.rounding import spread
from gatewright.lower.build.facts import Facts

Pass = Callable[[Facts], Program]


def fold_rounding(facts: Facts) -> Program:
    """Round half up = add half an LSB, then truncate: put the half into the bias of the dense layer before.

    floor(relu(x) + h) == relu(floor(x + h)) for 0 <= h < 1 LSB, so a ReLU between may stay where it is.
    """
    program, known = facts.program, facts.ranges
    changed: dict[str, Op] = {}
    constants = dict(program.constants)
    for op in program.ops:
        if not (isinstance(op, Requant) and op.rounding is Rounding.HALF_UP):
            continue
        dense = _dense_behind(program, op.source)
        if dense is None or _readers(facts, dense.name) != 1 or _readers(facts, op.source) != 1:
            continue
        if len({dense.layer, program.op(op.source).layer, op.layer}) != 1:
            continue  # the sum or the ReLU is a layer's result, which must stay
        frac = known[dense.name].frac_bits
        bias = constants[dense.bias]
        if len(op.keep_frac_bits) > bias.q.size:
            continue  # formats that differ between the rows of a value share no bias
        drops = [frac - keep for keep in spread(op.keep_frac_bits, bias.q.size)]
        half = np.array([1 << (drop - 1) if drop > 0 else 0 for drop in drops], dtype=np.int64)
        constants[f"{dense.name}.rounded_bias"] = Constant((bias.q << (frac - bias.frac_bits)) + half, frac)
        changed[dense.name] = dataclasses.replace(dense, bias=f"{dense.name}.rounded_bias")
        changed[op.name] = dataclasses.replace(op, rounding=Rounding.TRUNCATE)
    return _replace(program, changed, constants)


def fuse_relu(facts: Facts) -> Program:
    """Drop a ReLU before a saturating unsigned Requant: its lower end is already 0."""
    program = facts.program
    changed: dict[str, Op] = {}
    gone: set[str] = set()
    for op in program.ops:
        if not (isinstance(op, Requant) and op.overflow is Overflow.SATURATE and not any(op.signed)):
            continue
        source = program.op(op.source)
        if isinstance(source, Relu) and source.layer == op.layer and _readers(facts, source.name) == 1:
            changed[op.name] = dataclasses.replace(op, source=source.source)
            gone.add(source.name)
    kept = dataclasses.replace(program, ops=tuple(op for op in program.ops if op.name not in gone))
    return _replace(kept, changed, dict(program.constants))


def fold_bias(facts: Facts) -> Program:
    """Move the bias of a neuron that reads one input into its thresholds: no adder before the comparators.

    w x + b >= t as w x >= t - b. Sums of more inputs keep theirs: it is one more operand of an adder tree, and the sign
    of the sum costs no comparator.
    """
    program, known = facts.program, facts.ranges
    changed: dict[str, Op] = {}
    constants = dict(program.constants)
    for op in program.ops:
        dense = program.op(op.source) if isinstance(op, Thresholds) else None
        if not isinstance(op, Thresholds) or not isinstance(dense, Dense) or dense.layer != op.layer:
            continue
        bias, cuts, frac = constants[dense.bias], constants[op.thresholds], known[dense.name].frac_bits
        single = (np.count_nonzero(constants[dense.weight].q, axis=0) == 1) & (bias.q != 0)
        if not single.any() or cuts.frac_bits > frac or _readers(facts, dense.name) != 1:
            continue
        moved = np.where(single, bias.q, 0) << (frac - bias.frac_bits)
        rows = np.broadcast_to(cuts.q << (frac - cuts.frac_bits), (bias.q.size, cuts.q.shape[1]))
        constants[f"{dense.name}.kept_bias"] = Constant(np.where(single, 0, bias.q), bias.frac_bits)
        constants[f"{op.name}.moved"] = Constant(rows - moved[:, None], frac)
        changed[dense.name] = dataclasses.replace(dense, bias=f"{dense.name}.kept_bias")
        changed[op.name] = dataclasses.replace(op, thresholds=f"{op.name}.moved")
    return _replace(program, changed, constants)


def join_layers(program: Program) -> Program:
    """Give each ReLU and Requant the layer of what it alone reads, so that the passes may merge the two.

    The layer's result is then the last of them; that of the sum in between is no longer a layer's.
    """
    facts = Facts(program=program)
    layers = {op.name: op.layer for op in program.ops}
    changed: dict[str, Op] = {}
    for op in program.ops:
        if not isinstance(op, Relu | Requant) or isinstance(program.op(op.source), Input):
            continue
        if _readers(facts, op.source) == 1 and layers[op.source] != op.layer:
            layers[op.name] = layers[op.source]
            changed[op.name] = dataclasses.replace(op, layer=layers[op.name])
    return _replace(program, changed, dict(program.constants))


PASSES: tuple[tuple[str, Pass], ...] = (
    ("fold_rounding", fold_rounding),
    ("fuse_relu", fuse_relu),
    ("fold_bias", fold_bias),
)


def _dense_behind(program: Program, name: str) -> Dense | None:
    op = program.op(name)
    if isinstance(op, Relu):
        op = program.op(op.source)
    return op if isinstance(op, Dense) else None


def _readers(facts: Facts, name: str) -> int:
    """Return how many ops read a result, leaving the program counted as one."""
    return len(facts.readers[name]) + (facts.program.output == name)


def _replace(program: Program, changed: dict[str, Op], constants: dict[str, Constant]) -> Program:
    ops = tuple(changed.get(op.name, op) for op in program.ops)
    used = {key for op in ops for key in constants_of(op)}
    return dataclasses.replace(program, ops=ops, constants={k: v for k, v in constants.items() if k in used})

"""Ops on one beat, and by what it is carried, in; their optimised circuit out, replayed on beats of the trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from gatewright.fixedpoint import Ints
from gatewright.ir.op_tables import Lookup
from gatewright.ir.ops import Const, Input
from gatewright.ir.program import Constant, Op, Program
from gatewright.ir.ranges import Range
from gatewright.ir.shapes import shapes
from gatewright.lower.build.builder import Wire
from gatewright.lower.build.elements import build, compare
from gatewright.lower.build.facts import Facts
from gatewright.lower.build.live import live_elements
from gatewright.lower.build.part import Part, format_of, number_format
from gatewright.lower.circuit.nodes import Circuit
from gatewright.lower.cost.delays import delays
from gatewright.lower.passes.rounding import PASSES, join_layers
from gatewright.lower.rewrites.table import run_rewrites
from gatewright.lower.stream import Lane
from gatewright.lower.target import Choices, Target

CHECKED_BEATS = 2048


def body_circuit(
    name: str,
    takes: Mapping[str, Sequence[Wire]],
    ops: Sequence[Op],
    facts: Facts,
    tables: Mapping[str, Constant],
    data: tuple[Ints, Ints],
    target: Target,
    choices: Choices,
) -> tuple[Circuit, int]:
    """Return the circuit of ops whose last result leaves, and the number of integers compared.

    takes: the wires of each value that is given. facts: of the whole program; tables: those of its ops on beats.
    data: numbers on the wires, (n, elements), and values that must come out, (n, lanes).
    Raises LowerError where the circuit differs.
    """
    given, want = data
    beat = _passed(_beat_facts(name, takes, ops, facts, tables))
    layer, mine = ops[-1].layer, [op for op in beat.program.ops if op.name not in takes]
    gives = (mine[-1].name,)
    fracs = {value: known.frac_bits for value, known in beat.ranges.items()}
    part = Part(
        name=name,
        ops=tuple(dataclasses.replace(op, layer=layer) for op in mine),
        takes=takes,
        gives=gives,
        fracs=fracs,
        shapes=beat.shapes,
        live=live_elements(beat.program, beat.shapes, mine, gives),
    )
    model = delays(target.family)
    built = build(beat.program, part, ternary=model.ternary, luts=model.luts)
    built = dataclasses.replace(
        built,
        input_format=number_format(wire for wires in takes.values() for wire in wires),
        output_format=format_of(lanes_of(built), fracs[gives[0]]),
    )
    check = partial(compare, given, {layer: want, "output": want}, [True] * want.shape[1])
    return run_rewrites(built, family=target.family, truth_tables=choices.truth_tables, check=check)


def lanes_of(circuit: Circuit) -> list[Lane]:
    """Return what carries each of a circuit's outputs."""
    return [Lane(circuit.nodes[ref.node].lo, circuit.nodes[ref.node].hi, ref.shift) for ref in circuit.outputs]


def some_beats(count: int, *, seed: int = 0, most: int = CHECKED_BEATS) -> Ints:
    """Return which of so many beats to compare: all, or a part that is drawn, and the ends."""
    if count <= most:
        return np.arange(count)
    drawn = np.random.default_rng(seed).choice(count, most, replace=False)
    return np.unique(np.concatenate([drawn, [0, count - 1]]))


def _beat_facts(
    name: str,
    takes: Mapping[str, Sequence[Wire]],
    ops: Sequence[Op],
    facts: Facts,
    tables: Mapping[str, Constant],
) -> Facts:
    """Return the ops as a program of vectors, of which the values that are given have the ranges of their wires."""
    given: list[Op] = []
    known: dict[str, Range] = {}
    constants = {**facts.program.constants, **tables}
    for value, wires in takes.items():
        frac = facts.ranges[value].frac_bits
        ends = np.array([(wire.lo << wire.shift, wire.hi << wire.shift) for wire in wires], dtype=np.int64)
        known[value] = Range(ends[:, 0], ends[:, 1], frac)
        if given:  # a program has one input: another value's place is taken by a constant of its shape
            constants[f"{value}.given"] = Constant(ends[:, 0], frac)
            given.append(Const(name=value, layer="input", value=f"{value}.given"))
        else:
            given.append(Input(name=value, layer="input", shape=(len(wires),), format=format_of(wires, frac)))
    program = Program(name=name, ops=(*given, *ops), output=ops[-1].name, constants=constants)
    sizes = shapes(program)
    for op in ops:
        if isinstance(op, Lookup) and op.source not in known:
            # lanes may reach numbers that no position does, where padding takes part; tables need not hold them
            x = facts.ranges[op.source]
            low, high = (np.full(sizes[op.source], end, dtype=np.int64) for end in x.ends)
            known[op.source] = Range(low, high, x.frac_bits)
    return Facts(program=program, inputs=known)


def _passed(facts: Facts) -> Facts:
    """Return the program after the passes; what they changed inside is compared with the circuit."""
    facts = Facts(program=join_layers(facts.program), inputs=facts.inputs)
    for _, run_pass in PASSES:
        facts = Facts(program=run_pass(facts), inputs=facts.inputs)
    return facts

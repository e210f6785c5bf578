"""Program and reuse factors in, a chain of scheduled pieces out: unrolled circuits and time-multiplexed dense layers.

The program is cut at every dense layer whose factor is above 1 (lower/folded/chain.py). What lies between the cuts goes
through the compiler of the parallel architecture; a cut layer gets a plan (lower/folded/plan.py) and a scheduled adder
tree for its products (lower/folded/tree.py). Everything runs at fixed offsets from the cycle in which a vector enters,
so latency is fixed; a new vector may enter every `initiation_interval` cycles: those of the slowest folded layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from gatewright.errors import LowerError
from gatewright.fixedpoint import Ints
from gatewright.ir.interp import Interpreter
from gatewright.ir.ops import Dense
from gatewright.ir.program import Program, sources
from gatewright.ir.verify import verify
from gatewright.lower.build.live import live_elements
from gatewright.lower.build.support import check_supported
from gatewright.lower.compile import Lowered, lower, run_passes
from gatewright.lower.folded.chain import Chain, holding
from gatewright.lower.folded.pieces import Folded, LoweredFolded

Multiplier = Literal["auto", "dsp", "lut"]


def lower_reuse(
    program: Program,
    x: Ints,
    *,
    family: str,
    clock_mhz: float,
    reuse: int | Sequence[int],
    multiplier: Multiplier = "lut",
    dsp_blocks: int = 0,
    max_latency_cycles: int = 0,
    max_latency_ns: float = 0.0,
    truth_tables: bool = True,
) -> Lowered | LoweredFolded:
    """Compile with a reuse factor for all dense layers, or one each, replaying x: (n, elements).

    A factor may be 1 (unrolled) to the layer's number of weights. Without any above 1 this is `lower`.
    truth_tables: see lower. multiplier: DSP blocks, logic, or blocks where dsp_blocks are enough for all multipliers.
    Raises LowerError for factors out of range, naming the nearest legal one, and where max_latency_cycles is missed.
    """
    if multiplier == "auto":
        compile_with = partial(
            lower_reuse,
            program,
            x,
            family=family,
            clock_mhz=clock_mhz,
            reuse=reuse,
            max_latency_cycles=max_latency_cycles,
            max_latency_ns=max_latency_ns,
            truth_tables=truth_tables,
        )
        found = compile_with(multiplier="dsp")
        if isinstance(found, Lowered) or found.multipliers <= dsp_blocks:
            return found
        return compile_with(multiplier="lut")
    verify(program)
    check_supported(program)
    factors = _factors(program, reuse)
    unrolled = partial(
        lower,
        program,
        x,
        family=family,
        clock_mhz=clock_mhz,
        max_latency_cycles=max_latency_cycles,
        max_latency_ns=max_latency_ns,
        truth_tables=truth_tables,
    )
    if all(factor == 1 for factor in factors.values()):
        return unrolled()
    if not clock_mhz:
        raise LowerError("folded layers need a clock: hardware.clock_mhz must be above 0 with hardware.reuse_factor")
    golden, checked = run_passes(program, x)
    live = live_elements(golden)
    cuts = [op for op in golden.ops if isinstance(op, Dense) and factors[op.layer] > 1]
    _require_chain(golden, cuts)
    chain = Chain(golden, Interpreter(golden).trace(x), live, family, clock_mhz, truth_tables)
    for dense in cuts:
        chain.segment(dense.source)
        chain.fold(dense, factors[dense.layer], dsp=multiplier == "dsp")
    chain.segment(golden.output)
    if all(piece.plan.cycles == 1 for piece in chain.pieces if isinstance(piece, Folded)):
        return unrolled()
    lowered = LoweredFolded(
        program=golden,
        pieces=tuple(chain.pieces),
        outputs=len(chain.wires),
        output_format=holding(chain.wires, golden, golden.output),
        family=family,
        clock_mhz=clock_mhz,
        checked=checked + chain.checked,
    )
    if max_latency_cycles and lowered.latency_cycles > max_latency_cycles:
        raise LowerError(
            f"{program.name!r} needs {lowered.latency_cycles} cycles with these reuse factors at {clock_mhz:g} MHz on "
            f"{family}, allowed are {max_latency_cycles}; lower hardware.reuse_factor or hardware.clock_mhz"
        )
    latency_ns = lowered.latency_cycles * 1000.0 / clock_mhz
    if max_latency_ns and latency_ns > max_latency_ns:
        raise LowerError(
            f"{program.name!r} needs {latency_ns:g} ns with these reuse factors at {clock_mhz:g} MHz on {family}, "
            f"allowed are {max_latency_ns:g}; lower hardware.reuse_factor"
        )
    return lowered


def _factors(program: Program, reuse: int | Sequence[int]) -> dict[str, int]:
    """Return each dense layer's factor."""
    layers = [op for op in program.ops if isinstance(op, Dense)]
    given = [reuse] * len(layers) if isinstance(reuse, int) else list(reuse)
    if len(given) != len(layers):
        raise LowerError(
            f"hardware.reuse_factor must be one number or {len(layers)} numbers (one per dense layer: "
            f"{', '.join(op.layer for op in layers)}), not {len(given)}"
        )
    for op, factor in zip(layers, given, strict=True):
        most = program.constants[op.weight].q.size
        n_in, n_out = program.constants[op.weight].q.shape
        if factor < 1 or (factor > most and not isinstance(reuse, int)):
            raise LowerError(
                f"hardware.reuse_factor of layer {op.layer!r} must be 1..{most} ({n_in} inputs x {n_out} outputs), "
                f"not {factor}; the nearest legal one is {min(max(factor, 1), most)}"
            )
    most = max(program.constants[op.weight].q.size for op in layers) if layers else 1
    if isinstance(reuse, int) and reuse > most:
        raise LowerError(
            f"hardware.reuse_factor must be 1..{most} (the weights of the largest layer), not {reuse}; "
            f"the nearest legal one is {most}"
        )
    sizes = [program.constants[op.weight].q.size for op in layers]
    return {op.layer: min(factor, size) for op, factor, size in zip(layers, given, sizes, strict=True)}


def _require_chain(program: Program, cuts: Sequence[Dense]) -> None:
    """Raise LowerError where a value passes by a folded layer: the pieces form one chain."""
    order = {op.name: index for index, op in enumerate(program.ops)}
    for dense in cuts:
        for op in program.ops[order[dense.name] + 1 :]:
            early = [name for name in sources(op) if order[name] < order[dense.name]]
            if early:
                raise LowerError(
                    f"layer {dense.layer!r} cannot be folded: {op.name!r} reads {early[0]!r}, which passes by it; "
                    "give this layer a reuse factor of 1"
                )

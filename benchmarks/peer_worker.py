"""Child process that runs one peer compiler on a program: `python -m benchmarks.peer_worker request.json answer.json`.

It runs with the peers' interpreter, which need not be ours: it imports NumPy, the peer, and gatewright.ir alone.
Times are CPU seconds of this process without imports, median of `repeats`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.fixedpoint import Overflow, Rounding
from gatewright.ir import Dense, Input, Program, Relu, Requant, load_program, ranges

TOP = "peer_top"
_ROUNDING = {Rounding.TRUNCATE: "TRN", Rounding.HALF_UP: "RND"}
_ADDITIONS = (0, 1, 4)  # a + b, a - b, a + constant
_OVERFLOW = {Overflow.WRAP: "WRAP", Overflow.SATURATE: "SAT"}


def logic(program: Program, peer: str, delay_constraint: int) -> Any:
    """Return the peer's combinational logic of a program, its command line's defaults kept."""
    if peer == "da4ml":
        api = import_module("da4ml.trace")
        inputs, hardware, trace = api.FixedVariableArrayInput, api.HWConfig(1, -1, -1), api.comb_trace
    else:
        api = import_module("alkaid.trace")
        inputs, hardware, trace = api.FVArrayInput, api.HWConfig(1, 1, -1), api.trace
    source = inputs(program.input.shape, hardware, {"hard_dc": delay_constraint})
    values: dict[str, Any] = {}
    known = ranges(program)
    for op in program.ops:
        match op:
            case Input():
                fixed = op.format
                direct = any(isinstance(o, Requant) and o.source == op.name for o in program.ops)
                whole = (int(fixed.signed), fixed.width_bits - fixed.frac_bits - fixed.signed, fixed.frac_bits)
                values[op.name] = source if direct else source.quantize(*whole)
            case Requant():
                width, keep, sign = (np.array(v) for v in (op.width_bits, op.keep_frac_bits, op.signed))
                kif = (sign.astype(int), width - keep - sign, keep)
                modes = {"overflow_mode": _OVERFLOW[op.overflow], "round_mode": _ROUNDING[op.rounding]}
                values[op.name] = values[op.source].quantize(*kif, **modes)
            case Dense():
                weight, bias = (program.constants[name] for name in (op.weight, op.bias))
                product = values[op.source] @ (weight.q * 2.0**-weight.frac_bits)
                values[op.name] = product + bias.q * 2.0**-bias.frac_bits
            case Relu():
                values[op.name] = values[op.source].relu()
            case _:
                raise TypeError(f"peers are given dense networks, not {op!r}")
    if known[program.output].frac_bits < 0:
        raise ValueError("scores must have at least 0 fractional bits")
    return trace(source, values[program.output])


def timed(function: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return the function's result and its CPU seconds, median of `repeats`."""
    seconds: list[float] = []
    result = None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


def predict(program: Program, comb: Any, x: np.ndarray) -> np.ndarray:
    """Return the peer's emulator's outputs for real inputs x as integer codes, one thread."""
    return comb.predict(x, n_threads=1) * 2.0 ** ranges(program)[program.output].frac_bits


def real(program: Program, codes: np.ndarray) -> np.ndarray:
    """Return input codes as the real numbers that the peers take."""
    return codes * 2.0**-program.input.format.frac_bits


def lanes(peer: str, intervals: Any) -> list[tuple[int, bool, int]]:
    """Return width, sign and fractional bits of every element of a port, as the peer packs it."""
    types = import_module(f"{peer}.types")
    formats = [types.minimal_kif(interval) if peer == "da4ml" else interval.kif for interval in intervals]
    return [(int(k) + int(i) + int(f), bool(k), int(f)) for k, i, f in formats]


def compile_program(request: dict[str, Any]) -> dict[str, Any]:
    """Trace, check against the test vectors with `==`, write Verilog."""
    program, peer, out = load_program(Path(request["program"])), request["peer"], Path(request["out"])
    comb, solve = timed(lambda: logic(program, peer, request["delay_constraint"]), request["repeats"])
    with np.load(request["vectors"]) as vectors:
        exact = bool(np.array_equal(predict(program, comb, real(program, vectors["x"])), vectors["y"]))

    def write() -> Any:
        if peer == "da4ml":
            model = import_module("da4ml.codegen").VerilogModel(
                comb, TOP, out, latency_cutoff=request["latency_cutoff"]
            )
        else:
            model = import_module("alkaid.codegen").RTLModel(comb, out, TOP, latency_cutoff=request["latency_cutoff"])
        model.write()
        return model

    model, seconds = timed(write, request["repeats"])
    stages = len(model._pipe.solutions) if peer == "da4ml" else len(model.fsm.logic)
    logic_written = comb if peer == "da4ml" else model._comb
    return {
        "exact": exact,
        "stages": stages,
        "solve_s": round(solve, 4),
        "write_s": round(seconds, 4),
        "adders": sum(op.opcode in _ADDITIONS for op in comb.ops),
        "inputs": lanes(peer, logic_written.inp_qint),
        "outputs": lanes(peer, logic_written.out_qint),
        "own_estimate_lut": round(float(comb.cost), 1),
        "sources": sorted(str(path) for path in (out / "src").rglob("*.v") if not path.stem.endswith("_wrapper")),
    }


def solve_matrices(request: dict[str, Any]) -> dict[str, Any]:
    """Return adder counts and CPU seconds of da4ml's solver for each matrix of an .npz."""
    solve = import_module("da4ml.cmvm").solve
    counts: dict[str, int] = {}
    seconds: dict[str, float] = {}
    depths: dict[str, int] = {}
    with np.load(request["matrices"]) as matrices:
        for key in matrices.files:
            kernel = matrices[key].astype(np.float32)
            wide = [(-128.0, 127.0, 1.0)] * kernel.shape[0]
            start = time.process_time()
            found = solve(kernel, qintervals=wide, hard_dc=request["delay_constraint"])
            seconds[key] = time.process_time() - start
            counts[key] = sum(op.opcode in (0, 1) for stage in found.solutions for op in stage.ops)
            depths[key] = round(max(found.solutions[-1].latency))
    return {"adders": counts, "seconds": seconds, "depths": depths}


def emulate(request: dict[str, Any]) -> dict[str, Any]:
    """Return the emulator's samples per CPU second on the vectors, median of `repeats`."""
    program = load_program(Path(request["program"]))
    comb = logic(program, request["peer"], request["delay_constraint"])
    with np.load(request["vectors"]) as vectors:
        x, y = real(program, vectors["x"]), vectors["y"]
    exact = bool(np.array_equal(predict(program, comb, x), y))
    _, seconds = timed(lambda: comb.predict(x, n_threads=1), request["repeats"])
    return {"exact": exact, "samples_per_s": len(x) / seconds}


_TASKS = {"compile": compile_program, "adders": solve_matrices, "emulate": emulate}


def main() -> None:
    """Read the request, write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text())
    for part in ("trace", "codegen", "cmvm"):
        import_module(f"{request['peer']}.{part}")
    answer = _TASKS[request["task"]](request)
    answer["version"] = metadata.version(request["peer"])
    Path(sys.argv[2]).write_text(json.dumps(answer, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()

"""Network in, integer Program out; and the proof on data that the two are equal, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from gatewright.errors import ExportError
from gatewright.fit.layer import Floats, Layer
from gatewright.fit.modules.quantizers import Grid
from gatewright.fit.network import CHUNK, Network
from gatewright.fixedpoint import Ints, Overflow, Rounding, frac_bits
from gatewright.ir import (
    ArgMax,
    Constant,
    Dense,
    Input,
    Interpreter,
    Lookup,
    Op,
    OutputKind,
    OutputStage,
    Program,
    Relu,
    Requant,
    Softmax,
    Thresholds,
    TopK,
    add_output_stage,
    softmax_error,
    verify,
)

if TYPE_CHECKING:
    from gatewright.data import Dataset

FLOAT_EXACT_BITS = 53


def export_program(network: Network, *, name: str, data: Dataset, output: OutputStage | OutputKind) -> Program:
    """Return the verified integer program of a quantized network.

    Ops: x, `x.read` where the network cuts its inputs, then per layer `fc1`, `fc1.relu` (not with steps or tables),
    `fc1.act`, ..., `out`, and what `output` adds.
    Raises ExportError for a float network, for data of another input format, and where a sum could pass 53 bits,
    up to which float64 evaluation is exact.
    """
    source = data.format
    given = (source.width_bits, source.frac_bits, source.signed)
    if given != (network.input.width_bits, network.input.frac_bits, network.input.signed):
        raise ExportError(f"the network reads {network.input}, not {source}; train it on this dataset")
    if data.x.shape[1] != network.layers[0].weight.shape[0]:
        raise ExportError(
            f"the network reads {network.layers[0].weight.shape[0]} features, not {data.x.shape[1]}; "
            "train it on this dataset"
        )
    ops, constants = layer_ops(network)
    scores = Program(
        name=name, ops=tuple(ops), output=ops[-1].name, constants=constants, classes=tuple(network.classes)
    )
    program = add_output_stage(scores, OutputStage(kind=output) if isinstance(output, str) else output)
    check_exact(scores)
    return program


def layer_ops(network: Network) -> tuple[list[Op], dict[str, Constant]]:
    """Return the ops of a quantized network from input to sums, and their constants; see `export_program`."""
    features = network.layers[0].weight.shape[0]
    ops: list[Op] = [Input(name="x", layer="input", shape=(features,), format=network.input)]
    if network.input_bits:
        ops.append(_cut(network))
    constants: dict[str, Constant] = {}
    for layer in network.layers:
        dense = Dense(
            name=layer.name,
            layer=layer.name,
            source=ops[-1].name,
            weight=f"{layer.name}.weight",
            bias=f"{layer.name}.bias",
        )
        constants[dense.weight], constants[dense.bias] = _constants(layer)
        ops.append(dense)
        if layer.thresholds:
            step = _steps(layer)
            constants[step.thresholds] = _thresholds(layer)
            ops.append(step)
        if layer.table is not None:
            look = _lookup(layer)
            constants[look.table] = Constant(layer.table.astype(np.int64), 0)
            ops.append(look)
        if not layer.relu:
            continue
        ops.append(Relu(name=f"{layer.name}.relu", layer=layer.name, source=layer.name))
        ops.append(_requant(layer))
    return ops, constants


def check_exact(program: Program) -> None:
    """Raise ExportError where a value of a program that holds no output stage could pass 53 bits."""
    for op_name, value in verify(program).items():
        if value.width_bits > FLOAT_EXACT_BITS:
            raise ExportError(
                f"op {op_name!r} needs {value.width_bits} bits, at most {FLOAT_EXACT_BITS} can be compared exactly "
                "with the float64 network; lower weight_bits, activation_bits or the input's width"
            )


def check_export(network: Network, program: Program, x_codes: NDArray[np.integer[Any]]) -> int:
    """Compare network and program on every sample and every layer's sums and activations with ==.

    x_codes: (n, features). Returns n. Raises ExportError naming op, sample, element and difference in LSBs.
    """
    interpreter = Interpreter(program)
    fracs = {name: r.frac_bits for name, r in interpreter.ranges.items()}
    for at in range(0, len(x_codes), CHUNK):
        codes = np.asarray(x_codes[at : at + CHUNK], dtype=np.int64)
        floats, integers = network.trace(codes), interpreter.trace(codes)
        for op in program.ops:
            if isinstance(op, Relu):
                continue  # its result is fused into the activation of the network
            if op.name not in floats:
                _compare_stage(program, op, floats[network.layers[-1].name], integers[op.name], at)
                continue
            compare(op.name, floats[op.name], integers[op.name], fracs[op.name], at)
    return len(x_codes)


def _compare_stage(program: Program, op: Op, scores: Floats, got: Ints, at: int) -> None:
    """Compare an output stage with what float64 makes of the network's scores; a softmax within its proven bound."""
    match op:
        case ArgMax() | TopK():
            best = np.argsort(-scores, axis=1, kind="stable")[:, : got.shape[1]]
            compare(op.name, best.astype(np.float64), got, 0, at)
        case Thresholds():
            at_least = np.ldexp(program.constants[op.thresholds].q[:, 0], -program.constants[op.thresholds].frac_bits)
            compare(op.name, (scores >= at_least).astype(np.float64), got, 0, at)
        case Softmax():
            off = float(abs(np.ldexp(got.astype(np.float64), -op.frac_bits) - softmax(scores, axis=1)).max())
            if off > (bound := softmax_error(program) or 0.0):
                raise ExportError(
                    f"export: op {op.name!r} is {off:.3g} away from the exact softmax, at most {bound:.3g} was proven"
                )
        case _:
            raise ExportError(f"export: op {op.name!r} is no layer of the network and no output stage")


def compare(name: str, expected: Floats, got: Ints, frac_bits: int, at: int) -> None:
    """Raise ExportError at the first integer that does not mean the expected value. Both (n, elements); at: row 0's."""
    values = np.ldexp(got.astype(np.float64), -frac_bits)
    wrong = np.argwhere(values != expected)
    if not len(wrong):
        return
    sample, element = (int(v) for v in wrong[0])
    want, have = expected[sample, element], values[sample, element]
    raise ExportError(
        f"export: op {name!r}, sample {at + sample}, element {element}: network gives {want!r}, program {have!r} "
        f"(difference {(have - want) * 2.0**frac_bits:g} LSB; {len(wrong)} of {values.size} values differ); "
        "export the network again"
    )


def _constants(layer: Layer) -> tuple[Constant, Constant]:
    if layer.weight_grid is None:
        raise ExportError(f"layer {layer.name!r} must have a weight format, not float; export a trained student")
    if layer.relu and layer.activation_grid is None:
        raise ExportError(f"layer {layer.name!r} must have an activation format, not float; export a trained student")
    return _constant(layer, "weight"), _constant(layer, "bias")


def _constant(layer: Layer, role: Literal["weight", "bias"]) -> Constant:
    return dyadic(layer.weight if role == "weight" else layer.bias, f"layer {layer.name!r}: {role}")


def dyadic(values: Floats, what: str) -> Constant:
    """Return the integers of a tensor at the finest LSB that one of its non-zero elements uses."""
    frac = frac_bits(values)
    integers = np.ldexp(values, frac)
    if np.abs(integers).max(initial=0.0) >= 2.0**FLOAT_EXACT_BITS:
        raise ExportError(f"{what} needs more than {FLOAT_EXACT_BITS} bits; use fewer bits")
    return Constant(integers.astype(np.int64), frac)


def _requant(layer: Layer) -> Requant:
    grid = layer.activation_grid
    assert grid is not None
    size = layer.bias.size
    return Requant(
        name=f"{layer.name}.act",
        layer=layer.name,
        source=f"{layer.name}.relu",
        frac_bits=int(grid.frac_bits.max()),
        width_bits=_spread(grid, grid.width_bits, size),
        keep_frac_bits=_spread(grid, grid.frac_bits, size),
        signed=(False,),
        rounding=Rounding.HALF_UP,
        overflow=Overflow.WRAP if grid.wrap else Overflow.SATURATE,
    )


def _steps(layer: Layer) -> Thresholds:
    """Return the op that counts the thresholds which a sum reaches."""
    return Thresholds(
        name=f"{layer.name}.act",
        layer=layer.name,
        source=layer.name,
        thresholds=f"{layer.name}.thresholds",
        start=0,
        step=1,
        frac_bits=0,
    )


def _lookup(layer: Layer) -> Lookup:
    """Return the op that reads each neuron's table at its sum."""
    return Lookup(name=f"{layer.name}.act", layer=layer.name, source=layer.name, table=f"{layer.name}.table", first=0)


def _thresholds(layer: Layer) -> Constant:
    """Return a layer's thresholds, the same for every neuron. (1, count)."""
    values = np.array([layer.thresholds])
    frac = frac_bits(values)
    return Constant(np.ldexp(values, frac).astype(np.int64), frac)


def _cut(network: Network) -> Requant:
    """Return the op that reads only the leading bits of each feature: wires, no logic."""
    source = network.input
    return Requant(
        name="x.read",
        layer="read",
        source="x",
        frac_bits=source.frac_bits,
        width_bits=network.input_bits,
        keep_frac_bits=tuple(source.frac_bits - source.width_bits + bits for bits in network.input_bits),
        signed=(source.signed,),
        rounding=Rounding.TRUNCATE,
        overflow=Overflow.WRAP,
    )


def _spread(grid: Grid, values: Ints, size: int) -> tuple[int, ...]:
    """Return one value where the grid is the tensor's, else one per channel."""
    if grid.width_bits.size == 1 and grid.frac_bits.size == 1:
        return (int(values.reshape(-1)[0]),)
    return tuple(int(v) for v in np.broadcast_to(values, (size,)))

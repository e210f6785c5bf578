"""An exact integer Program in, the hls4ml layers that compute the same integers out, or every refusal by layer.

Nothing is left to hls4ml's inference: results and accumulators get the types that hold the program's exact ranges,
weights and biases those of their tables, and an assignment rounds and overflows as the program's Requant does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatewright.errors import LowerError
from gatewright.hls.expand import expanded
from gatewright.hls.layers import Backend, HlsLayer, HlsNetwork, HlsType, Io, Refusal, identifiers
from gatewright.hls.rules import RULES
from gatewright.hls.site import Site, exact, holding
from gatewright.ir import Program, ranges
from gatewright.ir.op_tables import ArgMax, Softmax, Thresholds, TopK
from gatewright.ir.ops import Const
from gatewright.ir.program import constants_of, sources

HOST = ArgMax | TopK | Softmax | Thresholds
"""What may follow the project on the host, where it is the program's end."""


def translate(program: Program, backend: Backend, io: Io = Io.PARALLEL) -> HlsNetwork:
    """Return the layers. Raises LowerError that names each operation without an exact counterpart, and why.

    A softmax of a vector at the end is part of the project where the back end has what it is made of.
    """
    if isinstance(program.op(program.output), Softmax):
        whole = expanded(program)
        network, refused = _translated(whole, (), backend, io)
        if not {refusal.layer for refusal in refused} & {program.op(program.output).layer}:
            return _unrefused(network, refused, backend, io)
    kept, host = _without_host(program)
    network, refused = _translated(expanded(kept), host, backend, io)
    return _unrefused(network, refused, backend, io)


def _translated(program: Program, host: tuple[str, ...], backend: Backend, io: Io) -> tuple[HlsNetwork, list[Refusal]]:
    """Return the layers of what can be handed over, and what cannot."""
    known = ranges(program)
    layers: list[HlsLayer] = []
    refused: list[Refusal] = []
    words = identifiers(op.name for op in program.ops)
    types: dict[str, HlsType] = {}
    site = Site(program=program, known=known, words=words, types=types, backend=backend, io=io)
    for op in program.ops:
        if isinstance(op, Const):
            continue
        rule = RULES.get(type(op))
        reason = exact(known[op.name]) if rule else f"hls4ml has no layer for {type(op).__name__.lower()}"
        found = reason or (rule(op, site) if rule else "")
        if isinstance(found, str):
            refused.append(Refusal(layer=op.layer, op=op.name, reason=found))
            types[op.name] = holding(known[op.name])  # for the reasons of what follows
        else:
            layers += found
            types[op.name] = found[-1].types["result"]
    return HlsNetwork(program=program, output=words[program.output], layers=tuple(layers), host=host), refused


def _unrefused(network: HlsNetwork, refused: list[Refusal], backend: Backend, io: Io) -> HlsNetwork:
    """Return the network. Raises LowerError where an operation was refused, and where nothing is computed."""
    if refused:
        lines = "".join(f"\n  {refusal}" for refusal in refused)
        raise LowerError(
            f"program {network.program.name!r} is not handed over: for {len(refused)} of its operations hls4ml's "
            f"{backend.value} back end ({io.value}) has nothing that equals them to the bit:{lines}\n"
            "change these layers, or compile them by `gatewright build`"
        )
    if not network.host and not any(map(_computes, network.layers)):  # hls4ml gives input and result one name
        raise LowerError(
            f"program {network.program.name!r} is not handed over: it computes nothing, its result is its input, "
            "at most in another shape"
        )
    return network


def _computes(layer: HlsLayer) -> bool:
    """Tell whether a layer gives other numbers than it reads; hls4ml leaves out a scale of 1 with an offset of 0."""
    if layer.kind == "ApplyAlpha":
        return bool(np.any(layer.settings["scale_data"] != 1) or np.any(layer.settings["bias_data"] != 0))
    return layer.kind not in ("InputLayer", "Reshape")


def _without_host(program: Program) -> tuple[Program, tuple[str, ...]]:
    """Return what the output needs, without the choices at its end, and their names in order."""
    host: list[str] = []
    output = program.output
    while isinstance(last := program.op(output), HOST):
        host.insert(0, last.name)
        output = last.source
    needed = {output, program.input.name}
    for op in reversed(program.ops):
        if op.name in needed:
            needed.update(sources(op))
    ops = tuple(op for op in program.ops if op.name in needed)
    used = {name for op in ops for name in constants_of(op)}
    tables = {name: table for name, table in program.constants.items() if name in used}
    return replace(program, ops=ops, output=output, constants=tables), tuple(host)

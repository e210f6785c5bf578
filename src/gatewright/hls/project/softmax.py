"""A softmax of hls4ml and what it reads in; the integers that its two tables give, and what they lose, out.

hls4ml 1.3, nnet_activation.h: a table is read by the top bits of its address, so that its step follows from the width
of the type that addresses it; of `stable` that is the difference to the greatest score, in a type one bit narrower than
the scores'. The exponentials' sum addresses the second table, of reciprocals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewright.errors import LowerError
from gatewright.fixedpoint import Fixed, Ints
from gatewright.hls.layers import HlsType
from gatewright.hls.project.functions import finished
from gatewright.hls.project.network import ReadLayer
from gatewright.hls.project.numbers import Floats, Loss, Signal, assign, assign_real
from gatewright.hls.project.sums import Computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """How a table is read: by the top bits of a type."""

    kind: HlsType
    size: int

    @property
    def drop(self) -> int:
        """Return how many low bits are not read."""
        return self.kind.fixed.width_bits - max(self.size - 1, 0).bit_length()

    @property
    def step(self) -> float:
        """Return the distance of the numbers that neighbouring entries stand for."""
        return 2.0 ** (self.drop - self.kind.fixed.frac_bits)

    def points(self) -> Floats:
        """Return the number that each entry stands for, as float32 holds it. (size,)."""
        q = np.arange(self.size, dtype=np.int64) << self.drop
        if self.kind.fixed.signed:
            q = np.where(q > self.kind.fixed.hi, q - (1 << self.kind.fixed.width_bits), q)
        return (q * 2.0**-self.kind.fixed.frac_bits).astype(np.float32).astype(np.float64)

    def entry(self, q: Ints) -> Ints:
        """Return the entries that integers of the type read. Any shape, same out."""
        return (q & ((1 << self.kind.fixed.width_bits) - 1)) >> self.drop


def softmax(layer: ReadLayer, sources: Sequence[Signal]) -> Computed | None:
    """Return a softmax over the last axis, None for an implementation that is not predicted (`legacy`)."""
    (source,) = sources
    how = str(layer.settings["implementation"])
    if int(layer.settings.get("n_inner", 1)) != 1 or how not in ("stable", "latency", "argmax"):
        return None
    x = source.q.reshape(-1, rows_of(layer))
    if how == "argmax":
        best = np.zeros_like(x)
        best[np.arange(len(x)), x.argmax(axis=1)] = 1
        return finished(layer, best.reshape(source.q.shape), 0)
    stable = how == "stable"
    kind = (
        HlsType(fixed=Fixed.parse(_configured(layer, r"ap_(u?fixed<\d+, *-?\d+>) inp_norm_t")))
        if stable
        else source.kind
    )
    first = Address(kind=kind, size=int(_configured(layer, r"exp_table_size = (\d+)")))
    second = Address(kind=layer.type("inv_inp"), size=int(_configured(layer, r"inv_table_size = (\d+)")))
    given = x.max(axis=1, keepdims=True) - x if stable else x
    read, read_loss = assign(given, source.kind.fixed.frac_bits, kind, "inp_norm")
    exp_kind, inv_kind, accum = (layer.type(role) for role in ("exp_table", "inv_table", "accum"))
    exponential = np.exp(-first.points() if stable else first.points())  # glibc's expf, rounded once
    exp_table, exp_loss = assign_real(exponential.astype(np.float32).astype(np.float64), exp_kind, "exp_table")
    with np.errstate(divide="ignore"):
        inverse = (np.float32(1) / second.points().astype(np.float32)).astype(np.float64)
    inv_table, _ = assign_real(inverse, inv_kind, "inv_table")
    entries = first.entry(read)
    powers, _ = assign(exp_table[entries], exp_kind.fixed.frac_bits, accum, "accum")
    total, sum_loss = assign(powers.sum(axis=1, keepdims=True), accum.fixed.frac_bits, accum, "accum")
    summed, in_loss = assign(total, accum.fixed.frac_bits, second.kind, "inv_inp")
    inverted = inv_table[second.entry(summed)]
    signal, (result,) = finished(
        layer, (powers * inverted).reshape(source.q.shape), accum.fixed.frac_bits + inv_kind.fixed.frac_bits
    )
    same = (entries == entries[:, :1]).all(axis=1) & (x != x[:, :1]).any(axis=1)
    remark = (
        f"{first.size:,} entries, read in steps of {first.step:g} over {float(given.max(initial=0)) * _lsb(source):g}: "
        f"all scores of {int(same.sum()):,} of {len(x):,} vectors read one entry"
    )
    reciprocal = np.abs(inverted * _scale(inv_kind) - 1 / np.maximum(summed * _scale(second.kind), second.step))
    told = (
        replace(read_loss, rounded=int(same.sum()) * x.shape[1], remark=remark),
        exp_loss,
        sum_loss,
        replace(in_loss, remark=f"{second.size:,} reciprocals, read in steps of {second.step:g}"),
        Loss(
            role="inv_table", kind=inv_kind, of=inverted.size, rounded=int((reciprocal > 0).sum()), overflowed=0,
            least=float(inverse[1:].min()), greatest=float(inverse[1:].max()), worst=float(reciprocal.max(initial=0.0)),
        ),
        result,
    )  # fmt: skip
    return signal, told


def exact_softmax(layer: ReadLayer, x: Floats) -> Floats:
    """Return a softmax in real numbers. x: (n, *shape), same out."""
    rows = x.reshape(-1, rows_of(layer))
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).reshape(len(x), *layer.shape)


def rows_of(layer: ReadLayer) -> int:
    """Return over how many scores a softmax is taken."""
    return int(layer.settings["n_in"]) // int(layer.settings.get("n_outer", 1))


def _configured(layer: ReadLayer, pattern: str) -> str:
    """Return what hls4ml writes into a layer's C++ configuration."""
    hit = re.search(pattern, str(layer.settings.get("config_cpp", "")))
    if hit is None:
        raise LowerError(f"layer {layer.name!r}: hls4ml's configuration of its softmax has nothing like {pattern!r}")
    return hit[1]


def _scale(kind: HlsType) -> float:
    return 2.0**-kind.fixed.frac_bits


def _lsb(source: Signal) -> float:
    return _scale(source.kind)

"""The small networks of a LUT-dense layer's edges and their quantizers in, their tables out.

Each edge is a function of few codes, evaluated here for every one, in float32 as Keras computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.fixedpoint import Ints, frac_bits
from gatewright.graph.functions import activate
from gatewright.graph.nodes import Activation
from gatewright.importers.keras import hgq2

Single = NDArray[np.float32]
MOST_ENTRIES = 1 << 24  # of the tables of one layer
CHUNK = 1 << 24  # hidden values that are held at once
STEP_BITS = 20  # between the finest table's step and the coarsest: weights have no more bits


@dataclass(frozen=True, slots=True)
class Edges:
    """What the edges of a layer compute: hidden layers' (kernel, bias), then scale and offset, then the quantizer."""

    layers: list[tuple[Single, Single | None]]
    hidden: Activation | None
    scale: Single | None
    offset: Single | None
    divisor: float
    result: hgq2.Format | None

    def __call__(self, x: Single, inputs: slice) -> NDArray[np.float64]:
        """Return the results of the edges of some inputs. x: (codes, inputs, n_out)."""
        y = x[..., None]
        for kernel, bias in self.layers[:-1]:
            y = _product(y, kernel[inputs]) if bias is None else _product(y, kernel[inputs]) + bias[inputs]
            y = y if self.hidden is None else activate(self.hidden, y).astype(np.float32)
        kernel, bias = self.layers[-1]
        out = _product(y, kernel[inputs][..., None])[..., 0]
        out = out if bias is None else out + bias[inputs]
        if self.scale is not None and self.offset is not None:
            out = ((out * self.scale + self.offset) / np.float32(self.divisor)).astype(np.float32)
        if self.result is None:
            raise AssertionError("layers refuse a result without a format")
        part = self.result.part(inputs, x.shape[1:])
        return hgq2.applied(part, out.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Tables:
    """Edge e, outputs before inputs, at code q: least[e] + step[e] * values[e, q - first]; q means q * 2**-frac_bits.

    values: (edges, codes), whole numbers from 0 on; step: powers of two, 0 where the edge is a constant.
    """

    first: int
    frac_bits: int
    values: NDArray[np.float64]
    step: NDArray[np.float64]
    least: NDArray[np.float64]


def _product(y: Single, kernel: Single) -> Single:
    """Return y (codes, i, o, d) times kernel (i, o, d, D), summed over d, each sum rounded to float32 once."""
    return np.einsum("niod,iodD->nioD", y.astype(np.float64), kernel.astype(np.float64)).astype(np.float32)


def tabulated(where: str, form: hgq2.Format, edges: Edges, n_in: int, n_out: int) -> Tables:
    """Evaluate the edges for every code of their quantizers, on the finest edge's grid."""
    exponent = int(np.log2(form.scaler))
    live = ~form.nothing
    frac = form.frac - exponent  # of the values that the codes stand for
    finest = int(frac[live].max()) if live.any() else 0
    up = np.where(live, finest - frac, 0.0)
    if live.any() and float(up.max()) > 40:
        raise ModelError(f"{where}: its edges' formats lie {int(up.max())} bits apart; at most 40 are supported")
    lows, highs = (
        np.where(live, np.ldexp(end.astype(np.float64), up.astype(np.int64)), 0) for end in (form.lo, form.hi)
    )
    first, last = int(lows.min()), int(highs.max())
    count = last - first + 1
    if count * n_in * n_out > MOST_ENTRIES:
        raise ModelError(
            f"{where}: {n_in * n_out} edges of {count:,} codes; at most {MOST_ENTRIES:,} entries are supported"
        )
    q = np.arange(first, last + 1, dtype=np.float64)[:, None, None]
    spread = [part.reshape(-1, *part.shape[-2:]) for part in (up, form.lo, form.hi, form.nothing, frac)]
    same = [np.broadcast_to(part[:1], (1, n_in, n_out))[0] for part in spread]
    if any((part != part[:1]).any() for part in spread):  # of several positions: the union of their codes
        same = [
            np.broadcast_to(part, (1, n_in, n_out))[0]
            for part in (np.zeros((1, 1, 1)), *(np.array([[[end]]]) for end in (first, last)),
                         np.zeros((1, 1, 1), bool), np.full((1, 1, 1), float(finest)))
        ]  # fmt: skip
    shift, lo, hi, nothing, own = same
    values = np.empty((count, n_in, n_out))
    step = max(1, CHUNK // (count * n_out * max(kernel.shape[-1] for kernel, _ in edges.layers)))
    for at in range(0, n_in, step):
        part = slice(at, min(at + step, n_in))
        code = np.clip(np.floor(q / np.exp2(shift[part])), lo[part], hi[part])
        x = np.where(nothing[part], 0.0, code * np.exp2(-own[part]))
        values[:, part] = edges(x.astype(np.float32), part)
    return _reduced(values.transpose(2, 1, 0).reshape(n_out * n_in, -1), first, finest)


def _reduced(values: NDArray[np.float64], first: int, frac: int) -> Tables:
    """Take the least entry and the common power of two out of each table: fewer bits to add."""
    least = values.min(axis=1)
    fine = frac_bits(values)
    above: Ints = np.ldexp(values - least[:, None], fine).astype(np.int64)
    common: Ints = np.bitwise_or.reduce(above, axis=1)
    lsb = np.where(common == 0, 0, common & -common)
    if lsb.any():
        lsb = np.minimum(lsb, lsb[lsb > 0].min() << STEP_BITS)
    entries = (above // np.maximum(lsb, 1)[:, None]).astype(np.float64)
    return Tables(first, frac, entries, np.ldexp(lsb.astype(np.float64), -fine), least)

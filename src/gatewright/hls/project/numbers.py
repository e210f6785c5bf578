"""Values and a C++ number type in, what an assignment to it keeps, and how many values it changes, out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import FormatError
from gatewright.fixedpoint import MAX_BITS, Fixed, Ints, Overflow, round_to_integers, rounded
from gatewright.hls.layers import AP_OVERFLOW, AP_ROUNDING, HlsType

Floats = NDArray[np.float64]
_ROUNDING = {word: mode for mode, word in AP_ROUNDING.items()}
_OVERFLOW = {word: mode for mode, word in AP_OVERFLOW.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """A result as the C++ holds it: q * 2**-frac_bits of its type. q: (n, *shape)."""

    q: Ints
    kind: HlsType

    @property
    def values(self) -> Floats:
        """Return the numbers, exact for types of at most 53 bits."""
        return self.q.astype(np.float64) * 2.0**-self.kind.fixed.frac_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one assignment changes.

    role: whose type it is, by hls4ml's word; kind: the type; of: how many values were assigned; rounded, overflowed:
    how many lost low bits, lay outside; least, greatest: between what the values lay; worst: the greatest change;
    possible: between what sums of any values of the source's type would lie, None of what is no sum; remark: how a
    table is read.
    """

    role: str
    kind: HlsType
    of: int
    rounded: int
    overflowed: int
    least: float
    greatest: float
    worst: float
    possible: tuple[float, float] | None = None
    remark: str = ""

    @property
    def may_overflow(self) -> bool:
        """Whether sums of other inputs, of the source's type, can lie outside of the type."""
        lo, hi = (end * 2.0**-self.kind.fixed.frac_bits for end in ends(self.kind))
        return self.possible is not None and (self.possible[0] < lo or self.possible[1] > hi)


def parse_type(text: str) -> HlsType:
    """Return the type that `fixed<16,6,TRN,WRAP,0>` names. Raises FormatError for what is no such type."""
    head, _, modes = text.removesuffix(">").partition(",")
    parts = modes.split(",")
    if "fixed<" not in head or len(parts) != 4 or parts[1] not in _ROUNDING or parts[2] not in _OVERFLOW:
        raise FormatError(f"type {text!r} must be a fixed-point one such as fixed<16,6,TRN,WRAP,0>")
    if parts[3] != "0":
        raise FormatError(f"type {text!r} has {parts[3]} saturation bits, which are not understood; expected 0")
    return HlsType(fixed=Fixed.parse(f"{head},{parts[0]}>"), rounding=_ROUNDING[parts[1]], overflow=_OVERFLOW[parts[2]])


def spelled(kind: HlsType) -> str:
    """Return a type as users write it, without the modes that are C++'s defaults."""
    return str(kind).removesuffix(",0>").removesuffix(",TRN,WRAP") + ">"


def ends(kind: HlsType) -> tuple[int, int]:
    """Return the lowest and the highest integer that an assignment to the type can leave."""
    fixed = kind.fixed
    symmetric = kind.overflow is Overflow.SATURATE_SYMMETRIC and fixed.signed
    return (-fixed.hi if symmetric else fixed.lo), fixed.hi


def assign(q: Ints, frac_bits: int, kind: HlsType, role: str) -> tuple[Ints, Loss]:
    """Assign integers of a full-precision result to a type. q: any shape, q * 2**-frac_bits."""
    drop = frac_bits - kind.fixed.frac_bits
    peak = int(np.abs(q).max(initial=0)).bit_length()
    if drop > MAX_BITS or peak - min(drop, 0) > MAX_BITS:
        raise FormatError(f"{role}: {peak} bits at a step of 2**-{frac_bits} do not fit int64 as {kind}")
    kept = rounded(q, drop, kind.rounding)
    stored, outside = _overflow(kept, kind)
    wanted = q.astype(np.float64) * 2.0**-frac_bits
    got = stored.astype(np.float64) * 2.0**-kind.fixed.frac_bits
    exact = q if drop <= 0 else kept << drop
    return stored, _loss(role, kind, wanted, got, int((exact != q).sum()) if drop > 0 else 0, outside)


def assign_real(values: Floats, kind: HlsType, role: str) -> tuple[Ints, Loss]:
    """Assign doubles to a type, as C++ does. values: any shape; infinite ones saturate, or wrap to 0."""
    step = 2.0**-kind.fixed.frac_bits
    most = 2.0**MAX_BITS
    whole = round_to_integers(np.clip(values / step, -most, most), kind.rounding)
    far = np.isinf(values)
    kept = np.where(far, np.copysign(most, values), whole).astype(np.int64)
    stored, outside = _overflow(kept, kind)
    if kind.overflow is Overflow.WRAP:
        stored = np.where(far, 0, stored)
    finite = np.where(far, 0.0, values)
    lost = int(((whole * step != values) & ~far).sum())
    return stored, _loss(role, kind, finite, np.where(far, 0.0, stored * step), lost, outside)


def printed(values: Floats, kind: HlsType) -> Floats:
    """Return weights as hls4ml writes them down: decimals, as many as the type has fractional bits."""
    places = max(0, kind.fixed.frac_bits)
    return np.array([float(f"{value:.{places}f}") for value in values.reshape(-1).tolist()]).reshape(values.shape)


def _overflow(q: Ints, kind: HlsType) -> tuple[Ints, int]:
    lo, hi = ends(kind)
    outside = int(((q < lo) | (q > hi)).sum())
    if kind.overflow is not Overflow.WRAP:
        return np.clip(q, lo, hi), outside
    return ((q - lo) & ((1 << kind.fixed.width_bits) - 1)) + lo, outside


def _loss(role: str, kind: HlsType, wanted: Floats, got: Floats, lost: int, outside: int) -> Loss:
    return Loss(
        role=role,
        kind=kind,
        of=wanted.size,
        rounded=lost,
        overflowed=outside,
        least=float(wanted.min(initial=np.inf)) if wanted.size else 0.0,
        greatest=float(wanted.max(initial=-np.inf)) if wanted.size else 0.0,
        worst=float(np.abs(got - wanted).max(initial=0.0)),
    )

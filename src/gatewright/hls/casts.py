"""Casts in; the hls4ml layers that round and overflow as they do, or the reason of a refusal, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewright.fixedpoint import Fixed, Overflow, Rounding
from gatewright.hls.layers import AP_OVERFLOW, AP_ROUNDING, HlsLayer, HlsType, Io
from gatewright.hls.site import Found, Numbers, Site, affine, holding, layer_of, named, step
from gatewright.ir import Op
from gatewright.ir.ops import Requant
from gatewright.ir.rounding import spread

_BIT = HlsType(fixed=Fixed(width_bits=1, frac_bits=0, signed=False))
Kind = tuple[bool, int, int]
"""A format: whether it is signed, its width, 0 where it holds 0 alone, and its bits behind the point."""


def requant(op: Op, site: Site) -> Found:
    """Return a cast to one type; where the elements' formats differ a quantizer, or a sum of casts of some each."""
    assert isinstance(op, Requant)
    if op.rounding not in AP_ROUNDING:
        return f"rounding {op.rounding.value} is no mode of ap_fixed or ac_fixed; choose another"
    kinds = _kinds(op, site)
    if not site.xilinx and any(width == 1 for _, width, _ in kinds):
        return f"a format of one bit, of which hls4ml makes one of two in {site.backend.value}"
    if len(set(kinds)) == 1 and kinds[0][1]:
        settings = {"activation": "linear"}
        return (layer_of(op, site, "Activation", op.source, settings=settings, result=_type(op, kinds[0])),)
    if site.xilinx and site.io is Io.PARALLEL:
        return (layer_of(op, site, "FixedPointQuantizer", op.source, settings=_quantizer(op, site, kinds)),)
    return _sum_of_casts(op, site, kinds)


def _quantizer(op: Requant, site: Site, kinds: Sequence[Kind]) -> dict[str, Any]:
    """Return the settings of hls4ml's quantizer with a type for each element, which its other back ends never write."""
    signs, widths, keeps = (np.array(part, dtype=np.int64) for part in zip(*kinds, strict=True))
    shape = site.shape(op.name)
    return {
        "mask_kbi": tuple(part.reshape(1, *shape) for part in (signs, widths, widths - keeps)),
        "RND": AP_ROUNDING[op.rounding],
        "SAT": AP_OVERFLOW[op.overflow],
        "overrides": {},
        "fusible": False,
    }


def _sum_of_casts(op: Requant, site: Site, kinds: Sequence[Kind]) -> Found:
    """Return a cast for each format, each times 1 where it holds and 0 elsewhere, and the sum of these products."""
    total = holding(site.known[op.name])
    formats = sorted({kind for kind in kinds if kind[1]})
    made: list[HlsLayer] = []
    parts: list[str] = []
    for number, kind in enumerate(formats):
        settings = {"activation": "linear"}
        cast = step(
            op, site, f"cast{number}", "Activation", site.words[op.source], settings=settings, result=_type(op, kind)
        )
        here = np.array([other == kind for other in kinds], dtype=np.float64)
        made += [cast, _times(op, site, f"part{number}", cast.name, here, total)]
        parts.append(made[-1].name)
    if not formats:
        made.append(_times(op, site, "part0", site.words[op.source], np.zeros(len(kinds)), total))
    for number in range(2, len(formats) + 1):
        inputs = (parts[0] if number == 2 else made[-1].name, parts[number - 1])
        made.append(step(op, site, f"sum{number}", "Merge", *inputs, settings={"op": "add"}, result=total))
    return (*made[:-1], named(made[-1], op, site))


def _times(op: Requant, site: Site, word: str, source: str, scale: Numbers, result: HlsType) -> HlsLayer:
    settings = affine(scale, np.zeros_like(scale))
    return step(op, site, word, "ApplyAlpha", source, settings=settings, result=result, scale=_BIT, bias=_BIT)


def _kinds(op: Requant, site: Site) -> list[Kind]:
    """Return the format of each element.

    That of 0 has one that rounds more bits away than there are, where AMD's ap_fixed reads past the value's end, and
    beside AMD one of one bit that is always 0: hls4ml writes types of one bit with two.
    """
    source, result = site.known[op.source], site.known[op.name]
    rounds = op.rounding is not Rounding.TRUNCATE
    parts = (spread(part, result.lo.size) for part in (op.signed, op.width_bits, op.keep_frac_bits))
    ends = zip(result.lo.ravel(), result.hi.ravel(), strict=True)
    kinds: list[Kind] = []
    for signed, width, keep, (low, high) in zip(*parts, ends, strict=True):
        lost = rounds and source.frac_bits - keep > source.width_bits
        idle = width == 1 and not site.xilinx and low == high == 0
        none = lost or idle or _is_zero(op, width, signed)
        kinds.append((False, 0, 0) if none else (bool(signed), int(width), int(keep)))
    return kinds


def _type(op: Requant, kind: Kind) -> HlsType:
    signed, width, keep = kind
    fixed = Fixed(width_bits=width, frac_bits=keep, signed=signed)
    return HlsType(fixed=fixed, rounding=op.rounding, overflow=op.overflow if signed else _unsigned(op.overflow))


def _is_zero(op: Requant, width: int, signed: bool) -> bool:
    return width == 0 or (width == 1 and signed and op.overflow is Overflow.SATURATE_SYMMETRIC)


def _unsigned(overflow: Overflow) -> Overflow:
    """Return the same for numbers without a sign, among which the symmetric range is the whole one."""
    return Overflow.SATURATE if overflow is Overflow.SATURATE_SYMMETRIC else overflow

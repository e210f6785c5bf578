"""A design and the widths that a bus may have in; the width that the core wants, and frames in such beats, out."""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.instrument.registers import Frame
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.reshell import Reshelled


def width_for(manifest: RtlManifest, widths: Sequence[int]) -> int:
    """Return the fewest bits of a beat with which neither vectors nor results take longer than the core.

    The widest, where none suffices.
    """
    pieces, every = manifest.core_beats, manifest.claims.initiation_interval
    for width in widths:
        ports = zip((manifest.source, manifest.result), pieces, strict=True)
        beats = [count * -(-port.vector_bits // count // width) for port, count in ports]
        if max(beats) <= every:
            return width
    return widths[-1]


def frames(shell: Reshelled, beat_bits: int, frac_bits: tuple[int, int]) -> tuple[Frame, Frame]:
    """Return how vectors and results lie in beats of so many bits. frac_bits: of the codes of each."""
    x, y = (
        Frame(
            elements=port.elements,
            width_bits=port.width_bits,
            signed=port.signed,
            frac_bits=fraction,
            beats=pieces,
            beat_bits=beat_bits,
        )
        for port, pieces, fraction in zip((shell.source, shell.result), shell.pieces, frac_bits, strict=True)
    )
    return x, y

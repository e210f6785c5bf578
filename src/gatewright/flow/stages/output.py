"""A configuration in, what leaves the chip out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewright.config import Config

if TYPE_CHECKING:
    from gatewright.ir import OutputStage


def output_stage(config: Config) -> OutputStage:
    """Return what leaves the chip, as [hardware] says."""
    from gatewright.ir import OutputStage

    h = config.hardware
    return OutputStage(
        kind=h.output,
        top_k=h.top_k,
        threshold=h.threshold,
        softmax=h.softmax,
        softmax_format=h.softmax_format,
        softmax_entries=h.softmax_entries,
    )

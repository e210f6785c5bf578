"""A configuration in, the output stage that its table hardware describes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewright.config import Config
    from gatewright.ir import OutputStage


def output_settings(config: Config) -> dict[str, Any]:
    """Return the fields of the output stage that [hardware] describes: what a stage's key holds of it."""
    h = config.hardware
    return {
        "kind": h.output,
        "top_k": h.top_k,
        "threshold": h.threshold,
        "softmax": h.softmax,
        "softmax_format": h.softmax_format,
        "softmax_entries": h.softmax_entries,
    }


def output_stage(config: Config) -> OutputStage:
    """Return the output stage that [hardware] describes."""
    from gatewright.ir import OutputStage

    return OutputStage(**output_settings(config))

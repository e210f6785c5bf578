"""What was judged and what is suggested in; a table for the terminal, and the same as plain values, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.hls.project.judge import Judged, LayerJudged, Verdict
from gatewright.hls.project.numbers import Loss, spelled
from gatewright.hls.project.suggest import Suggestion

_LOST = ("weight", "scale", "bias", "accum", "result")


def judged_table(judged: Judged) -> str:
    """Return one line for each layer: its verdict, how far it is from the framework, and what its types lose."""
    wide = max(len(layer.name) for layer in judged.layers)
    head = f"{'layer':<{wide}}  {'class':<14}{'verdict':<9}{'error':>9}{'own':>9}{'greatest':>10}  what is lost"
    lines = [head, *(_line(layer, wide) for layer in judged.layers)]
    lines += [f"note: {note}" for note in judged.notes]
    broken = judged.broken
    lines.append(f"first layer that breaks: {broken.name}" if broken else "no layer breaks")
    if judged.same_class is not None:
        lines.append(f"class as the framework's: {judged.same_class:.1%} of {judged.samples:,} samples")
    return "\n".join(lines)


def suggested_table(suggestion: Suggestion) -> str:
    """Return what to set, an entry of LayerName a line."""
    wide = max(len(name) for name in suggestion.layers)
    return "\n".join(f"{name:<{wide}}  {_settings(settings)}" for name, settings in suggestion.layers.items())


def record(judged: Judged, limits: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the same for programs. limits: a bound on each layer's error, None where there is none."""
    broken, different = judged.broken, judged.first_different
    return {
        "samples": judged.samples,
        "data": judged.data,
        "same_class": judged.same_class,
        "first_broken": broken.name if broken else None,
        "first_different": different.name if different else None,
        "notes": list(judged.notes),
        "layers": [
            {
                "name": layer.name,
                "class": layer.kind,
                "verdict": layer.verdict.value,
                "error": layer.error,
                "own_error": layer.own,
                "greatest": layer.peak,
                "error_bound": limits.get(layer.name),
                "equal": layer.equal,
                "values": layer.values,
                "framework": layer.reference.node,
                "losses": [_loss(loss) for loss in layer.losses],
            }
            for layer in judged.layers
        ],
    }


def _line(layer: LayerJudged, wide: int) -> str:
    numbers = f"{layer.error:>9.2g}{layer.own:>9.2g}{layer.peak:>10.4g}"
    told = [loss for loss in layer.losses if loss.may_overflow or layer.verdict is not Verdict.EQUAL]
    words = "; ".join(filter(None, map(_words, told)))
    return f"{layer.name:<{wide}}  {layer.kind:<14.13}{layer.verdict.value:<9}{numbers}  {words}".rstrip()


def _words(loss: Loss) -> str:
    """Return what a type loses, "" where that is nothing."""
    name = f"{loss.role} {spelled(loss.kind)}"
    if loss.overflowed:
        what = "wrap" if loss.kind.overflow.value == "wrap" else "are cut"
        seen = f"{loss.overflowed:,} of {loss.of:,} {what}, they reach {loss.least:.4g} .. {loss.greatest:.4g}"
        return f"{name}: {seen}" + (f" ({loss.remark})" if loss.remark else "")
    if loss.remark:
        return f"{name}: {loss.remark}"
    if loss.possible is not None and loss.may_overflow:
        return f"{name}: sums of other inputs can reach {loss.possible[0]:.4g} .. {loss.possible[1]:.4g}"
    if not loss.rounded or loss.role not in _LOST:
        return ""
    return (
        f"{name}: {loss.rounded:,} of {loss.of:,} rounded, up to {loss.worst:.2g}"
        if loss.worst
        else (f"{name}: {loss.rounded:,} products lose bits")
    )


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "role": loss.role,
        "type": spelled(loss.kind),
        "values": loss.of,
        "rounded": loss.rounded,
        "overflowed": loss.overflowed,
        "least": loss.least,
        "greatest": loss.greatest,
        "worst": loss.worst,
        "possible": loss.possible,
        "may_overflow": loss.may_overflow,
        "remark": loss.remark,
    }


def _settings(settings: Mapping[str, Any]) -> str:
    precision = ", ".join(f"{role} {kind}" for role, kind in settings["Precision"].items())
    others = "".join(f"; {key} {value}" for key, value in settings.items() if key != "Precision")
    return precision + others

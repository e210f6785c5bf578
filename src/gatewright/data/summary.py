"""A Dataset in, the lines that `gatewright data` prints out: rows and classes per split, ranges, what was clipped."""

from __future__ import annotations

import numpy as np

from gatewright.data.dataset import SPLITS, Dataset

_FEATURES = 16  # shown one by one
_CLASSES = 12


def summary_text(data: Dataset) -> str:
    """Return what a dataset holds, as aligned lines."""
    contract = data.contract
    shape = " x ".join(map(str, data.shape))
    lines = [f"{len(data.x):,} samples of {shape} {'features' if len(data.shape) == 1 else 'values'}, as {data.format}"]
    if why := contract["format"].get("chosen", ""):
        lines.append(f"  the format: {why}")
    missing = contract.get("missing", [])
    if missing:
        lines.append("  gaps: filled with the training means")
    lines += [f"  split: {contract['split']['method']}, seed {contract['split']['seed']}", ""]
    lines += _targets(data)
    if groups := contract["split"].get("groups"):
        lines.append(f"{'groups':<20}" + "".join(f"{groups[name]:>12,}" for name in SPLITS))
    clipped = {name: count for name, count in contract.get("clipped", {}).items() if count}
    for name, count in clipped.items():
        cells = contract["split"]["rows"][name] * data.x.shape[1]
        lines.append(f"  clipped to the format: {count:,} values of the {name} split ({count / cells:.2%})")
    return "\n".join([*lines, *_ranges(data)])


def _targets(data: Dataset) -> list[str]:
    heads = "".join(f"{name:>12}" for name in SPLITS)
    if data.task != "classification":
        rows = "".join(f"{int((data.split == part).sum()):>12,}" for part in range(len(SPLITS)))
        y = data.y.reshape(len(data.y), -1)
        names = data.contract.get("targets") or [f"target {number}" for number in range(1, y.shape[1] + 1)]
        spans = [f"{name}: {column.min():g} to {column.max():g}" for name, column in zip(names, y.T, strict=True)]
        return [f"{'':<20}{heads}", f"{'rows':<20}{rows}", *spans]
    counts = np.array(
        [np.bincount(data.y[data.split == part], minlength=len(data.classes)) for part in range(len(SPLITS))]
    )
    shown = range(len(data.classes)) if len(data.classes) <= _CLASSES else range(_CLASSES - 1)
    lines = [f"{'class':<20}{heads}{'share':>9}"]
    for index in shown:
        row = "".join(f"{count:>12,}" for count in counts[:, index])
        lines.append(f"{data.classes[index][:19]:<20}{row}{counts[:, index].sum() / len(data.y):>9.1%}")
    if len(shown) < len(data.classes):
        lines.append(f"... and {len(data.classes) - len(shown)} more classes")
    lines.append(f"{'rows':<20}" + "".join(f"{count:>12,}" for count in counts.sum(axis=1)))
    return lines


def _ranges(data: Dataset) -> list[str]:
    """Return each feature's codes in the training split, as real numbers; of many features only the outermost."""
    train, step = data.x[data.split == 0], 2.0**-data.format.frac_bits
    low, high = train.min(axis=0) * step, train.max(axis=0) * step
    constant = [name for name, a, b in zip(data.feature_names, low, high, strict=True) if a == b]
    lines = [""]
    if len(low) <= _FEATURES:
        mean = train.mean(axis=0) * step
        lines.append(f"{'feature':<20}{'least':>12}{'mean':>12}{'greatest':>12}")
        rows = zip(data.feature_names, low, mean, high, strict=True)
        lines += [f"{name[:19]:<20}{a:>12.5g}{m:>12.5g}{b:>12.5g}" for name, a, m, b in rows]
    else:
        lines.append(f"features: {low.min():g} to {high.max():g}, after scaling")
    if constant:
        names = ", ".join(constant[:_FEATURES]) + (", ..." if len(constant) > _FEATURES else "")
        lines.append(f"constant in the training split, so of no use: {names}")
    return lines

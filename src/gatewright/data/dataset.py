"""The data stage's result: input codes, targets, split and the full record of how they were made."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.data.pieces import slices
from gatewright.errors import DataError, FormatError
from gatewright.fixedpoint import Fixed
from gatewright.tools import DAMAGE, open_npz, write_arrays, write_json

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
AUTO = "auto"  # data.input_format: what the samples need
MAX_WIDTH_BITS = 32  # of an input; of other numbers, fixedpoint.MAX_BITS
MAX_FRAC_BITS = 64


def input_format(spelling: str) -> Fixed:
    """Return the format of the inputs that data.input_format names: `ufixed<W,I>`, `fixed<W,I>` and their like.

    Raises FormatError for a spelling that Fixed.parse does not know, for rounding and overflow modes (conditioning has
    its own), and for a width or a fraction that no input has.
    """
    try:
        if spelling.count(",") > 1 and "fixed" in spelling:
            raise FormatError(f"format {spelling!r} must be without rounding and overflow modes; write fixed<W,I>")
        return check_input(Fixed.parse(spelling))
    except FormatError as error:
        raise FormatError(f"data.input_format: {error}; e.g. ufixed<8,8> for an 8-bit ADC") from None


def check_input(number: Fixed) -> Fixed:
    """Return a format that inputs may have: codes are stored in 32 bits, and made in float64. Else FormatError."""
    if number.width_bits > MAX_WIDTH_BITS:
        raise FormatError(
            f"an input must have 1..{MAX_WIDTH_BITS} bits, not {number.width_bits}; "
            "choose a width the sensor really delivers"
        )
    if not -MAX_FRAC_BITS <= number.frac_bits <= MAX_FRAC_BITS:
        raise FormatError(
            f"an input's fraction must have -{MAX_FRAC_BITS}..{MAX_FRAC_BITS} bits, not {number.frac_bits}; "
            "in fixed<W,I> it is W - I: bring I nearer to W"
        )
    return number


def storage(number: Fixed) -> str:
    """Return the narrowest type, of 8, 16 or 32 bits, that holds an input's codes, as NumPy calls it."""
    size = next(size for size in (1, 2, 4) if 8 * size >= number.width_bits)
    return f"<{'i' if number.signed else 'u'}{size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Conditioned, labelled and split data.

    x: (n, features) input codes within format.lo .. format.hi, each sample flat, row-major, of any integer type: they
    are kept as narrow as the format is, so compute with `part` or `samples`, which are int64.
    shape: of one sample: (features,) of a table or a pulse, (steps, channels), (height, width[, channels]).
    y: (n,) int64 class index (classification) or (n, targets) float64 (regression).
    split: (n,) uint8, 0 train, 1 validation, 2 test. classes: names by index, () for regression.
    contract: JSON-able record of source, window, subsample, scaling and rounding; see `condition`.
    """

    name: str
    task: str
    x: NDArray[np.integer[Any]]
    shape: tuple[int, ...]
    y: NDArray[Any]
    split: NDArray[np.uint8]
    format: Fixed
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    contract: dict[str, Any]

    def __post_init__(self) -> None:
        rows = len(self.x)
        check_input(self.format)
        if self.x.ndim != 2 or self.x.dtype.kind not in "iu" or rows == 0:
            raise DataError(
                f"{self.name}: x must be non-empty integers (n, features), not {self.x.dtype} {self.x.shape}"
            )
        if not self.shape or min(self.shape) < 1 or math.prod(self.shape) != self.x.shape[1]:
            raise DataError(f"{self.name}: a sample's shape must have {self.x.shape[1]} elements, not {self.shape}")
        if self.y.shape[:1] != (rows,) or self.split.shape != (rows,):
            raise DataError(
                f"{self.name}: y and split must have x's {rows} rows, not {self.y.shape} and {self.split.shape}"
            )
        if len(self.feature_names) != self.x.shape[1]:
            raise DataError(
                f"{self.name}: {self.x.shape[1]} features need as many names, not {len(self.feature_names)}"
            )
        low, high = int(self.x.min()), int(self.x.max())
        if low < self.format.lo or high > self.format.hi:
            raise DataError(
                f"{self.name}: codes must lie in {self.format.lo}..{self.format.hi} ({self.format}), not {low}..{high}"
            )
        if int(self.split.max()) >= len(SPLITS):
            raise DataError(f"{self.name}: split must hold 0, 1 or 2, not {int(self.split.max())}")
        if self.task == "classification" and not (int(self.y.min()) >= 0 and int(self.y.max()) < len(self.classes)):
            raise DataError(f"{self.name}: class indices must lie in 0..{len(self.classes) - 1}")

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over the arrays, names, format and contract: equal data, equal checksum, on any machine.

        The shape is not in it: of conditioned data it follows from the contract.
        """
        sha = hashlib.sha256(json.dumps(self._metadata(), sort_keys=True).encode())
        y_type = "<i8" if self.task == "classification" else "<f8"
        for array, dtype in ((self.x, "<i8"), (self.y, y_type), (self.split, "|u1")):
            sha.update(repr(array.shape).encode())
            for rows in slices(array):
                sha.update(np.ascontiguousarray(array[rows], dtype=dtype).data)
        return sha.hexdigest()

    def part(self, name: Split) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return (x, y) of one split: "train", "validation" or "test"."""
        if name not in SPLITS:
            raise DataError(f"split must be one of {', '.join(SPLITS)}, not {name!r}")
        rows = self.split == SPLITS.index(name)
        return self.x[rows].astype(np.int64), self.y[rows]

    def samples(self, name: Split) -> NDArray[np.int64]:
        """Return the input codes of one split in the shape that a sample has: (n, *shape)."""
        return self.part(name)[0].reshape(-1, *self.shape)

    def summary(self) -> dict[str, Any]:
        """Return the counts per split and class, the number of features and the format, JSON-able."""
        splits: dict[str, Any] = {}
        for index, name in enumerate(SPLITS):
            rows = self.split == index
            splits[name] = {"rows": int(rows.sum())}
            if self.task == "classification":
                counts = np.bincount(self.y[rows], minlength=len(self.classes))
                splits[name]["classes"] = dict(zip(self.classes, counts.tolist(), strict=True))
        return {
            "name": self.name,
            "task": self.task,
            "rows": len(self.x),
            "features": self.x.shape[1],
            "targets": 1 if self.y.ndim == 1 else self.y.shape[1],
            "format": str(self.format),
            "classes": list(self.classes),
            "splits": splits,
            "clipped": self.contract.get("clipped", {}),
        }

    def save(self, folder: Path) -> None:
        """Write dataset.npz and dataset.json into `folder`, atomically, with bytes that depend on the data only."""
        x = self.x.astype(storage(self.format), copy=False)
        write_arrays(folder / "dataset.npz", {"x": x, "y": self.y, "split": self.split})
        write_json(folder / "dataset.json", {**self._metadata(), "shape": list(self.shape), "checksum": self.checksum})

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read what `save` wrote. Raises DataError when a file is missing, damaged or not of the other's making."""
        remedy = f"delete the folder {folder} and run again, which writes it anew"
        try:
            meta = json.loads((folder / "dataset.json").read_text())
            with open_npz(folder / "dataset.npz") as archive:
                x, y, split = (archive[key] for key in ("x", "y", "split"))
            data = cls(
                name=meta["name"],
                task=meta["task"],
                x=x,
                shape=tuple(meta["shape"]),
                y=y,
                split=split,
                format=Fixed(**meta["format"]),
                classes=tuple(meta["classes"]),
                feature_names=tuple(meta["feature_names"]),
                contract=meta["contract"],
            )
        except FileNotFoundError as error:
            raise DataError(f"no saved dataset: {error.filename} is missing; {remedy}") from None
        except (*DAMAGE, TypeError) as error:
            raise DataError(f"{folder}: the saved dataset is damaged ({error}); {remedy}") from None
        if data.checksum != meta["checksum"]:
            raise DataError(
                f"{folder}: checksum of dataset.npz must be {meta['checksum'][:12]}..., not {data.checksum[:12]}...; "
                f"its two files are not of one run: {remedy}"
            )
        return data

    def _metadata(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "task": self.task,
            "format": {
                "width_bits": self.format.width_bits,
                "frac_bits": self.format.frac_bits,
                "signed": self.format.signed,
            },
            "classes": list(self.classes),
            "feature_names": list(self.feature_names),
            "contract": self.contract,
        }

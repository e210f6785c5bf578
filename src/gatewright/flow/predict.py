"""A finished run and new samples in, what the hardware would answer out: classes and scores, exactly, without torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import DataError, GatewrightError
from gatewright.ir import ArgMax, Interpreter, Program, Softmax, Thresholds, TopK, load_program, ranges

if TYPE_CHECKING:
    from gatewright.fixedpoint import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is answered to n samples.

    labels: (n,) class names, or (n, targets) numbers of a regression; scores: (n, outputs) real numbers, one per class
    or target: those that the chip compares, in the model's units; result: what leaves the chip, integers; clipped: (n,)
    values of each sample that lay outside the input's format.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64]
    result: Ints
    clipped: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """The integer program of a run, with what makes its inputs and names its outputs.

    contract: of the data's conditioning; classes: names, () for a regression; features: a raw sample's names, () where
    it has another shape than a row; output_scale: what a score times its step is multiplied by.
    """

    program: Program
    contract: dict[str, Any]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    output_scale: NDArray[np.float64]

    @staticmethod
    def load(run: Path | str) -> Predictor:
        """Read a run directory. Raises GatewrightError where it has no data or no program yet."""
        run = Path(run)
        file = run / "program" / "program.txt"
        try:
            meta = json.loads((run / "data" / "dataset.json").read_text())
            exported = json.loads((run / "program" / "export.json").read_text())
        except (OSError, ValueError) as error:
            raise GatewrightError(
                f"{run} must be a run directory that has reached the stage program: {error}; gatewright export makes it"
            ) from None
        contract = meta["contract"]
        plain = len(contract["raw_shape"]) == 1 and contract["raw_shape"][0] == len(meta["feature_names"])
        return Predictor(
            program=load_program(file),
            contract=contract,
            classes=tuple(meta["classes"]),
            features=tuple(meta["feature_names"]) if plain else (),
            output_scale=np.array(exported["output_scale"], dtype=np.float64),
        )

    def predict(self, x: Any) -> Prediction:
        """Return what the hardware answers. x: raw samples as the data's source gave them, (n, *raw shape), or a frame.

        Raises DataError for another shape, and for values outside the format where data.scaling is "none".
        """
        from gatewright.data.conditioning import condition_counted

        codes, clipped = condition_counted(self._raw(x), self.contract)
        program = self.program
        trace, known = Interpreter(program).trace(codes.reshape(len(codes), *program.input.shape)), ranges(program)
        last, result = program.op(program.output), trace[program.output]
        name = last.source if isinstance(last, ArgMax | TopK | Thresholds | Softmax) else program.output
        scores = trace[name].reshape(len(codes), -1) * 2.0 ** -known[name].frac_bits * self.output_scale
        if not self.classes:
            return Prediction(labels=scores, scores=scores, result=result, clipped=clipped)
        if isinstance(last, ArgMax | TopK):
            chosen = result.reshape(len(codes), -1)[:, 0]
        else:
            chosen = scores.argmax(axis=1)
        labels = np.array(self.classes)[chosen]
        return Prediction(labels=labels, scores=scores, result=result, clipped=clipped)

    def read(self, path: Path | str) -> NDArray[Any]:
        """Return the raw samples of a file: .npy, .npz with x, or a text table whose columns have the features' names.

        Other columns are ignored; a table without these names must have as many columns as there are features.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"no file of samples {path}; give a .csv, .npy or .npz file")
        if path.suffix in (".npy", ".npz"):
            from gatewright.tools import DAMAGE, load_npy, open_npz

            try:
                if path.suffix == ".npy":
                    return load_npy(path)
                with open_npz(path) as archive:
                    return archive["x"]
            except DAMAGE as error:
                raise DataError(f"{path} must be a .npy file, or a .npz file with an array x: {error}") from None
        return self._table(path)

    def _table(self, path: Path) -> NDArray[Any]:
        from gatewright.config import Data
        from gatewright.data.readers.layout import read_layout
        from gatewright.data.readers.tables import load_table, numbers

        layout = read_layout(path, Data(source=str(path)), self.features)
        frame = cast(Any, load_table(path, layout))
        columns = layout.names(frame.shape[1])
        width = math.prod(self.contract["raw_shape"])
        if self.features and set(self.features) <= set(columns):
            frame = frame[list(self.features)]
        elif layout.header is not None and self.features and set(self.features) & set(columns):
            lacking = [name for name in self.features if name not in columns]
            raise DataError(
                f"{path}: lacks {len(lacking)} of the run's features: {', '.join(lacking[:8])}; add these columns"
            )
        elif len(columns) != width:
            raise DataError(
                f"{path}: has {len(columns)} columns, but a sample has {width} values; name the columns as the run's "
                f"features, {', '.join(self.features[:8]) or 'or give an .npy file'}"
            )
        x = numbers(frame, path, decimal=layout.decimal, lines=layout, gaps="missing" in self.contract)
        return x.reshape(len(x), *self.contract["raw_shape"])

    def _raw(self, x: Any) -> NDArray[Any]:
        """Return samples as an array; of a frame the features' columns, where it has them."""
        columns: list[Any] = list(getattr(x, "columns", ()))
        named = {str(name): name for name in columns}
        if self.features and set(self.features) <= set(named):
            x = x[[named[name] for name in self.features]]
        raw: NDArray[Any] = np.asarray(x)
        if raw.dtype.kind not in "biuf":
            raise DataError(f"samples must be numbers, not {raw.dtype}; leave columns of text out")
        shape = tuple(self.contract["raw_shape"])
        return raw.reshape(len(raw), *shape) if raw.ndim == 2 and raw[0].size == math.prod(shape) else raw


def prediction_csv(predictor: Predictor, found: Prediction) -> str:
    """Return predictions as CSV text: `class` and a column `score NAME` for each class, or the targets."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if predictor.classes:
        classes = predictor.classes if found.scores.shape[1] == len(predictor.classes) else predictor.classes[-1:]
        writer.writerow(["class", *(f"score {name}" for name in classes)])
        rows = zip(found.labels.tolist(), found.scores.tolist(), strict=True)
        writer.writerows([label, *map(repr, scores)] for label, scores in rows)
    else:
        count = found.scores.shape[1]
        writer.writerow(predictor.contract.get("targets") or [f"target {number + 1}" for number in range(count)])
        writer.writerows([*map(repr, scores)] for scores in found.scores.tolist())
    return text.getvalue()

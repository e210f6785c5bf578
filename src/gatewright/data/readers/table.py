"""What every reader of a laboratory's file returns: a table with one row for each sample; records cut to one length."""

# pandas ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Data
from gatewright.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from gatewright.data.readers.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file's samples, one in each row.

    features: the columns that are features where the configuration names none, None for all that are nothing else.
    nominal: by column, its classes in the file's own order. layout: of a text file, for the lines that errors name.
    """

    frame: pd.DataFrame
    features: tuple[str, ...] | None = None
    nominal: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    layout: Layout | None = None


def records(path: Path, waves: Sequence[NDArray[Any]], fields: Mapping[str, Sequence[Any]], data: Data) -> Table:
    """Return the table of recorded waveforms: columns s0, s1, ... of samples, then the fields and `record`.

    waves: (samples,) each; fields: one value for each wave. With data.record_length each wave gives as many rows as it
    holds whole pieces of that length. record: the wave's number, from 0. Raises DataError for waves of several lengths.
    """
    import pandas as pd

    length = data.record_length
    if not waves:
        raise DataError(f"{path}: holds no records; a file of waveforms must have one at least: record it again")
    if not length:
        length = len(waves[0])
        other = next((number for number, wave in enumerate(waves) if len(wave) != length), None)
        if other is not None:
            raise DataError(
                f"{path}: records must have one length, but record 1 has {length} samples and record {other + 1} has "
                f"{len(waves[other])}; set data.record_length = {min(map(len, waves))}, into which longer ones are cut"
            )
    pieces = [wave[: len(wave) // length * length].reshape(-1, length) if length else wave for wave in waves]
    if not length or not sum(map(len, pieces)):
        raise DataError(
            f"{path}: no record is as long as data.record_length = {data.record_length}, the longest has "
            f"{max(map(len, waves))} samples; lower it"
        )
    names = [f"s{number}" for number in range(length)]
    counts = [len(piece) for piece in pieces]
    told = {"record": range(len(waves)), **fields}
    columns = {name: np.repeat(np.asarray(list(values)), counts) for name, values in told.items()}
    frame = pd.concat([pd.DataFrame(np.concatenate(pieces), columns=names), pd.DataFrame(columns)], axis=1)
    return Table(frame=frame, features=tuple(names))


def truncated(path: Path, kind: str, what: str) -> DataError:
    """Return what to raise for a file that is not as its format says."""
    return DataError(f"{path}: cannot be read as {kind}: {what}; the file is truncated or damaged: fetch it again")

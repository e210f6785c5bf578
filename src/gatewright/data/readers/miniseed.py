"""MiniSEED recordings in, one row per trace (or per piece of data.record_length samples) out: read through obspy."""

# obspy is optional and ships no type stubs
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from gatewright.config import Data
from gatewright.data.readers.table import Table, records, truncated
from gatewright.tools import DAMAGE

KIND = "a MiniSEED recording"
FIELDS = ("network", "station", "location", "channel")


def is_miniseed(head: bytes) -> bool:
    """Say whether a file begins with a record's header: six digits of its number, and its quality's letter."""
    return len(head) > 8 and head[:6].isdigit() and head[6:7] in b"DRQM" and head[7:8] == b" "


def read_miniseed(path: Path, data: Data) -> Table:
    """Read the traces of a MiniSEED file; a gap or an overlap begins a new one. Raises DataError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # obspy's own, of packages it imports and of records cut at the file's end
        from obspy import read
        from obspy.io.mseed import ObsPyMSEEDError

        try:
            stream = read(str(path), format="MSEED")
        except (*DAMAGE, TypeError, ObsPyMSEEDError) as error:
            raise truncated(path, KIND, str(error) or type(error).__name__) from None
    traces = list(stream)
    fields = {name: [str(trace.stats[name]) for trace in traces] for name in FIELDS}
    fields["start"] = [str(trace.stats.starttime) for trace in traces]
    return records(path, [np.asarray(trace.data) for trace in traces], fields, data)

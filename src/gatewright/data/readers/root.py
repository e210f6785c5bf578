"""ROOT files in, the branches of one tree out: read through uproot, in steps of entries.

Branches of vectors of one length become as many columns; those of several lengths (jagged) are left out, so that
a key that names one is told that there is no such column.
"""

# uproot and awkward are optional
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import Data
from gatewright.data.readers.table import Table, truncated
from gatewright.data.readers.vectors import spread
from gatewright.errors import DataError, nearest
from gatewright.tools import DAMAGE

KIND = "a ROOT file"
STEP = "64 MB"


def read_root(path: Path, data: Data) -> Table:
    """Read the tree data.table of a ROOT file, or its only one. Raises DataError listing the trees that exist."""
    import uproot
    from uproot.deserialization import DeserializationError

    try:
        opened: Any = uproot.open(path)
        with opened as file:
            classes: dict[str, str] = file.classnames(cycle=False)
            trees = [name for name, kind in classes.items() if kind == "TTree" or "RNTuple" in kind]
            name = data.table or (trees[0] if len(trees) == 1 else "")
            if name not in trees:
                said = f"has no tree {name!r} (data.table).{nearest(name, trees)}" if name else ""
                several = f"data.table must say which tree is meant; it holds {', '.join(trees) or 'none'}"
                raise DataError(f"{path}: {said or several}")
            return Table(frame=spread(path, _branches(file[name])))
    except DataError:
        raise
    except (*DAMAGE, DeserializationError) as error:
        reason = str(error).strip().splitlines()
        raise truncated(path, KIND, reason[0] if reason else type(error).__name__) from None


def _branches(tree: Any) -> dict[str, Any]:
    """Return the branches that have one shape in every entry: (entries, ...) each."""
    flat = [name for name in tree.keys(recursive=False) if not _jagged(tree[name])]
    steps: dict[str, list[Any]] = {name: [] for name in flat}
    for step in tree.iterate(flat, library="np", step_size=STEP) if flat else ():
        for name in flat:
            steps[name].append(step[name])
    return {name: np.concatenate(parts) if parts else np.empty(0, dtype=np.float64) for name, parts in steps.items()}


def _jagged(branch: Any) -> bool:
    return "[]" in branch.typename or "vector" in branch.typename or "AsObjects" in repr(branch.interpretation)

"""Small plain tables are read without pandas, and exactly as pandas reads them; all others are left to it."""

from pathlib import Path

import numpy as np
import pytest

from gatewright.config import Data
from gatewright.data.readers.layout import read_layout
from gatewright.data.readers.plain import read_plain
from gatewright.data.readers.table import Table
from gatewright.data.readers.tables import load_table, table_raw

RNG = np.random.default_rng(3)
LONG = [f"{value:.19g}" for value in RNG.normal(size=40) * 10.0 ** RNG.integers(-9, 9, 40)]  # more digits than count
KINDS = ["off", "on"] * 20


def both(path: Path, text: str, **keys):
    path.write_text(text)
    data = Data(source=str(path), **keys)
    layout = read_layout(path, data, [data.label_column])
    return read_plain(path, data, layout), table_raw(Table(frame=load_table(path, layout), layout=layout), data, path)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", " | "])
@pytest.mark.parametrize("label", [KINDS, ["7", "10"] * 20, ["0.5", "2"] * 20, ["x1", "2"] * 20])
def test_what_both_read_is_equal(tmp_path: Path, separator: str, label: list[str]):
    rows = zip(LONG, range(40), label, [f"run{i // 8}" for i in range(40)], range(40), strict=True)
    lines = ["a,b,kind,run,day".replace(",", separator), "# by night", *(separator.join(map(str, row)) for row in rows)]
    plain, whole = both(
        tmp_path / "t.txt", "\n".join(lines), label_column="kind", group_column="run", split_column="day"
    )
    assert plain is not None
    assert plain.feature_names == whole.feature_names == ("a", "b")
    for name in ("x", "y", "group", "split"):
        mine, theirs = getattr(plain, name), getattr(whole, name)
        assert mine.tolist() == theirs.tolist()
        assert mine.dtype.kind == theirs.dtype.kind


@pytest.mark.parametrize(
    "cells",
    ["1,,a", "1,NA,a", '"1",2,a', "1,2 mV,a", "1,2,true", "1,2,", "1,1e999,a", "1,2,nan", "1,1 234,a"],
    ids=["gap", "word", "quote", "unit", "truth", "nolabel", "far", "nan", "grouped"],
)
def test_what_is_not_plain_is_left_to_pandas(tmp_path: Path, cells: str):
    path, data = tmp_path / "t.csv", Data(source=str(tmp_path / "t.csv"), label_column="k")
    path.write_text("a,b,k\n" + "1,2,b\n" * 9 + f"{cells}\n")
    assert read_plain(path, data, read_layout(path, data, ["k"])) is None

"""Text tables as laboratories write them: separators, decimal commas, no header, comments, gaps, ranges of columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.config import Data, parse_config
from gatewright.data import Dataset, condition, load_dataset
from gatewright.data.readers.layout import read_layout
from gatewright.data.readers.tables import load_table
from gatewright.errors import DataError

ROWS = [(i, i * i % 17, "ab"[i % 2]) for i in range(40)]


def loaded(path: Path, **data: Any) -> Dataset:
    keys = {"source": str(path), "label_column": "kind", "scaling": "range", **data}
    return load_dataset(parse_config({"name": "t", "data": keys}))


def written(path: Path, sep: str, header: str = "x{0}y{0}kind", decimal: str = ".", before: str = "") -> Path:
    lines = [sep.join((f"{a}{decimal}5", f"{b}{decimal}25", kind)) for a, b, kind in ROWS]
    path.write_text(before + "\n".join(([header.format(sep)] if header else []) + lines) + "\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("sep", "decimal"), [(",", "."), (";", ","), ("\t", ","), ("|", "."), ("  ", "."), (";", ".")], ids=repr
)
@pytest.mark.parametrize("header", ["x{0}y{0}kind", "", "# x{0}y{0}kind"])
def test_every_spelling_gives_the_same_numbers(tmp_path: Path, sep: str, decimal: str, header: str):
    path = written(tmp_path / "d.txt", sep, header, decimal, before="# taken in the lab\n\n")
    named = {} if header else {"label_column": "-1"}
    found = loaded(path, **named)
    assert found.feature_names == (("x", "y") if header else ("0", "1"))
    assert found.contract["source"] == loaded(written(tmp_path / "p.csv", ",")).contract["source"] | {"name": "d.txt"}
    assert found.classes == ("a", "b")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("0,1,2\n5,6,a\n7,8,b\n", ("0", "1", "2")),  # pandas' numbers of columns
        ("5,6,a\n7,8,b\n", None),
        ("t,2020,2021\n1,2,3\n", ("t", "2020", "2021")),
        ("t,v\n", ("t", "v")),
        ("1.5,2\n3,4\n", None),
        ('"a b",c\n1,2\n', ("a b", "c")),
    ],
)
def test_a_header_is_told_from_data(tmp_path: Path, text: str, header: tuple[str, ...] | None):
    path = tmp_path / "d.csv"
    path.write_text(text)
    assert read_layout(path, Data(source="-")).header == header


def test_what_is_said_is_not_guessed(tmp_path: Path):
    path = tmp_path / "d.csv"
    path.write_text("1;2;a\n" * 3)
    said = read_layout(path, Data(source="-", separator="tab", header="yes", decimal=","))
    assert (said.separator, said.header, said.decimal) == ("\t", ("1;2;a",), ",")
    with pytest.raises(DataError, match='separator must be one character, "tab" or "blank", not \'--\''):
        read_layout(path, Data(source="-", separator="--"))


def test_columns_by_range_and_pattern(tmp_path: Path):
    path = tmp_path / "d.csv"
    path.write_text(
        "id,adc_0,adc_1,adc_2,note,kind\n" + "".join(f"{i},{i},{2 * i},{3 * i},n{i},{k}\n" for i, _, k in ROWS)
    )
    assert loaded(path, exclude_columns=["id", "note"]).feature_names == ("adc_0", "adc_1", "adc_2")
    assert loaded(path, feature_columns=["adc_1:adc_2", "id"]).feature_names == ("adc_1", "adc_2", "id")
    assert loaded(path, feature_columns=["adc_*"], exclude_columns=["adc_1"]).feature_names == ("adc_0", "adc_2")
    for keys, text in (
        ({}, "line 2, column 'note' must be a finite number, not 'n0' (40 such cells in this column); repair or drop"),
        ({"feature_columns": ["v*"]}, "data.feature_columns: no column matches 'v*'; columns: id, adc_0"),
        ({"feature_columns": ["adc_2:adc_0"]}, "'adc_2:adc_0' runs backwards; 'adc_2' stands right of 'adc_0'"),
        ({"exclude_columns": ["adc"]}, "has no column 'adc' (data.exclude_columns). Did you mean one of 'adc_0'"),
        ({"label_columns": ["id"]}, "set data.label_column, or data.label_columns for several targets, not both"),
    ):
        config = {"source": str(path), "label_column": "kind", **keys}
        with pytest.raises(DataError) as caught:
            load_dataset(
                parse_config(
                    {"name": "t", "task": "regression" if "label_columns" in keys else "classification", "data": config}
                )
            )
        assert text in str(caught.value)


def test_gaps_are_refused_dropped_or_filled_with_the_training_means(tmp_path: Path):
    path = tmp_path / "d.csv"
    cells = [(f"{a}", "NA" if a % 10 == 3 else f"{b}", kind) for a, b, kind in ROWS]
    cells[5] = ("", *cells[5][1:])
    path.write_text("# lab\nx,y,kind\n" + "".join(",".join(row) + "\n" for row in cells))
    with pytest.raises(DataError) as caught:
        loaded(path)
    assert "line 8, column 'x' must be a finite number, not '' (1 such cells in this column); also 'y' (4)" in str(
        caught.value
    )
    dropped = loaded(path, missing="drop")
    assert len(dropped.x) == 35
    filled = loaded(path, missing="mean")
    assert len(filled.x) == 40
    raw = np.array([[float(c) if c not in ("", "NA") else np.nan for c in row[:2]] for row in cells])
    train = filled.split == 0
    assert filled.contract["missing"] == [np.nansum(raw[train, i]) / np.isfinite(raw[train, i]).sum() for i in (0, 1)]
    assert np.array_equal(condition(raw, filled.contract), filled.x)
    path.write_text("x,y,kind\n" + "".join(f"{a},,{k}\n" for a, _, k in ROWS))
    for missing, text in (
        ("mean", "column 'y' has no value in the training rows; leave it out"),
        ("drop", "leaves none"),
    ):
        with pytest.raises(DataError, match=text):
            loaded(path, missing=missing)


@pytest.mark.parametrize(
    "column",
    [
        ["1", "2", "3", "4"],
        ["1", "-0", "0.5", "2"],  # whole numbers in one piece, real ones in the other: -0 is -0.0 then
        ["1", "2", "x", "007"],  # a number in one piece, text in the other
        ["1", "99999999999999999999", "2", "3"],
        ["True", "False", "no", "True"],
        ["", "1", "2", "3"],
    ],
)
def test_a_table_in_pieces_is_the_table_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: list[str]):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{cell},{row}.5\n" for row, cell in enumerate(column)))
    layout = read_layout(path, Data(source=str(path)))
    whole = load_table(path, layout)
    monkeypatch.setattr("gatewright.data.readers.tables.LINES", 2)
    found = load_table(path, layout)
    assert [str(kind) for kind in found.dtypes] == [str(kind) for kind in whole.dtypes]
    for name in "ab":
        assert list(map(repr, found[name])) == list(map(repr, whole[name]))

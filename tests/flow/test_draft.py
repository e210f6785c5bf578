"""`gatewright init`: on files as laboratories write them, what it sees, says, and refuses."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from gatewright import load_config
from gatewright.cli.main import main
from gatewright.config import parse_config
from gatewright.data import load_dataset
from gatewright.errors import DataError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3)).round(3)
KIND = np.where(X[:, 0] > 0, "gamma", "neutron")


def rows(*columns: Any, sep: str = ",") -> str:
    return "\n".join(sep.join(map(str, row)) for row in zip(*columns, strict=True)) + "\n"


def drafted(source: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Return the configuration that init writes of a source, loaded and tried, and what it prints."""
    out = source.parent / "draft.toml"
    out.unlink(missing_ok=True)
    done = CliRunner().invoke(main, ["init", str(source), "--out", str(out), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert len(load_dataset(load_config(out)).x) > 50
    return tomllib.loads(out.read_text()), done.output


def commas(values: Any) -> list[str]:
    return [str(v).replace(".", ",") for v in values]


TABLES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "index column, semicolons, decimal commas, a label of no known name",
        ";a;b;c;cultivar\n" + rows(range(120), *map(commas, X.T), KIND, sep=";"),
        {"label_column": "cultivar", "exclude_columns": [""], "scaling": "range"},
        {"task": "classification"},
    ),
    (
        "no header, the label first",
        rows(KIND, *X.T, sep=" "),
        {"label_column": "0", "scaling": "range"},
        {},
    ),
    (
        "groups, a date, a constant, gaps in a few rows",
        "a,b,c,run,when,site,kind\n"
        + rows(
            ["NA", *X[1:, 0]],
            *X.T[1:],
            np.arange(120) // 10,
            [f"2024-01-{i % 30}" for i in range(120)],
            [7] * 120,
            KIND,
        ),
        {"label_column": "kind", "group_column": "run", "exclude_columns": ["when", "site"], "missing": "drop"},
        {},
    ),
    (
        "a quantity to predict, gaps in many rows, an ADC's codes",
        "# V\nu\tv\tenergy\n"
        + rows(["" if i % 5 == 1 else i for i in range(120)], range(120, 0, -1), X[:, 0] + 2.5, sep="\t"),
        {"label_column": "energy", "missing": "mean", "scaling": "none"},
        {"task": "regression"},
    ),
    (
        "its own split, outliers",
        "a,b,y,split\n"
        + rows([1e6, *X[1:, 0]], X[:, 1], np.arange(120) % 2, np.where(np.arange(120) % 5, "train", "test")),
        {"label_column": "y", "split_column": "split"},
        {},
    ),
    (
        "an instrument's lines first, units below the names, Windows' letters, a separator at the end of rows",
        "Prüfstand 7\nSchwelle;30;mV\n\nZeit (s);Größe;U;Art\ns;°C;V;\n"
        + rows(*map(commas, [np.arange(120) / 4, *X.T[:2]]), KIND, [""] * 120, sep=";"),
        {"label_column": "Art", "exclude_columns": ["Zeit (s)", ""], "scaling": "range"},
        {},
    ),
    (
        "R's header without the name of its first column, in quotes; words among numbers; a class of one row",
        '"amp" "width" "Species"\n'
        + rows(
            [f'"{i}"' for i in range(120)],
            ["OL" if i == 7 else x for i, x in enumerate(X[:, 0])],
            X[:, 1],
            ['"odd"', *KIND[1:]],
            sep=" ",
        ),
        {
            "label_column": "Species",
            "exclude_columns": [""],
            "exclude_classes": ["odd"],
            "missing_values": ["OL"],
            "missing": "drop",
        },
        {},
    ),
    (
        "how Excel is told the separator; thousands set apart, a unit behind each number",
        "sep=;\nWert;Länge;Art\n"
        + rows(
            [f"{2 + abs(x):.3f},5".replace(".", ".") for x in X[:, 0]],
            [f"{c} mm" for c in commas(X[:, 1])],
            KIND,
            sep=";",
        ),
        {"label_column": "Art", "scaling": "range"},
        {},
    ),
    (
        "thousands set apart, and a word among them",
        "Nr.;Energie;Art\n"
        + rows(range(1, 121), ["k.A." if i % 50 == 3 else f"1.{200 + i},5" for i in range(120)], KIND, sep=";"),
        {"label_column": "Art", "exclude_columns": ["Nr."], "missing_values": ["k.A."], "missing": "drop"},
        {},
    ),
    (
        "a rare separator, and a remark behind 240 rows",
        "a^b^kind\n" + rows([*X[:, 0], *X[:, 0]], [*X[:, 1], *X[:, 1]], [*KIND, *KIND], sep="^") + "# end of run\n",
        {"label_column": "kind", "scaling": "range"},
        {},
    ),
    (
        "one class five times as frequent as the other",
        "a,b,grade\n" + rows(*X.T[:2], ["A" if i % 6 else "B" for i in range(120)]),
        {"label_column": "grade"},
        {"class_weights": "balanced"},
    ),
]


@pytest.mark.parametrize(("what", "text", "data", "top"), TABLES, ids=[row[0] for row in TABLES])
def test_init_writes_what_it_sees(tmp_path: Path, what: str, text: str, data: dict[str, Any], top: dict[str, Any]):
    del what
    source = tmp_path / "my lab.csv"
    source.write_bytes(text.encode("cp1252"))
    found, _ = drafted(source)
    assert found["name"] == "my_lab"
    assert found["data"]["source"] == "my lab.csv"
    optional = {"group_column", "split_column", "missing", "missing_values", "exclude_columns", "exclude_classes"}
    assert {k: found["data"][k] for k in {*data, *(optional & set(found["data"]))}} == data
    assert {key: found[key] for key in top} == top


def test_init_on_arrays_and_images(tmp_path: Path):
    np.savez(tmp_path / "a.npz", samples=RNG.integers(0, 1024, (90, 8)), labels=np.arange(90) % 3, note=np.zeros(3))
    found, said = drafted(tmp_path / "a.npz", "--board", "ulx3s_25f")
    assert (found["data"]["x_key"], found["data"]["y_key"], found["data"]["scaling"]) == ("samples", "labels", "none")
    assert found["hardware"] == {"board": "ulx3s_25f", "clock_mhz": 25}
    assert "90 samples of 8 features, as ufixed<10,10>" in said
    x = RNG.normal(size=(90, 3))
    kept = {
        "x_train": x[:60],
        "y_train": np.eye(2)[np.arange(60) % 2],
        "x_test": x[60:],
        "y_test": np.eye(2)[np.arange(30) % 2],
    }
    np.savez(tmp_path / "b.npz", allow_pickle=False, **kept)
    found, said = drafted(tmp_path / "b.npz")
    assert (found["data"]["x_key"], found["data"]["y_key"], found["task"]) == ("x_*", "y_*", "classification")
    assert "split: source+validation" in said
    for number in range(60):
        place = tmp_path / "shots" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 200, (5, 6 if number else 7), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    assert drafted(tmp_path / "shots")[0]["data"]["image_size"] == [5, 6]


def test_masks_are_no_samples_and_pictures_of_all_sizes_get_a_small_one(tmp_path: Path):
    for number in range(60):
        place = tmp_path / "cells" / ("healthy", "ill")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        size = (40 + number, 50 + number)
        Image.fromarray(RNG.integers(0, 200, size, dtype=np.uint8)).save(place / f"c ({number}).png")
        Image.new("1", (9, 9)).save(place / f"c ({number})_mask{'_1' * (number % 2)}.png")
        (tmp_path / "cells" / "Masks").mkdir(exist_ok=True)
        Image.new("1", (9, 9)).save(tmp_path / "cells" / "Masks" / f"{number}.png")
    found, said = drafted(tmp_path / "cells")
    assert found["data"]["exclude_files"] == ["*_mask*", "Masks/*"]
    assert found["data"]["image_size"] == [29, 34]  # of 70 x 80, the middle, 1,024 pixels at most
    assert "60 samples of 29 x 34 values" in said
    with pytest.raises(DataError, match=r"no file matches 'mask\*' \(data\.exclude_files\), e\.g\. 0\.png"):
        load_dataset(
            parse_config({"name": "c", "data": {"source": str(tmp_path / "cells"), "exclude_files": ["mask*"]}})
        )


def test_the_records_of_one_file_stay_together(tmp_path: Path):
    for number in range(40):
        place = tmp_path / "pumps" / ("good", "worn")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.csv").write_text(rows(*RNG.normal(size=(2, 3 + number % 2))))
    assert drafted(tmp_path / "pumps")[0]["data"]["group_column"] == "file"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "x:y\n1:2\n", "'x:y'; none of ; tab | , blank ^ ~ cuts its lines alike, so convert it to CSV"),
        ("net.onnx", "", "this is a model; `gatewright inspect"),
        ("a.csv", "x\n1\n2\n", "a table needs features and a label, not the single column 'x'"),
        ("a.csv", "when,label\n" + "a,b\nc,d\n" * 9, "no column beside 'label' holds numbers that vary"),
        ("a.csv", "x,name\n" + "".join(f"{i},n{i}\n" for i in range(99)), "no column of x, name looks like a label"),
        ("gone.csv", "", "gone.csv does not exist"),
        ("a.npy", "", "holds samples only, and no labels lie beside it"),
    ],
)
def test_init_refuses_what_it_cannot_understand(tmp_path: Path, name: str, text: str, said: str):
    if name != "gone.csv":
        (tmp_path / name).write_text(text)
    done = CliRunner().invoke(main, ["init", str(tmp_path / name), "--out", str(tmp_path / "a.toml")])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "a.toml").exists()


def test_init_overwrites_nothing_and_data_prints_what_is_there(tmp_path: Path):
    (tmp_path / "a.toml").write_text("mine")
    done = CliRunner().invoke(main, ["init", "sklearn:wine", "--out", str(tmp_path / "a.toml")])
    assert "a.toml is there already; remove it, or write to another file with --out" in done.stderr
    done = CliRunner().invoke(main, ["init", "sklearn:wine", "--out", str(tmp_path / "w.toml")])
    shown = CliRunner().invoke(main, ["data", str(tmp_path / "w.toml"), "--out", str(tmp_path / "run")]).stdout
    for line in (
        "178 samples of 13 features, as ufixed<8,8>",
        "class_1                       46",
        "clipped to the format",
    ):
        assert line in shown
        assert line in done.stdout

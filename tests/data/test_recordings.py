"""Files as instruments write them, read without another package: LabVIEW, WaveDump, scopes, ARFF, LeCroy."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.config import Data
from gatewright.data.raw import Raw, checked
from gatewright.data.readers.formats import format_of
from gatewright.data.sources import check_source, read_source
from gatewright.errors import DataError

WAVES = np.arange(24).reshape(4, 6) % 7


def raw(path: Path, **keys: Any) -> Raw:
    data = Data(source=str(path), **keys)
    check_source(data)
    return checked(read_source(data))


def kind(path: Path) -> str:
    found = format_of(path)
    return found.name if found else ""


def lvm(sep: str, decimal: str, times: str, rows: list[str], *, samples: int = 3) -> str:
    word = {"\t": "Tab", ",": "Comma"}[sep]
    file = [
        "LabVIEW Measurement",
        f"Separator{sep}{word}",
        f"Decimal_Separator{sep}{decimal}",
        f"X_Columns{sep}{times}",
        f"***End_of_Header***{sep}",
    ]
    heads = {"One": ("X_Value", "U", "I"), "Multi": ("X_Value", "U", "X_Value", "I"), "No": ("X_Value", "U", "I")}[
        times
    ]
    part = [
        f"Channels{sep}2",
        f"Samples{sep}{samples}{sep}{samples}",
        f"***End_of_Header***{sep}",
        sep.join((*heads, "Comment")),
    ]
    return "\n".join([*file, sep, *part, *rows, "", *part, *rows, ""])


@pytest.mark.parametrize(
    ("sep", "decimal", "times", "row"),
    [
        ("\t", ".", "One", "{0}.5\t{0}\t1{0}.5"),
        ("\t", ",", "Multi", "{0},5\t{0}\t{0},5\t1{0},5\tnote"),
        (",", ".", "No", ",{0},1{0}.5"),
    ],
)
def test_lvm(tmp_path: Path, sep: str, decimal: str, times: str, row: str):
    path = tmp_path / "run.lvm"
    path.write_text(lvm(sep, decimal, times, [row.format(i) for i in range(3)]))
    np.save(tmp_path / "labels.npy", [0, 1, 0, 1])
    curves = raw(path, labels=str(tmp_path / "labels.npy"), group_column="segment")
    assert curves.x.tolist() == [[0, 1, 2], [10.5, 11.5, 12.5]] * 2
    assert curves.group is not None
    assert curves.group.tolist() == ["0", "0", "1", "1"]
    lines = raw(path, label_column="U")
    assert lines.feature_names == ("I",)
    assert lines.x[:, 0].tolist() == [10.5, 11.5, 12.5] * 2
    assert lines.y.tolist() == [0, 1, 2] * 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "LabVIEW Measurement\nSeparator\tTab\n",
            "a LabVIEW measurement file: no line ***End_of_Header*** follows its",
        ),
        (
            lvm("\t", ".", "One", ["1\t2\tx3"] * 3),
            "line 11, column 'I' must be a number with the decimal sign '.', not 'x3'",
        ),
        (
            lvm("\t", ".", "One", ["1\t2\t3"] * 3, samples=5),
            "announces 5 samples, but 3 stand before line 14; the file is",
        ),
        (
            lvm("\t", ".", "One", ["1\t2\t3"]).replace("Tab", "Blank"),
            "Separator must be Tab or Comma, not 'Blank'; export",
        ),
    ],
)
def test_lvm_errors(tmp_path: Path, text: str, said: str):
    path = tmp_path / "run.lvm"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        raw(path, label_column="U")
    assert said in str(error.value)


def wavedump(waves: Any) -> str:
    head = "Record Length: {0}\nBoardID: 31\nChannel: 2\nEvent Number: {1}\nPattern: 0x0000\n"
    head += "Trigger Time Stamp: {2}\nDC offset (DAC): 0x1999\n"
    return "".join(
        head.format(len(wave), i, 100 * i) + "".join(f"{value}\n" for value in wave) for i, wave in enumerate(waves)
    )


def binary(waves: Any, dtype: str = "<u2") -> bytes:
    return b"".join(
        struct.pack("<6I", 24 + len(body := np.asarray(wave, dtype).tobytes()), 31, 0, 2, i, 100 * i) + body
        for i, wave in enumerate(waves)
    )


def test_wavedump(tmp_path: Path):
    for name, wave in (("gamma", WAVES), ("neutron", WAVES + 7)):
        (tmp_path / "text" / name).mkdir(parents=True)
        (tmp_path / "text" / name / "wave2.txt").write_text(wavedump(wave))
        (tmp_path / "binary" / name).mkdir(parents=True)
        (tmp_path / "binary" / name / "wave2.dat").write_bytes(binary(wave))
        (tmp_path / "text" / name / "readme.txt").write_text("taken in May\n")
    for folder in ("text", "binary"):
        read = raw(tmp_path / folder, group_column="event")
        assert np.array_equal(read.x, np.concatenate([WAVES, WAVES + 7])), folder
        assert read.y.tolist() == ["gamma"] * 4 + ["neutron"] * 4
        assert read.group is not None
        assert read.group.tolist() == list("0123") * 2
    assert raw(tmp_path / "text", record_length=3).x.shape == (16, 3)
    path = tmp_path / "wave0.bin"
    path.write_bytes(binary(WAVES, "<u1"))
    read = raw(path, label_column="event", sample_type="uint8")
    assert np.array_equal(read.x, WAVES)
    assert read.y.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "w.txt",
            wavedump(WAVES).removesuffix("2\n"),
            "the event of line 40 announces 6 samples, but 5 follow; the file is",
        ),
        ("w.txt", wavedump([[1, "two", 3]]), "line 9 must hold one sample, a number, not 'two'; repair the line"),
        (
            "w.txt",
            wavedump([[1, 2], [1, 2, 3]]),
            "record 1 has 2 samples and record 2 has 3; set data.record_length = 2, into",
        ),
        ("w.dat", binary(WAVES)[:-1], "event 4 announces 36 bytes, but 35 follow; the file is truncated"),
        (
            "w.dat",
            binary(WAVES[:, :3], "<u1"),
            "event 1 has 3 bytes of samples, which are no whole number of uint16; set",
        ),
    ],
)
def test_wavedump_errors(tmp_path: Path, name: str, content: str | bytes, said: str):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as error:
        raw(path, label_column="event")
    assert said in str(error.value)


SCOPES = {
    "tektronix": "Model,MDO3024\n\nRecord Length,3\n\nLabels,,\nTIME,CH1,CH2\n-1e-6,1,10\n0,2,20\n1e-6,3,30\n",
    "tds": "Record Length,3,,-1e-6,1,\nSample Interval,1e-6,,0,2,\nSource,CH1,,1e-6,3,\n",
    "rigol": "X,CH1,Start,Increment\nSequence,Volt,0.0,1e-6\n0,1,\n1,2,\n2,3,\n",
    "keysight": "x-axis,1\nsecond,Volt\n-1e-6,1\n0,2\n1e-6,3\n",
    "picoscope": "Time;Channel A\n(us);(V)\n\n-1,5;1\n0,0;2\n1,5;3\n",
    "lecroy": "LECROYWR,620Zi,Waveform\nSegments,1,SegmentSize,3\n#1,1-Jan,0\nTime,Ampl\n-1e-6,1\n0,2\n1e-6,3\n",
}


@pytest.mark.parametrize("vendor", SCOPES)
def test_scope(tmp_path: Path, vendor: str):
    for name in "ab":
        (tmp_path / name).mkdir()
        path = tmp_path / name / "C1.csv"
        path.write_text(SCOPES[vendor])
        assert kind(path) == "oscilloscope"
    read = raw(tmp_path)
    curves = [[1, 2, 3], [10, 20, 30]] if vendor == "tektronix" else [[1, 2, 3]]
    assert read.x.tolist() == curves * 2
    assert read.y.tolist() == ["a"] * len(curves) + ["b"] * len(curves)


def test_scope_lines_and_errors(tmp_path: Path):
    path = tmp_path / "s.csv"
    path.write_text(SCOPES["tektronix"])
    lines = raw(path, label_column="CH2")
    assert lines.feature_names == ("CH1",)
    assert lines.y.tolist() == [10, 20, 30]
    path.write_text(SCOPES["keysight"] + "2e-6,4\n" * 200 + "3e-6,off\n")
    with pytest.raises(DataError, match=r"line 206, column '1' must be a finite number, not 'off'"):
        raw(path, label_column="x-axis")
    path.write_text("a,b\n1,2\n3,4\n")
    assert kind(path) == ""


ARFF = """% a comment
@RELATION 'two words'
@attribute width numeric
@attribute 'the colour' {red, 'dark blue'}
@attribute class {yes, no, never}

@data
1.5, red, no
?, 'dark blue', yes
-2e1, red, no  % not a remark
"""


def test_arff(tmp_path: Path):
    path = tmp_path / "d.arff"
    path.write_text(ARFF.replace("  % not a remark", ""))
    read = raw(path, label_column="class", exclude_columns=["the colour"], missing="drop")
    assert read.x.tolist() == [[1.5], [-20.0]]
    assert read.classes == ("no",)
    filled = raw(path, label_column="class", feature_columns=["width"], missing="mean")
    assert filled.classes == ("yes", "no")
    assert np.isnan(filled.x[1, 0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "1.5, red, no",
            "{0 1.5, 2 no}",
            "line 8 is sparse data, {index value, ...}, in which what is left out may be 0",
        ),
        (
            "1.5, red, no",
            "wide, red, no",
            "line 8: 'width' must be a number, not 'wide'; correct it, or the attribute's",
        ),
        ("1.5, red, no", "1.5, red, maybe", "line 8: 'class' must be one of yes, no, never, not 'maybe'; correct it"),
        ("1.5, red, no", "1.5, red", "line 8 must have 3 values, not 2; repair the line"),
        ("@data", "", "an ARFF file: it must have @attribute lines, then a line @data; the file is truncated"),
        (
            "width numeric",
            "width relational",
            "line 3: the type of 'width' must be numeric, real, integer, string, date",
        ),
    ],
)
def test_arff_errors(tmp_path: Path, old: str, new: str, said: str):
    path = tmp_path / "d.arff"
    path.write_text(ARFF.replace("  % not a remark", "").replace(old, new))
    with pytest.raises(DataError) as error:
        raw(path, label_column="class")
    assert said in str(error.value)


def trc(waves: Any, order: str, code: str) -> bytes:
    body = np.asarray(waves, f"{order}{code}").tobytes()
    block = bytearray(346)
    block[:8], block[16:26] = b"WAVEDESC", b"LECROY_2_3"
    struct.pack_into(f"{order}hh", block, 32, code == "i2", 1 if order == "<" else 0)
    struct.pack_into(f"{order}iiiiiii", block, 36, 346, 8, 0, 16, 0, 0, len(body))
    struct.pack_into(f"{order}i", block, 144, len(waves))
    return b"#9000000500" + bytes(block) + b"comments" + b"\0" * 16 + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ["i1", "i2"])
def test_lecroy(tmp_path: Path, order: str, code: str):
    path = tmp_path / "C1.trc"
    path.write_bytes(trc(WAVES - 3, order, code))
    read = raw(path, label_column="segment")
    assert np.array_equal(read.x, WAVES - 3)
    assert read.y.tolist() == [0, 1, 2, 3]
    path.write_bytes(trc(WAVES, order, code)[:-1])
    with pytest.raises(DataError, match=r"announces \d+ bytes of samples, but \d+ follow; the file is truncated"):
        raw(path, label_column="segment")

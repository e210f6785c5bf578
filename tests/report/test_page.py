"""The HTML page: complete, self-contained, well-formed, deterministic, honest about estimates."""

from __future__ import annotations

import hashlib
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatewright.errors import GatewrightError
from gatewright.report.figures import learning_curves, sample_pictures
from gatewright.report.headline import headline
from gatewright.report.page import render, write_report
from gatewright.report.schema import problems
from gatewright.report.stage import FileRow, run_files
from tests.report import sample
from tests.report.checker import checked


@pytest.fixture(scope="module")
def page() -> str:
    return render(
        sample.classification(), history=sample.history(), examples=sample.images(), stages=sample.STAGES,
        files=[FileRow(path="program/program.txt", bytes=18_234, meaning="the network as integer operations")],
        command="gatewright run examples/digits/digits.toml --out runs/digits",
    )  # fmt: skip


def test_an_elastic_design_shows_its_fifos_and_a_measured_latency():
    results = sample.classification()
    assert "measured, not claimed" not in render(results, history=sample.history())
    results["hardware"] |= {
        "boundaries": "elastic",
        "greatest_latency_cycles": 12345,
        "channels": [{"name": "fc1.act -> net_after_fc1.act", "depth": 9, "greatest_fill": 7}],
    }
    assert list(problems(results)) == []
    page = render(results, history=sample.history())
    checked(page)
    assert "the latency is measured, not claimed" in page
    assert "12\u202f345" in page
    assert re.search(r"fc1\.act -&gt; net_after_fc1\.act</th><td[^>]*>9</td><td[^>]*>7</td>", page)


def test_a_student_without_weights_is_said_to_have_none():
    results = sample.classification()
    tables = {"name": "tables1", "shape": [60, 30], "parameters": 1920, "weights": 0, "nonzero": 0, "bits": 1920}
    formats = {"weight_format": "connections", "bias_format": "none", "activation_format": "table of 64 bits"}
    results["student"] |= {
        "parameters": 1920,
        "bits": 1920,
        "nonzero": 0,
        "sparsity": 0.0,
        "layers": [tables | formats],
    }
    assert list(problems(results)) == []
    page = render(results, history=sample.history())
    checked(page)
    assert "a student of truth tables with 1\u202f920 bits, compiled for" in page
    assert "thresholds, and entries of tables or leaves" in page
    assert "its truth tables already answer with bits" in page
    assert "non-zero weights</th>" not in page.partition("How much smaller")[2].partition("</table>")[0]
    assert "non-zero weights</th>" in render(sample.classification())


def test_page_is_well_formed_and_accessible(page):
    checker = checked(page)
    assert len(checker.ids) == len(set(checker.ids))
    assert checker.tables == checker.captions > 5
    assert checker.unlabelled == []
    assert '<html lang="en">' in page


def test_page_loads_nothing(page):
    checker = checked(page)
    assert [t for t in checker.targets if not t.startswith(("#", "data:image/png;base64,"))] == []
    assert set(checker.ids) >= {t[1:] for t in checker.targets if t.startswith("#")}
    assert "<script" not in page
    assert "url(http" not in page
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


@pytest.mark.parametrize(
    "text",
    [
        "97.8\u202f%",  # teacher
        "96.4\u202f%",  # student and hardware
        "of 1\u202f000 vectors, exact comparison",
        "60.0\u202f% zero",
        "39.1\u202f% of 24\u202f288",
        "7 cycles at 100\u202fMHz target",
        "placed and routed; target 100\u202fMHz",
        "117 to 207\u202fMHz (static timing of the netlist before placement (speed grade -1; not placed))",
        "Highest clock: not known; not timed",
        "A range of clocks is what to expect after place and route, which was not run",
        "fixed&lt;5,1&gt;",
        "accumulator (scores)",
        "openFPGALoader -b ulx3s bitstream/digits.bit",
        "gatewright run examples/digits/digits.toml --out runs/digits",
        "5f2c5f2c5f2c",
        "64–128–64–10",
        "with data transfer: first beat in to last beat out",
        "distil, prune and quantize the student",
        "18.2\u202fkB",
    ],
)
def test_page_says(page, text):
    assert text in page


def test_same_input_same_bytes_in_another_process():
    code = (
        "import hashlib; from tests.report import sample; from gatewright.report.page import render;"
        "print(hashlib.sha256(render(sample.classification(), history=sample.history()).encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True).stdout
    here = render(sample.classification(), history=sample.history())
    assert hashlib.sha256(here.encode()).hexdigest() == other.strip()


def test_regression_without_board_or_synthesis():
    page = render(sample.regression())
    checked(page)
    assert "RMSE, student" in page
    assert "R² 0.981" in page
    assert "every 4 cycles" in page
    assert "Set <code>hardware.board</code>" in page
    assert "estimate, before synthesis" in page
    assert 'id="confusion"' not in page
    assert 'id="training"' not in page


def _point(index: int, score: float, loss: float, lut: int) -> dict[str, float]:
    sizes = {"ebops": 2 * lut, "nonzero": 40, "bits": 300, "cost": float(lut), "ff": lut, "latency_cycles": 6}
    return {"point": index, "score": score, "loss": loss, "lut": lut, **sizes}


def _text_of_front(results: dict[str, Any]) -> str:
    """Return the text of the front's table in a page of valid results, cells apart by one space."""
    assert not list(problems(results))
    page = render(results)
    checked(page)
    table = page[page.index("The front: no other") :]
    return " ".join(re.sub(r"<[^>]*>", " ", table[: table.index("</table>")]).split())


def test_front_tells_equal_accuracies_by_their_loss():
    points = [_point(0, 0.9041, 0.5373, 232), _point(1, 0.9041, 0.4981, 372)]
    text = _text_of_front({**sample.classification(), "front": {"chosen": 0, "points": points}})
    assert "Of equal accuracies, the one of lower loss is better: the cross-entropy, in nats per sample." in text
    assert "validation accuracy validation loss LUT" in text
    assert "0 (chosen) 90.4 % 0.537 232 " in text
    assert " 1 90.4 % 0.498 372 " in text


def test_front_over_decades_is_labelled_at_1_2_and_5():
    points = [_point(0, 0.77, 0.9, 148), _point(1, 0.9, 0.4, 900), _point(2, 0.97, 0.1, 8032)]
    page = render({**sample.classification(), "front": {"chosen": 0, "points": points}})
    figure = page[page.index("Validation accuracy against LUTs") :]
    drawn = re.findall(r"<!-- ([^>]*?) -->|<text[^>]*>([^<]*)</text>", figure[: figure.index("</svg>")])
    labels = [a or b for a, b in drawn]
    assert [v for v in labels if v.isdigit()] == ["1000", "200", "500", "2000", "5000", "0", "1", "2"]
    assert not any("10^" in v or "\u00d7" in v for v in labels)


def test_front_of_a_regression_has_one_figure_of_merit():
    points = [_point(0, -2.5, 2.5, 232), _point(1, -1.25, 1.25, 372)]
    text = _text_of_front({**sample.regression(), "front": {"chosen": 1, "points": points}})
    assert "validation RMSE LUT" in text
    assert "0 2.50 232 " in text
    assert "1 (chosen) 1.25 372 " in text
    assert "loss" not in text


def test_names_are_escaped():
    results = sample.classification()
    results["data"]["classes"][0] = "<script>alert(1)</script>"
    page = render(results, examples={"<b>": np.arange(12).reshape(2, 6)})
    assert "<script" not in page
    assert "<b>" not in page.replace("<b>data", "")
    checked(page)


def test_mismatch_and_missed_clock_stand_out():
    results = sample.classification()
    results["hardware"]["mismatches"] = 3
    results["synthesis"]["ecp5"]["fmax_mhz"] = 80.0
    page = render(results)
    assert '<dd class="value bad">3</dd>' in page
    assert '<dd class="value bad">80\u202fMHz</dd>' in page
    assert "differs from the student" in page


def test_write_report(tmp_path):
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "core.v").write_text("module core; endmodule\n")
    (tmp_path / "rtl" / "stage.json").write_text("{}")
    path = write_report(tmp_path, sample.classification())
    assert path == tmp_path / "report.html"
    text = path.read_text(encoding="utf-8")
    assert "<code>rtl/core.v</code>" in text
    assert "stage.json" not in text
    assert str(tmp_path) not in text
    assert [row.path for row in run_files(tmp_path)] == ["rtl/core.v"]


def test_broken_results_write_nothing(tmp_path):
    results = sample.classification()
    del results["hardware"]["mismatches"]
    with pytest.raises(GatewrightError, match=r"results\.hardware\.mismatches: required and absent"):
        write_report(tmp_path, results)
    assert list(tmp_path.iterdir()) == []


def test_curves_and_samples_say_what_they_show():
    titles = [picture.title for picture in learning_curves(sample.history())]
    assert titles == ["Loss, teacher", "Loss, student", "Validation accuracy", "Weights at exactly zero"]
    alt = learning_curves(sample.history())[3].alt
    assert alt == "Weights at exactly zero over 119 epochs: student 0.0 % to 60.0 %."
    near_all = [{"epoch": float(k), "validation_accuracy": 1 - 0.01 * (k % 3)} for k in range(9)]
    (curve,) = learning_curves({"student": near_all})
    shares = [float(share) for share in re.findall(r">([\d.]+)\u202f%<", curve.html)]
    assert max(shares) == 100
    assert len(shares) > 2
    pulses = sample_pictures(sample.traces())
    assert [p.title for p in pulses] == ["electromagnetic", "muon", "ringing", "saturated"]
    assert pulses[0].alt.startswith("9 samples of class electromagnetic, 30 inputs each")
    assert sample_pictures(sample.images())[3].alt == "6 samples of class 3, 8 by 8 pixels."
    assert sample_pictures({}) == []


@pytest.mark.parametrize("length", [30, 64, 100, 144])
def test_a_pulse_is_a_curve_whatever_its_length(length):
    (pulse,) = sample_pictures({"muon": np.arange(3 * length).reshape(3, length)})
    assert pulse.html.startswith("<svg")
    assert pulse.alt == f"3 samples of class muon, {length} inputs each, as codes from 0 to {3 * length - 1}."


@pytest.mark.parametrize(
    ("shape", "alt"),
    [
        ((8, 8), "3 samples of class a, 8 by 8 pixels."),
        ((12, 30), "3 samples of class a, 12 by 30 pixels."),
        ((4, 5, 3), "3 samples of class a, 4 by 5 pixels."),
        ((4, 5, 1), "3 samples of class a, 4 by 5 pixels."),
    ],
)
def test_what_has_the_shape_of_an_image_is_drawn_as_one(shape, alt):
    (picture,) = sample_pictures({"a": np.arange(3 * math.prod(shape)).reshape(3, *shape)})
    assert picture.html.startswith('<img class="pixels"')
    assert picture.alt == alt


@pytest.mark.parametrize(
    ("shape", "each"),
    [((50, 2), "50 steps of 2 channels"), ((20, 7), "20 steps of 7 channels"), ((4, 5, 2), "40 inputs")],
)
def test_series_and_other_shapes_are_curves(shape, each):
    (picture,) = sample_pictures({"a": np.zeros((3, *shape), dtype=np.int64)})
    assert picture.html.startswith("<svg")
    assert f"class a, {each} each" in picture.alt


def test_headline_ends_with_the_places():
    lines = headline(sample.classification(), Path("runs/digits")).splitlines()
    assert lines[-2].split() == ["Bitstream", "runs/digits/bitstream/digits.bit"]
    assert lines[-1].split() == ["Report", "runs/digits/report.html"]
    assert "none: hardware.board is not set" in headline(sample.regression(), Path("r"))

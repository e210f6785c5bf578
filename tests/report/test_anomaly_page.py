"""The page of an anomaly run: the figures of its anomaly.json, well-formed, self-contained, and honest."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gatewright.report.anomaly_page import render_anomaly, verdict, write_anomaly_page
from gatewright.report.stage import FileRow
from tests.report import sample
from tests.report.checker import checked

COMMAND = "gatewright anomaly config.json --normal 0 --normal 1 --false-alarms 0.05"


def page_of(results: dict[str, Any]) -> str:
    return render_anomaly(
        results,
        history={"autoencoder": sample.history()["student"]},
        examples=sample.images(),
        files=[FileRow(path="anomaly.json", bytes=18_234, meaning="every number")],
        command=COMMAND,
    )


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(sample.anomaly())


def test_page_is_whole_and_loads_nothing(page: str):
    checker = checked(page)
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.ids) >= {t[1:] for t in checker.targets if t.startswith("#")}
    assert [t for t in checker.targets if not t.startswith(("#", "data:image/png;base64,"))] == []
    assert (checker.unlabelled, checker.tables) == ([], checker.captions)
    assert "<script" not in page


@pytest.mark.parametrize(
    "text",
    [
        "64 inputs, normal: 0, 1. The autoencoder of normal samples, compiled for LFE5U-25F, gives 1 for an anomaly",
        '<dd class="value ">0.9445</dd><dd class="note">95\u202f%: 0.9223 to 0.9667</dd>',
        '<dd class="value ">0.9512</dd><dd class="note">isolation forest</dd>',
        "63.4\u202f%",
        "at 6.9\u202f% false alarms, on the test split",
        "1 from a score of 374.0 on, the dashed line",
        "<td>−0.0067</td><td>−0.0200 to 0.0070</td>",
        "<td>+0.2177</td>",
        '<th scope="row">1 (normal)</th><td>118</td>',
        '<th scope="row">1.0\u202f%</th><td>412.0</td>',
        "AUC: autoencoder 0.9445, distance to the normal mean 0.7268, isolation forest 0.9512.",
        "Histogram of the scores of 72 normal samples and 288 anomalies, from 1 to 100.",
        "Loss, autoencoder",
        "sum of the absolute errors of the reconstruction",
        "<dd>1, 2, 8</dd>",
        "1\u202f797 samples, 0 mismatches",
        "of 1\u202f000 vectors, exact comparison",
        "9\u202f492",
        "placed and routed; target 100\u202fMHz",
        "openFPGALoader -b ulx3s bitstream/digits.bit",
        COMMAND,
    ],
)
def test_page_says(page: str, text: str):
    assert text in page


def test_threshold_is_marked_where_there_is_one(page: str):
    without = page_of(sample.anomaly(threshold=False))
    checked(without)
    assert (page.count("the threshold<"), without.count("the threshold<")) == (1, 0)
    assert "The hardware&#39;s output is the score itself" in without
    assert "of 360 samples; the output is the score" in without
    assert "gives an anomaly score, greater is stranger" in without


def test_front_is_shown_where_widths_were_learnt(page: str):
    with_front = page_of(sample.anomaly(front=True))
    checker = checked(with_front)
    assert len(checker.ids) == len(set(checker.ids))
    assert "front" in checker.ids
    assert 'id="front"' not in page
    row = '<th scope="row">1 (chosen)</th><td>2.80</td><td>0.9620</td><td>0.9000 to 0.9800</td><td>1\u202f965</td>'
    assert row in with_front
    assert "Test AUC of 3 students from 655 LUTs, 0.95, to 5895 LUTs, 0.974; chosen: 1965 LUTs, 0.962." in with_front


def test_verdict_does_not_flatter():
    results = sample.anomaly()
    assert verdict(results).startswith(
        "Its score is better than the distance to the normal mean. Its score is on this test split not told apart from "
        "the isolation forest. Where a score without a network can be built for less, prefer it"
    )
    forest, distance = (
        results["baselines"][k]["difference"] for k in ("isolation forest", "distance to the normal mean")
    )
    forest["interval"] = [-0.02, -0.001]
    assert "Its score is worse than the isolation forest. Build what needs no network" in verdict(results)
    distance["interval"] = None
    assert "not told apart from the distance to the normal mean." in verdict(results)
    forest["interval"] = distance["interval"] = [0.001, 0.02]
    assert "better than the isolation forest" not in verdict(results)
    assert "better than the distance to the normal mean and the isolation forest. No simple score" in verdict(results)


def test_a_variational_one_says_what_it_is():
    results = sample.anomaly()
    del results["shifts"]
    results |= {"kind": "vae", "latents": 6, "mean": "fixed<8,4>", "log_variance": "fixed<7,3>", "beta": 0.5}
    page = page_of(results)
    checked(page)
    assert "The encoder of a variational autoencoder of normal samples" in page
    assert "means fixed&lt;8,4&gt;, log-variances fixed&lt;7,3&gt;" in page
    assert "vae, hardware" in page


def test_written_page_lists_the_files_of_a_run(tmp_path):
    for name in ("anomaly.json", "hardware/rtl/core.v", "hardware/sim/report.json", "work/student.checkpoint"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    arguments = {"history": {}, "examples": {}, "command": COMMAND}
    path = write_anomaly_page(tmp_path, sample.anomaly(), **arguments)
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<code>((?:hardware|anomaly|work)[^<]*)</code>", text) == [
        "anomaly.json",
        "hardware/rtl/core.v",
        "hardware/sim/report.json",
    ]
    assert "what simulation compared and measured" in text
    assert str(tmp_path) not in text
    assert write_anomaly_page(tmp_path, sample.anomaly(), **arguments).read_text(encoding="utf-8") == text

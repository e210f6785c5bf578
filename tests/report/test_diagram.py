"""The drawing of a core's units: whole, well-formed, nothing on top of another, names as they are."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

from gatewright.report.diagram import bottleneck, dataflow_picture, unit_rows
from gatewright.report.page import render
from gatewright.report.schema import problems
from tests.report import sample
from tests.report.test_page import checked


def unit(name: str, *feeds: tuple[str, int], cycles: int = 64) -> dict[str, Any]:
    read = [
        {"source": source, "value": source, "words": words, "bits": 8, "beats": 64, "less": ""}
        for source, words in feeds
    ]
    cells = {"latency_cycles": 3, "lut": 1200, "ff": 5, "dsp": 0, "bram": 2}
    return {"name": name, "kind": "window, parallel", "cycles": cycles, **cells, "feeds": read}


UNITS = [
    unit("input"),
    unit("a<b>&", ("input", 0)),
    unit("middle", ("a<b>&", 6), cycles=99),
    unit("sum", ("middle", 4), ("a<b>&", 30), ("input", 40)),
    unit("output", ("sum", 2)),
]


def test_every_unit_and_every_skip_is_drawn_once():
    root = ET.fromstring(str(dataflow_picture(UNITS)))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert [text for text in texts if text in {row["name"] for row in UNITS}] == [row["name"] for row in UNITS]
    assert texts.count("30 × 8 bit") == texts.count("40 × 8 bit") == texts.count("8 bit") == 1
    assert len(root.findall("path")) == sum(len(row["feeds"]) for row in UNITS)
    assert [group.findtext("title") for group in root.iter("g") if "slow" in group.get("class", "")] == ["middle"]
    wide = float(root.get("viewBox", "").split()[2])
    ends = [float(element.get("x", "0")) + 7 * len(element.text or "") for element in root.findall("text")]
    assert max(ends) < wide


def test_skips_that_run_along_each_other_do_not_meet():
    root = ET.fromstring(str(dataflow_picture(UNITS)))
    runs = [re.match(r"M\d+ (\d+)H(\d+)V(\d+)", path.get("d", "")) for path in root.findall("path")]
    along = [tuple(map(int, run.groups())) for run in runs if run]
    assert len(along) == 2
    for (top, x, bottom), (top2, x2, bottom2) in itertools.combinations(along, 2):
        assert x != x2 or bottom <= top2 or bottom2 <= top


def test_the_page_shows_units_and_says_which_sets_the_interval():
    assert bottleneck(UNITS)["name"] == "middle"
    assert unit_rows(UNITS)[2] == ["middle", "window, parallel", "99", "3", "1\u202f200", "5", "0", "2"]
    results = sample.classification()
    skip = {**UNITS[3], "feeds": [{**feed, "less": "stops"} for feed in UNITS[3]["feeds"]]}
    results["hardware"] |= {
        "boundaries": "elastic",
        "greatest_latency_cycles": 120,
        "channels": [
            {"name": "a<b>& -> middle", "depth": 6, "greatest_fill": 5},
            {"name": "input -> sum", "depth": 40, "greatest_fill": 39},
        ],
        "units": [*UNITS[:3], skip, UNITS[4]],
        "intervals": [
            {"allowed": 99, "cycles": 90, "lut": 1, "ff": 2, "dsp": 3, "bram": 4},
            {
                "allowed": 2000,
                "cycles": results["hardware"]["initiation_interval"],
                "lut": 1,
                "ff": 2,
                "dsp": 3,
                "bram": 4,
            },
        ],
    }
    assert list(problems(results)) == []
    page = render(results, history=sample.history())
    checked(page)
    assert "<em>middle</em> takes most cycles and so sets the interval" in page
    assert "a&lt;b&gt;&amp;" in page
    assert "what comes while middle is busy" in page
    assert "early, sum waits for another" in page
    assert page.count("nothing moves any more") == 1
    assert page.count(" (this design)") == 1
    assert "a<b>" not in page

"""A vendor's HLS reports are read, set beside a run, and what is damaged or cut off is named."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from gatewright.cli.main import main
from gatewright.errors import DataError
from gatewright.report.beside_hls import WHY, beside_hls
from gatewright.report.hls_reports import read_cosim, read_csynth, read_hls_reports

CSYNTH = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><ProductFamily>virtexuplus</ProductFamily><Part>xcvu13p-flga2577-2-e</Part>
<TopModelName>myproject</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod>
<ClockUncertainty>1.35</ClockUncertainty></UserAssignments>
<PerformanceEstimates><PipelineType>yes</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>3.646</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>9</Best-caseLatency>
<Average-caseLatency>9</Average-caseLatency><Worst-caseLatency>11</Worst-caseLatency>
<Best-caseRealTimeLatency>45.000 ns</Best-caseRealTimeLatency>
<Interval-min>1</Interval-min><Interval-max>1</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>4</BRAM_18K><DSP48E>12</DSP48E><FF>2310</FF><LUT>15020</LUT><URAM>0</URAM></Resources>
<AvailableResources><BRAM_18K>5376</BRAM_18K><DSP48E>12288</DSP48E><FF>3456000</FF><LUT>1728000</LUT>
<URAM>1280</URAM></AvailableResources></AreaEstimates>
</profile>
"""
INNER = CSYNTH.replace("<TopModelName>myproject", "<TopModelName>dense")
COSIM = """
Report time       : Tue Mar 05 12:00:00 CET 2024.
Solution          : solution1 (Vivado IP Flow Target)
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |      Latency(Clock Cycles)                    |      Interval(Clock Cycles)                   |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      Pass|              9|           9.50|             10|              1|              1|              1|
+----------+----------+-----------------------------------------------+-----------------------------------------------+
"""
RESULTS = {
    "name": "jets",
    "hardware": {
        "family": "xc7", "part": "XC7A35T", "clock_mhz": 200.0, "latency_cycles": 4, "initiation_interval": 1,
        "simulator": "Verilator 5.48.0",
    },
    "synthesis": {"xc7": {"lut": 1255, "sites": 1259, "ff": 51, "dsp": 0, "bram": 3, "tool": "pyosys 0.70"}},
    "board": None,
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    solution = tmp_path / "myproject_prj" / "solution1"
    for folder, files in {
        "syn/report": {"myproject_csynth.xml": CSYNTH, "dense_csynth.xml": CSYNTH, "csynth.xml": CSYNTH},
        "sim/report": {"myproject_cosim.rpt": COSIM},
    }.items():
        (solution / folder).mkdir(parents=True)
        for name, text in files.items():
            (solution / folder / name).write_text(text)
    return tmp_path


def test_the_reports_of_a_project_stand_beside_a_run(project):
    reports = read_hls_reports(project)
    assert reports.estimate.top == "myproject"
    assert reports.estimate.resources == {"BRAM_18K": 4, "DSP": 12, "FF": 2310, "LUT": 15020, "URAM": 0}
    assert reports.estimate.latency_cycles == (9, 11)
    assert reports.simulated is not None
    assert (reports.simulated.rtl, reports.simulated.passed) == ("Verilog", True)
    assert reports.simulated.latency_cycles == (9, 10)
    beside = beside_hls(RESULTS, reports)
    table = beside.text()
    rows = {line.split("  ")[0]: line.split() for line in table.splitlines()}
    assert rows["LUT"][1:] == ["1,259", "15,020"]
    assert rows["BRAM"][1:] == ["3", "4"]
    assert rows["latency, cycles"][2:] == ["4", "9..11", "9..10"]
    assert "gatewright (logic synthesis, pyosys 0.70)" in table
    assert table.endswith(WHY)
    page = beside.page()
    assert '<th scope="row">LUT</th><td>1,259</td><td>15,020</td><td></td>' in page
    assert WHY.split("(")[0] in page


def test_what_is_not_known_or_failed_is_said(project):
    folder = project / "myproject_prj" / "solution1"
    file = folder / "syn" / "report" / "myproject_csynth.xml"
    file.write_text(CSYNTH.replace("<Best-caseLatency>9<", "<Best-caseLatency>undef<"))
    (folder / "sim" / "report" / "myproject_cosim.rpt").write_text(COSIM.replace("     Pass", "     Fail"))
    table = beside_hls(
        {**RESULTS, "synthesis": {}, "estimate": RESULTS["synthesis"]["xc7"]}, read_hls_reports(folder)
    ).text()
    assert "not known" in table
    assert "gatewright (our estimate)" in table
    assert "the cosimulation of the Verilog did not pass" in table
    assert read_cosim(_written(project, COSIM.replace("Pass", "NA"))) is None


def _written(folder, text):
    file = folder / "x.rpt"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSYNTH[:900], "is no XML that can be read .*; a report that was cut off"),
        ("<a/>", "has no UserAssignments/TopModelName; expected a report of C synthesis"),
        (CSYNTH.replace(">5.00<", "><"), "UserAssignments/TargetClockPeriod must be a number, not ''"),
        (CSYNTH.replace(">11<", ">few<"), "Worst-caseLatency must be a number of cycles, not 'few'"),
        (CSYNTH.replace(">2310<", ">2.5<"), "AreaEstimates/Resources/FF must be a count, not '2.5'"),
        (CSYNTH.replace("AvailableResources", "Others"), "has no AreaEstimates/AvailableResources"),
    ],
)
def test_a_damaged_estimate_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_csynth(_written(tmp_path, text))


def test_a_damaged_cosimulation_and_folders_without_one_design_are_named(project, tmp_path):
    with pytest.raises(DataError, match="has no row for VHDL or Verilog; expected the report of a cosimulation"):
        read_cosim(_written(tmp_path, COSIM[:300]))
    with pytest.raises(DataError, match=r"has 4 columns of 8 .*; a report that was cut off"):
        read_cosim(_written(tmp_path, "|   Verilog|      Pass|              9|      9"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no report of C synthesis"):
        read_hls_reports(tmp_path / "empty")
    (project / "dense_csynth.xml").write_text(INNER)
    with pytest.raises(DataError, match=r"holds the reports of 2 designs, dense_csynth\.xml, myproject_prj"):
        read_hls_reports(project)
    done = CliRunner().invoke(main, ["compare", "a", "b", "--hls", str(project)])
    assert done.exit_code == 2
    assert "--hls sets one RUN beside the reports" in done.output

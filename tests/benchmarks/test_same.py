import json
import tomllib

import pytest

from benchmarks.designs import PARTS, Build, config_text, options
from benchmarks.differences import LINES, Difference, compare, diff_text, differing_keys, generated, renamed, settled
from benchmarks.same import chosen, told
from gatewright.config import override, parse_config
from gatewright.errors import GatewrightError


def test_whole_names_are_replaced_all_at_once():
    renames = {"gw_fifo": "gw_queue", "gw_queue": "gw_fifo", "core": "dataflow"}
    text = "gw_fifo u_gw_fifo (gw_fifo2, gw_queue, $core, core$x, core.v);"
    assert renamed(text, renames) == "gw_queue u_gw_fifo (gw_fifo2, gw_fifo, $core, core$x, dataflow.v);"


def test_a_name_of_which_another_is_the_beginning_is_replaced_whole():
    assert renamed("a-b a", {"a": "x", "a-b": "y"}) == "y x"


def test_no_renames_leave_the_text():
    assert renamed("module core;\r\n", {}) == "module core;\r\n"


def test_files_of_a_run_are_the_program_rtl_without_its_record_and_the_results(tmp_path):
    for name, text in {
        "results.json": "{}",
        "rtl/core.v": "module core;\r\n",
        "rtl/stage.json": "{}",
        "rtl/sub/rom.hex": "0f",
        "program/program.txt": "program x – y",
        "program/check.json": "{}",
        "synth/stat.txt": "1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    files = generated(tmp_path, {"core": "dataflow"})
    assert list(files) == ["program/program.txt", "rtl/dataflow.v", "rtl/sub/rom.hex", "results.json"]
    assert files["rtl/dataflow.v"] == "module dataflow;\r\n"
    assert files["program/program.txt"].encode("latin-1").decode() == "program x – y"


def test_equal_files_do_not_differ():
    files = {"rtl/a.v": "module a;\n", "results.json": '{"a": 1, "b": [1.0]}'}
    assert compare(files, {**files, "results.json": '{"b": [1.0],\n"a": 1}'}, {}, {}) == []


def test_files_that_one_side_lacks_are_named_and_new_ones_come_last():
    assert compare({"rtl/b.v": "", "rtl/c.v": ""}, {"rtl/a.v": "", "rtl/b.v": ""}, {}, {}) == [
        Difference(where="rtl/c.v", text="is no longer made"),
        Difference(where="rtl/a.v", text="was not made before"),
    ]


def test_bytes_of_a_json_file_under_rtl_count():
    (found,) = compare({"rtl/a.json": "{}\n"}, {"rtl/a.json": "{ }\n"}, {}, {})
    assert found.where == "rtl/a.json"


def test_keys_of_results_are_told_by_their_path():
    old = {"hardware": {"adders": 3, "confusion": [[1, 2]], "probes": []}, "seed": 1, "tool": {"a": None}}
    new = {"hardware": {"adders": 4, "confusion": [[1, 3]], "probes": {}}, "seed": 1, "tool": {}}
    assert differing_keys(old, new, {}, {}) == [
        "hardware.adders: 3 -> 4",
        "hardware.confusion.0.1: 2 -> 3",
        "hardware.probes: [] -> {}",
        "tool: nothing -> {}",
        "tool.a: null -> nothing",
    ]


def test_whole_and_real_numbers_of_one_value_are_different():
    assert differing_keys({"a": 1}, {"a": 1.0}, {}, {}) == ["a: 1 -> 1.0"]


def test_an_allowed_key_may_differ_with_all_below_it_and_no_other_may():
    allowed = {"hardware.adder": "counted otherwise", "tool": "renamed"}
    old, new = {"hardware": {"adder": 1, "adders": 1}, "tool": {"a": 1}}, {"hardware": {"adders": 2}}
    assert differing_keys(old, new, allowed, {}) == ["hardware.adders: 1 -> 2"]


def test_many_keys_are_cut_and_counted():
    old, new = (json.dumps({"a": [value] * (LINES + 3)}) for value in (0, 1))
    (found,) = compare({"results.json": old}, {"results.json": new}, {}, {})
    assert found.text.splitlines()[-1] == "and 3 keys more"
    assert len(found.text.splitlines()) == LINES + 1


def test_the_diff_is_unified_and_short():
    old, new = ("".join(f"{i}{end}\n" for i in range(50)) for end in ("", "x"))
    lines = diff_text("rtl/a.v", old, new).splitlines()
    assert lines[:4] == ["--- old/rtl/a.v", "+++ new/rtl/a.v", "@@ -1,50 +1,50 @@", "-0"]
    assert len(lines) == LINES


@pytest.mark.parametrize(
    ("new", "tail"), [("a\r\n", ["-a", "+a\\r\\n"]), ("a", ["-a", "+a (no line end)"]), ("a\n\n", [" a", "+"])]
)
def test_the_diff_shows_line_ends(new, tail):
    assert diff_text("a", "a\n", new).splitlines()[3:] == tail


def test_what_is_told_names_all_files_both_folders_and_shows_the_first(tmp_path):
    found = [Difference(where="rtl/a.v", text="-x\n+y"), Difference(where="results.json", text="a: 1 -> 2")]
    text = told("digits", found, tmp_path / "o", tmp_path / "n", 5)
    assert text == (
        f"digits: DIFFERS in rtl/a.v, results.json\n  old {tmp_path / 'o'}\n  new {tmp_path / 'n'}\nrtl/a.v:\n-x\n+y"
    )
    assert told("digits", [], tmp_path, tmp_path, 5) == "digits: 5 files, all the same"


def test_parts_are_chosen_by_name():
    assert chosen([]) == list(PARTS)
    assert chosen(["tables", "digits"]) == ["tables", "digits"]
    with pytest.raises(GatewrightError, match=r"no part digit, table to compare; there are: digits, cosmic, tables"):
        chosen(["digit", "digits", "table"])


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_a_valid_configuration(name, pytestconfig):
    part = PARTS[name]
    raw = {"name": name, "data": {"source": "program.txt"}}
    if not isinstance(part, Build):
        raw = tomllib.loads(config_text(part, pytestconfig.rootpath))
    for setting in part.settings:
        override(raw, setting)
    assert parse_config(raw).name


def test_settings_are_words_of_the_command_line():
    build = Build(network="n", settings=("hardware.clock_mhz=100", 'synthesis.families=["xc7"]'))
    assert options(build) == ["--set", "hardware.clock_mhz=100", "--set", 'synthesis.families=["xc7"]']


def test_a_key_that_moved_keeps_its_value():
    old, new = '{"dsp": true, "top": "a"}', '{"claims": {"dsp": true}, "top": "a"}'
    moved = {"dsp": "claims.dsp"}
    assert compare({"rtl/design.json": old}, {"rtl/design.json": new}, {}, moved) == []
    other = new.replace("true", "false")
    (found,) = compare({"rtl/design.json": old}, {"rtl/design.json": other}, {}, moved)
    assert found.text == "claims.dsp: true -> false"
    assert compare({"results.json": old}, {"results.json": new}, {}, moved) != []


def test_stated_changes_of_verilog_do_not_count_and_others_do():
    stated = {r"^`default_nettype \w+\n": ("", "why"), r"\.T\(\d+'h0*(\w+)\)": (r".T(\1)", "why")}
    old = {"rtl/a.v": "module a;\nx .T(32'h0000ff)\n", "rtl/gw_lut.v": "one", "notes.txt": "`default_nettype none\n"}
    new = {"rtl/a.v": "`default_nettype none\nmodule a;\nx .T(8'hff)\n", "rtl/gw_lut.v": "two", "notes.txt": ""}
    before, after = (settled(files, stated, {"gw_lut.v": "why"}) for files in (old, new))
    assert [found.where for found in compare(before, after, {}, {})] == ["notes.txt"]
    new["rtl/a.v"] = new["rtl/a.v"].replace("ff", "fe")
    after = settled(new, stated, {"gw_lut.v": "why"})
    assert [found.where for found in compare(before, after, {}, {})] == ["rtl/a.v", "notes.txt"]
    assert compare({"rtl/gw_lut.v": ""}, {}, {}, {})[0].where == "rtl/gw_lut.v"

"""The generated inputs of a simulation: probe configuration, C++ names, header; and their errors."""

import pytest

from gatewright.errors import GatewrightError, ToolError
from gatewright.rtl.shell import StreamPort
from gatewright.sim.design import (
    ChannelProbe,
    LaneProbe,
    Probe,
    check_channels,
    check_members,
    check_probes,
    design_header,
    member,
    public_signals,
)

PORT = StreamPort(elements=2, width_bits=8, signed=True, beat_bits=8)


def probe(**changes) -> Probe:
    fields = {
        "layer": "fc1", "element": 3, "module": "net_fc1", "signal": "y_3", "path": ("u_core", "u_fc1"),
        "stage": 2, "width_bits": 9, "signed": True,
    }  # fmt: skip
    return Probe(**{**fields, **changes})


def channel(**changes) -> ChannelProbe:
    lanes = (LaneProbe(lane=2, signal="c1_2", width_bits=5, signed=False),)
    fields = {
        "channel": "fc1 -> fc2", "depth": 3, "module": "net_core", "path": ("u_core",), "written": "fc1_made",
        "valid": "c1_valid", "ready": "fc2_start", "lanes": lanes,
    }  # fmt: skip
    return ChannelProbe(**{**fields, **changes})


def test_probed_signals_are_made_public_once():
    text = public_signals("net", [probe(), probe(element=0)])
    assert text.splitlines() == [
        "`verilator_config",
        'public_flat_rd -module "net" -var "core_in_valid"',
        'public_flat_rd -module "net" -var "core_out_valid"',
        'public_flat_rd -module "net_fc1" -var "y_3"',
    ]


def test_names_follow_verilators_mangling():
    assert member("net", ("u_core", "u_fc1"), "y_3") == "net__DOT__u_core__DOT__u_fc1__DOT__y_3"
    assert member("net", (), "a__b_") == "net__DOT__a___05Fb_"


def test_the_header_binds_the_probes():
    text = design_header("net", PORT, PORT, [probe()], [("fc0", 5), ("fc1", 4)])
    assert "constexpr int SOURCE_BEATS = 2, SOURCE_WORDS = 1;" in text
    assert "constexpr int64_t LAYER_ELEMENTS[] = {5, 4};" in text
    assert "    add(list, root->net__DOT__u_core__DOT__u_fc1__DOT__y_3, 9, true, 2, 1, 3, 0);" in text
    assert text == design_header("net", PORT, PORT, [probe()], [("fc0", 5), ("fc1", 4)])


def test_many_probes_are_cut_into_functions():
    text = design_header("net", PORT, PORT, [probe(element=i) for i in range(1001)], [("fc1", 1001)])
    assert text.count("inline void add_") == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signal": "y[3]"}, r"^a probe of layer 'fc1' needs Verilog identifiers, not 'y\[3\]'$"),
        ({"stage": -1}, r"needs 1\.\.64 bits and stage, element >= 0, not 9 bits, stage -1, element 3$"),
        ({"width_bits": 65}, r"not 65 bits"),
    ],
)
def test_impossible_probes_are_refused(changes, message: str):
    with pytest.raises(GatewrightError, match=message):
        probe(**changes)


def test_a_probe_needs_values():
    with pytest.raises(GatewrightError, match=r"^no layer 'fc1' among the values\. Did you mean 'fc2'\?$"):
        check_probes([probe()], [("fc2", 9)])
    with pytest.raises(GatewrightError, match=r"^layer 'fc1' has 3 elements; a probe asks for element 3$"):
        check_probes([probe()], [("fc1", 3)])


def test_a_signal_that_verilator_did_not_keep_is_an_error():
    watched = "CData net__DOT__core_in_valid;\nCData net__DOT__core_out_valid;\n"
    check_members("net", [probe()], watched + "SData net__DOT__u_core__DOT__u_fc1__DOT__y_3;\n")
    with pytest.raises(ToolError, match=r"no signal 'net\.u_core\.u_fc1\.y_3' in module 'net_fc1'$"):
        check_members("net", [probe()], watched)
    with pytest.raises(ToolError, match=r"^module 'net' has no signal 'core_in_valid'; .* the shell of rtl/shell\.py$"):
        check_members("net", [], "")


def test_channels_are_bound_and_tell_when_vectors_leave():
    text = design_header("net", PORT, PORT, [probe(start=("u_core", "fc1_start"))], [("fc1", 4)], [channel()])
    core = "top.rootp->net__DOT__u_core__DOT__"
    assert f"inline bool core_out_valid(const Vtb& top) {{ return {core}fc1_made; }}" in text
    assert f'list.push_back({{"fc1 -> fc2", 3, &{core}fc1_made, &{core}c1_valid, &{core}fc2_start, {{}}}});' in text
    assert f"add(list.back().lanes, {core}c1_2, 5, false, 0, 0, 2, 0);" in text
    assert f"list.push_back(&{core}fc1_start);" in text
    assert "net__DOT__u_core__DOT__u_fc1__DOT__y_3, 9, true, 2, 0, 3, 1);" in text
    public = public_signals("net", [probe()], [channel()])
    assert 'public_flat_rd -module "net_core" -var "c1_valid"' in public
    assert "core_out_valid" not in public


def test_wires_have_no_fifo():
    text = design_header("net", PORT, PORT, [], [], [channel(depth=0, written=""), channel()])
    assert 'list.push_back({"fc1 -> fc2", 0, nullptr, &' in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": "c1.valid"}, r"^the probe of channel 'fc1 -> fc2' needs Verilog identifiers, not 'c1\.valid'$"),
        ({"written": ""}, r"needs a depth and the signal that writes its FIFO, or neither, not depth 3 and ''$"),
        ({"depth": -1}, r"not depth -1 and 'fc1_made'$"),
        (
            {"lanes": (LaneProbe(lane=0, signal="c", width_bits=65, signed=False),)},
            r"needs lanes >= 0 of 1\.\.64 bits, not LaneProbe",
        ),
    ],
)
def test_impossible_channels_are_refused(changes, message: str):
    with pytest.raises(GatewrightError, match=message):
        channel(**changes)


def test_a_channel_needs_values():
    with pytest.raises(GatewrightError, match=r"^no channel 'fc1 -> fc2' among the values\."):
        check_channels([channel()], {"fc1 -> fc3": 4})
    with pytest.raises(GatewrightError, match=r"^channel 'fc1 -> fc2' has 2 lanes; a probe asks for lane 2$"):
        check_channels([channel()], {"fc1 -> fc2": 2})


def test_signals_of_channels_and_starts_must_be_there():
    known = "CData net__DOT__core_in_valid;\nCData net__DOT__u_core__DOT__fc1_made;\n"
    with pytest.raises(
        ToolError, match=r"channel 'fc1 -> fc2': no signal 'net\.u_core\.c1_valid' in module 'net_core'$"
    ):
        check_members("net", [], known, [channel()])
    known += "SData net__DOT__u_core__DOT__u_fc1__DOT__y_3;\n"
    with pytest.raises(ToolError, match=r"layer 'fc1': no start signal 'net\.u_core\.go'$"):
        check_members("net", [probe(start=("u_core", "go"))], known, [channel()])

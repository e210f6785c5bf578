"""The generated inputs of a simulation: probe configuration, C++ names, header; and their errors."""

import pytest

from gatewright.errors import GatewrightError, ToolError
from gatewright.rtl.shell import StreamPort
from gatewright.sim.design import Probe, check_members, check_probes, design_header, member, public_signals

PORT = StreamPort(elements=2, width_bits=8, signed=True, beat_bits=8)


def probe(**changes) -> Probe:
    fields = {
        "layer": "fc1", "element": 3, "module": "net_fc1", "signal": "y_3", "path": ("u_core", "u_fc1"),
        "stage": 2, "width_bits": 9, "signed": True,
    }  # fmt: skip
    return Probe(**{**fields, **changes})


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
    assert "    add(list, root->net__DOT__u_core__DOT__u_fc1__DOT__y_3, 9, true, 2, 1, 3);" in text
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

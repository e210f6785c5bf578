"""Tables of parts and boards, the fit check, the PLL and the text of the board top."""

from __future__ import annotations

import re
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gatewright.chips import FAMILIES, PARTS, check_fit, part, router
from gatewright.deploy import BOARDS, Board, Uart, board, clock_for, pin_file
from gatewright.deploy.clocks.ecp5 import pll_for
from gatewright.deploy.clocks.table import CLOCKS
from gatewright.deploy.links.table import BEAT_BITS, link_top
from gatewright.deploy.links.uart import HOST_DRIVER, LEAVES, StreamPorts, board_top
from gatewright.errors import BudgetError, ConfigError
from gatewright.rtl.shell import StreamPort

SPELLED = {
    "ecp5": (r"[A-Z]{1,2}\d{1,2}", r'LOCATE COMP "(\w+)\S*" SITE "(\w+)"'),
    "ice40": (r"\d{1,2}", r"^set_io.* (\w+)\S* (\d+)$"),
    "gowin": (r"\d{1,2}", r'^IO_LOC "(\w+)\S*" (\d+);$'),
    "gatemate": (r"IO_[NESW][ABC]_[AB]\d", r'^Net "(\w+)\S*" Loc = "(\w+)"'),
}
"""Family -> how its pins are called, how its constraint file puts a port on one."""
CORE = StreamPorts(module="core", input_bytes=30, output_bytes=1)


def test_part_is_found_in_any_case():
    assert part("xc7a35t") is PARTS["XC7A35T"]


def test_unknown_part_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        part("XC7A35")
    assert str(caught.value) == "part must be in the table of parts, not 'XC7A35'. Did you mean 'XC7A35T'?"


def test_unknown_board_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        board("ulx3s")
    text = "board must be in the table of boards, not 'ulx3s'. Did you mean one of 'ulx3s_12f',"
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_whole(name):
    item = PARTS[name]
    assert item.name == name == name.upper()
    assert item.lut_inputs == (6 if item.family in {"xc7", "xcup", "intel"} else 4)
    per_lut = {"xc7": 2, "xcup": 2, "intel": 2, "gowin": 0.75}  # half ALMs; three quarters of Gowin's CLS have one
    assert item.ff == item.lut * per_lut.get(item.family, 1)
    assert bool(item.nextpnr) == (FAMILIES[item.family].router is not None)
    check_fit(item, lut=item.lut, ff=item.ff, dsp=item.dsp, bram=item.bram)


def test_too_large_says_by_how_much_and_names_a_larger_part():
    with pytest.raises(BudgetError) as caught:
        check_fit(part("XC7A35T"), lut=23_800, ff=41_600, dsp=91)
    assert str(caught.value) == (
        "the design needs 23,800 LUT, XC7A35T has 20,800: 3,000 too many (114 %); "
        "91 multiplier blocks, XC7A35T has 90: 1 too many (101 %). "
        "Try: fewer weight_bits, more sparsity, or a larger part (XC7Z020)"
    )


def test_too_large_for_every_part_of_the_family_promises_none():
    with pytest.raises(BudgetError, match=r"or a larger part$"):
        check_fit(part("XC7A35T"), lut=10**6, ff=0)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_whole(name):
    item = BOARDS[name]
    family = part(item.part).family
    pins = [item.clock_pin, item.link.rx, item.link.tx, *item.leds, *item.keep_high]
    assert len(set(pins)) == len(pins)
    spelled, located = SPELLED[family]
    assert all(re.fullmatch(spelled, pin) for pin in pins)
    assert item.source
    found = re.findall(located, pin_file(item).text, re.MULTILINE)
    assert sorted(pin for _, pin in found) == sorted(pins)
    top = board_top(board=item, core=CORE, clock_mhz=50 if family in CLOCKS else item.clock_mhz)
    ports = top.verilog[: top.verilog.index(");")]
    for port, _ in found:
        assert re.search(rf"\b{port}\b", ports)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_in_the_manual(name, root):
    assert f"`{name}`" in (root / "docs" / "boards.md").read_text()


def test_a_board_is_no_more_than_its_entry():
    """One that is not in the table gets its constraints and its top."""
    toy = Board(
        name="toy",
        title="Toy",
        part="LFE5U-45F",
        clock_pin="A1",
        clock_mhz=25.0,
        link=Uart(rx="B1", tx="B2"),
        leds=("C1", "C2"),
        keep_high=("D1",),
        loader="toy",
        source="nowhere",
    )
    pins = pin_file(toy)
    assert pins.name == "toy.lpf"
    located = dict(re.findall(r'LOCATE COMP "(\S+)" SITE "(\w+)"', pins.text))
    assert located.pop("clk_board") == "A1"
    assert located == {"uart_rx": "B1", "uart_tx": "B2", "led[0]": "C1", "led[1]": "C2", "keep_high[0]": "D1"}
    ports = [StreamPort(elements=n, width_bits=6, signed=True, beat_bits=BEAT_BITS) for n in (4, 2)]
    top = link_top(
        board=toy, shell="net", source=ports[0], result=ports[1], clock_mhz=50.0, module="toy_top", header="a toy"
    )
    assert (top.module, top.clock_mhz, top.host, top.leaves) == ("toy_top", 50.0, HOST_DRIVER, LEAVES)
    for part_of_it in ("module toy_top (", "net core (", ".VECTOR_BYTES(4)", "assign keep_high = 1'b1;", "// Toy: net"):
        assert part_of_it in top.verilog


def test_a_family_without_router_names_those_that_have_one():
    with pytest.raises(
        ConfigError, match="'xc7' has no open place and route; choose a part of ecp5, ice40, gowin, gatemate"
    ):
        router("xc7")


def test_a_board_of_another_family_has_no_pin_file_and_only_its_own_clock():
    other = replace(board("ulx3s_25f"), part="LIFCL-40")
    with pytest.raises(
        ConfigError, match="pin constraints are written for ecp5, ice40, gowin, gatemate, not for family 'nexus'"
    ):
        pin_file(other)
    assert clock_for("ice40", 12.0, 12.0).clock_mhz == 12.0
    with pytest.raises(ConfigError, match="there is no PLL for family 'ice40' here, only for ecp5"):
        clock_for("ice40", 12.0, 48.0)


def test_pins_have_pulls_and_the_voltage_of_their_bank():
    text = pin_file(board("tang_nano_9k")).text
    assert 'IO_PORT "led[0]" IO_TYPE=LVCMOS18 DRIVE=8;' in text
    assert 'IO_PORT "uart_rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;' in text
    assert "Clock 27 MHz" in text
    text = pin_file(board("icebreaker")).text
    assert "set_io -pullup yes uart_rx 6" in text
    assert "set_frequency clk_board 12" in text
    text = pin_file(board("gatemate_a1_evb")).text
    assert 'Net "uart_rx" Loc = "IO_SA_A6" | PULLUP=true;' in text
    assert 'Net "led" Loc = "IO_SB_B6";' in text  # the only bit of a vector


def test_ulx3s_pins_as_in_its_constraint_file():
    text = pin_file(board("ulx3s_85f")).text
    for port, pin in {"clk_board": "G2", "uart_rx": "M1", "uart_tx": "L4", "led[0]": "B2", "led[7]": "H3"}.items():
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in text
    assert 'FREQUENCY PORT "clk_board" 25 MHZ;' in text


@given(st.sampled_from([25.0, 100.0]), st.floats(10, 400))
def test_pll_is_legal_and_never_faster(input_mhz, output_mhz):
    pll = pll_for(input_mhz, output_mhz)
    if pll is None:
        assert input_mhz == output_mhz
        return
    assert 400 - 1e-9 <= pll.vco_mhz <= 800 + 1e-9
    assert 3.125 <= pll.input_mhz / pll.clki_div <= 400
    assert pll.output_mhz <= output_mhz * (1 + 1e-12)
    assert pll.output_mhz >= 0.8 * output_mhz or output_mhz < 14
    assert all(1 <= divider <= 128 for divider in (pll.clki_div, pll.clkop_div))
    assert 1 <= pll.clkfb_div <= 80


def test_pll_is_exact_where_it_can_be():
    for mhz in (40, 50, 80, 100, 120, 125, 150, 200):
        pll = pll_for(25, mhz)
        assert pll is not None
        assert pll.output_mhz == mhz


def test_pll_out_of_range_names_the_range():
    with pytest.raises(ConfigError) as caught:
        pll_for(25, 450)
    assert str(caught.value) == (
        "clock_mhz must be 10..400 for the PLL of an ECP5, not 450; or 25, the board's own clock"
    )


def test_baud_that_the_clock_cannot_make_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        board_top(board=board("ulx3s_25f"), core=CORE, clock_mhz=25, baud=4_000_000)
    assert str(caught.value) == (
        "baud must be the clock (25 MHz) divided by a whole number >= 4, within 2 %, not 4000000; "
        "the nearest is 4166667"
    )


def test_gap_shorter_than_two_bytes_is_refused():
    with pytest.raises(ConfigError, match=r"gap_ms must be 0\.02\.\..*, not 0\.001"):
        board_top(board=board("ulx3s_25f"), core=CORE, clock_mhz=25, gap_ms=0.001)


def test_core_without_bytes_is_refused():
    with pytest.raises(ConfigError, match="at least 1 byte each, not 0 and 1"):
        StreamPorts(module="core", input_bytes=0, output_bytes=1)


def test_top_states_what_the_line_allows():
    top = board_top(board=board("ulx3s_25f"), core=CORE, clock_mhz=100, header="program 1234\ngatewright 0.1")
    assert top.verilog.startswith("// program 1234\n// gatewright 0.1\n// Radiona ULX3S")
    assert (top.module, top.divider, top.clock_mhz) == ("core_ulx3s_25f", 100, 100)
    assert top.vectors_per_second == pytest.approx(1e6 / 300)
    assert top.latency_us == pytest.approx(310)
    again = board_top(board=board("ulx3s_25f"), core=CORE, clock_mhz=100, header="program 1234\ngatewright 0.1")
    assert again == top

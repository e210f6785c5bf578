"""The table of boards: a name in; chip, oscillator, link to the host and pins out.

The pins come from public constraint files (see each board's `source` and docs/boards.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gatewright.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Uart:
    """A serial line to the host. rx: the pin on which the FPGA *receives*; tx: on which it sends."""

    rx: str
    tx: str


Link = Uart
"""How a host reaches the core, a closed union; deploy/links/table.py has a file for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board with a chip, an oscillator, a link to the host, and LEDs.

    leds: the pins, led[0] first; leds_volts: of their bank. keep_high: pins that the bitstream must hold at 1. loader:
    the board's name for openFPGALoader. source: where the pins were read.
    """

    name: str
    title: str
    part: str
    clock_pin: str
    clock_mhz: float
    link: Link
    leds: tuple[str, ...]
    leds_active_low: bool = False
    leds_volts: float = 3.3
    keep_high: tuple[str, ...] = ()
    loader: str
    source: str


_ULX3S = Board(
    name="ulx3s_25f",
    title="Radiona ULX3S with LFE5U-25F",
    part="LFE5U-25F",
    clock_pin="G2",
    clock_mhz=25.0,
    link=Uart(rx="M1", tx="L4"),  # ftdi_txd and ftdi_rxd: named from the USB chip
    leds=("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3"),
    keep_high=("L2",),  # wifi_gpio0: low would put the ESP32 into its boot loader
    loader="ulx3s",
    source="github.com/emard/ulx3s doc/constraints/ulx3s_v20.lpf",
)
_ECPIX5 = Board(
    name="ecpix5_85f",
    title="LambdaConcept ECPIX-5 with LFE5UM5G-85F",
    part="LFE5UM5G-85F",
    clock_pin="K23",
    clock_mhz=100.0,
    link=Uart(rx="R26", tx="R24"),
    leds=("R21", "W21", "K24", "R23"),  # the green ones of four RGB LEDs
    leds_active_low=True,
    loader="ecpix5",
    source="github.com/amaranth-lang/amaranth-boards ecpix5.py and github.com/litex-hub/litex-boards ecpix5.py",
)
_ALL = (
    replace(_ULX3S, name="ulx3s_12f", title="Radiona ULX3S with LFE5U-12F", part="LFE5U-12F"),
    _ULX3S,
    replace(_ULX3S, name="ulx3s_45f", title="Radiona ULX3S with LFE5U-45F", part="LFE5U-45F"),
    replace(_ULX3S, name="ulx3s_85f", title="Radiona ULX3S with LFE5U-85F", part="LFE5U-85F"),
    Board(
        name="colorlight_i5",
        title="Colorlight i5 v7.0 on wuxx's extension board",
        part="LFE5U-25F",
        clock_pin="P3",
        clock_mhz=25.0,
        link=Uart(rx="H18", tx="J17"),
        leds=("U16",),
        leds_active_low=True,
        loader="colorlight-i5",
        source="github.com/wuxx/Colorlight-FPGA-Projects src/i5/picosoc/top.lpf "
        "and github.com/litex-hub/litex-boards colorlight_i5.py",
    ),
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        part="ICE40UP5K",
        clock_pin="35",
        clock_mhz=12.0,
        link=Uart(rx="6", tx="9"),
        leds=("11", "37"),
        leds_active_low=True,
        loader="ice40_generic",
        source="github.com/litex-hub/litex-boards litex_boards/platforms/1bitsquared_icebreaker.py",
    ),
    Board(
        name="tang_nano_9k",
        title="Sipeed Tang Nano 9K",
        part="GW1NR-9",
        clock_pin="52",
        clock_mhz=27.0,
        link=Uart(rx="18", tx="17"),
        leds=("10", "11", "13", "14", "15", "16"),
        leds_active_low=True,
        leds_volts=1.8,
        loader="tangnano9k",
        source="github.com/litex-hub/litex-boards litex_boards/platforms/sipeed_tang_nano_9k.py",
    ),
    Board(
        name="tang_nano_20k",
        title="Sipeed Tang Nano 20K",
        part="GW2AR-18",
        clock_pin="4",
        clock_mhz=27.0,
        link=Uart(rx="70", tx="69"),
        leds=("15", "16", "17", "18", "19", "20"),
        leds_active_low=True,
        loader="tangnano20k",
        source="github.com/litex-hub/litex-boards litex_boards/platforms/sipeed_tang_nano_20k.py",
    ),
    Board(
        name="gatemate_a1_evb",
        title="Olimex GateMateA1-EVB",
        part="CCGM1A1",
        clock_pin="IO_SB_A8",
        clock_mhz=10.0,
        link=Uart(rx="IO_SA_A6", tx="IO_SA_B6"),
        leds=("IO_SB_B6",),
        leds_active_low=True,
        loader="olimex_gatemateevb",
        source="github.com/litex-hub/litex-boards litex_boards/platforms/olimex_gatemate_a1_evb.py",
    ),
    replace(_ECPIX5, name="ecpix5_45f", title="LambdaConcept ECPIX-5 with LFE5UM5G-45F", part="LFE5UM5G-45F"),
    _ECPIX5,
)
BOARDS: dict[str, Board] = {item.name: item for item in _ALL}
"""Board name -> Board."""


def board(name: str) -> Board:
    """Return the board of that name. Raises ConfigError naming the nearest known one."""
    key = name.lower().replace("-", "_")
    if key not in BOARDS:
        raise ConfigError(f"board must be in the table of boards, not {name!r}.{nearest(key, list(BOARDS))}")
    return BOARDS[key]

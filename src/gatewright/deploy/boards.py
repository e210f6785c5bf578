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

    leds: the pins, led[0] first. keep_high: pins that the bitstream must hold at 1. loader: the board's name for
    openFPGALoader. source: where the pins were read.
    """

    name: str
    title: str
    part: str
    clock_pin: str
    clock_mhz: float
    link: Link
    leds: tuple[str, ...]
    leds_active_low: bool = False
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

"""The cells that yosys writes for each family: cell -> (kind of count, number it counts).

Sources: UG474, UG574 (Xilinx); FPGA-TN-02204 (ECP5: four LUTs hold the 16x4 RAM, its write port blocks two more);
FPGA-TN-02099 (Nexus, likewise); iCE40 LP/HX data sheet DS1040; UG288 (Gowin CFU); DS1001 (GateMate CPE);
CV-5V2 chapter 1 (Cyclone V ALM). Cell names: yosys 0.70's cell libraries.
"""

from __future__ import annotations

from collections.abc import Mapping


def _kinds(**cells: str | Mapping[str, int]) -> dict[str, tuple[str, int]]:
    """Return cell -> (kind, number) from kind="NAME NAME" or kind={NAME: number}."""
    table: dict[str, tuple[str, int]] = {}
    for kind, names in cells.items():
        numbers = dict.fromkeys(names.split(), 1) if isinstance(names, str) else names
        table |= {name: (kind, number) for name, number in numbers.items()}
    return table


_LUT1_TO_6 = "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6"
XILINX = _kinds(
    lut=f"{_LUT1_TO_6} LUT6_2",
    inv="INV",
    mux="MUXF7 MUXF8 MUXF9",
    carry="CARRY4 CARRY8",
    ff="FDRE FDSE FDCE FDPE FDRE_1 FDSE_1 FDCE_1 FDPE_1 LDCE LDPE",
    dsp="DSP48E1 DSP48E2",
    bram={"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2},
    srl="SRL16 SRL16E SRLC16E SRLC32E",
    lutram={
        "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
        "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
        "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    },
)  # fmt: skip
ECP5 = _kinds(
    lut=_LUT1_TO_6,
    inv="INV",
    mux="PFUMX L6MUX21",
    carry="CCU2C",
    ff="TRELLIS_FF",
    dsp="MULT18X18D",
    bram="DP16KD PDPW16KD",
    lutram={"TRELLIS_DPR16X4": 6},
)
NEXUS = _kinds(
    lut=_LUT1_TO_6,
    inv="INV",
    mux="WIDEFN9 PFUMX L6MUX21",
    carry="CCU2",
    ff="FD1P3BX FD1P3DX FD1P3IX FD1P3JX",
    dsp="MULT9X9 MULT18X18 MULT18X36 MULT36X36 MULTADDSUB18X18",
    bram="DP16K PDP16K PDPSC16K",
    lutram={"DPR16X4": 6},
    const="VHI VLO",
)
_ICE40_FF = ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")
ICE40 = _kinds(
    lut="SB_LUT4",
    carry="SB_CARRY",
    ff=" ".join(f"SB_DFF{edge}{kind}" for edge in ("", "N") for kind in _ICE40_FF),
    dsp="SB_MAC16",
    bram="SB_RAM40_4K SB_RAM40_4KNR SB_RAM40_4KNW SB_RAM40_4KNRNW",
)
_GOWIN_FF = ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")
GOWIN = _kinds(
    lut=_LUT1_TO_6,
    inv="INV",
    mux="MUX2_LUT5 MUX2_LUT6 MUX2_LUT7 MUX2_LUT8",
    carry="ALU",
    ff=" ".join(f"{kind}{edge}{tail}" for kind in ("DFF", "DL") for edge in ("", "N") for tail in _GOWIN_FF),
    dsp="MULT9X9 MULT18X18 MULT36X36",
    bram="SP SPX9 SDPB SDPX9B SDP SDPX9 DPB DPX9B DP DPX9",
    lutram={"RAM16S1": 6, "RAM16S2": 6, "RAM16S4": 6, "RAM16SDP1": 6, "RAM16SDP2": 6, "RAM16SDP4": 6},
    const="GND VCC",
)
GATEMATE = _kinds(
    lut="CC_LUT1 CC_LUT2 CC_LUT3 CC_LUT4 CC_L2T4 CC_L2T5 CC_MX2 CC_MX4",
    carry="CC_ADDF",
    ff="CC_DFF CC_DLT",
    dsp="CC_MULT",
    bram={"CC_BRAM_20K": 1, "CC_BRAM_40K": 2},
)
INTEL = _kinds(
    lut="MISTRAL_ALUT2 MISTRAL_ALUT3 MISTRAL_ALUT4 MISTRAL_ALUT5 MISTRAL_ALUT6",
    inv="MISTRAL_NOT",
    carry="MISTRAL_ALUT_ARITH",
    ff="MISTRAL_FF",
    dsp="MISTRAL_MUL9X9 MISTRAL_MUL18X18 MISTRAL_MUL27X27",
    bram="MISTRAL_M10K",
    lutram="MISTRAL_MLAB",
)
_GENERIC_FF = [
    f"$_{kind}_{''.join(pins)}_"
    for kind, pins in (
        *(("DFF", edge) for edge in "PN"),
        *(("DFFE", f"{edge}{enable}") for edge in "PN" for enable in "PN"),
        *(("SDFF", f"{edge}{reset}{value}") for edge in "PN" for reset in "PN" for value in "01"),
        *(
            (kind, f"{edge}{reset}{value}{enable}")
            for kind in ("SDFFE", "SDFFCE")
            for edge in "PN"
            for reset in "PN"
            for value in "01"
            for enable in "PN"
        ),
    )
]
GENERIC = _kinds(lut="$lut", ff=" ".join(_GENERIC_FF))

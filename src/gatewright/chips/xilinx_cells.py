"""The delays of Xilinx' 7 series cells in ps, and of the wires between them as a range: what static timing adds up.

Cells: the specify blocks of yosys 0.70's own library (share/xilinx/cells_sim.v, ISC), which hold Project X-Ray's delays
of Artix-7; a test reads them there again. They are those of speed grade -1: Vivado's reports print the same for CARRY4.
Flip-flops: 303 ps there, 456 in Vivado's reports of grade -1, hence a range.

Wires: no open data tells a net's delay before it is routed. Public Vivado reports of routed
designs on Artix-7 and Zynq-7000 (-1) show 0.44 to 0.9 ns for one load, 0.7 to 1.7 for five to seven, 1.3 to 2.9 for 60
to 100. NEAR is below these, FAR in their upper half: neither is a bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Ps = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTiming:
    """One cell. Pins as in the library; "S[0]" is a bit of a vector, "S" stands for every bit that is not named.

    arcs: output -> input -> ps; clock_to_out: output -> ps; setup: input -> ps before the clock.
    """

    arcs: Mapping[str, Ps] = field(default_factory=dict[str, Ps])
    clock_to_out: Ps = field(default_factory=dict[str, int])
    setup: Ps = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """A routed net: base_ns for one load, and doubling_ns more each time the loads double.

    flip_flop_ps: clock to output. inverters: whether an inverter is a LUT; else the cell in front or behind takes it
    in.
    """

    base_ns: float
    doubling_ns: float
    flip_flop_ps: int
    inverters: bool

    def delay_ns(self, loads: int) -> float:
        """Return the delay to each of a net's loads."""
        return self.base_ns + self.doubling_ns * math.log2(max(loads, 1))


NEAR = Wires(base_ns=0.30, doubling_ns=0.10, flip_flop_ps=303, inverters=False)
FAR = Wires(base_ns=0.65, doubling_ns=0.22, flip_flop_ps=456, inverters=True)

SLOWEST = "-1"
GRADES = {SLOWEST: 1.0, "-2": 0.85, "-3": 0.77}
"""Speed grade -> factor on every delay: stated, not measured; about what the data sheets' CLB tables differ by."""

_PINS = (642, 631, 472, 407, 238, 127)  # I0 .. I5 of a LUT6; smaller LUTs have the fast ones


def _lut(inputs: int) -> Ps:
    """Return input -> ps of a LUT. The library's LUT1 to LUT5 leave some of the six pins out."""
    pins = {1: (127,), 2: (238, 127), 3: (407, 238, 127), 4: (472, 407, 238, 127), 5: (631, 472, 407, 238, 127)}
    return {f"I{i}": ps for i, ps in enumerate(pins.get(inputs, _PINS))}


def _ff(reset: str) -> CellTiming:
    return CellTiming(clock_to_out={"Q": 303}, setup={"D": 0, "CE": 109, reset: 404})


def _lut_ram(words: int, ports: str) -> CellTiming:
    """Return a LUT RAM: a read is a LUT's, and what was just written comes 1.19 ns after the clock."""
    bits = words.bit_length() - 1
    reads = _PINS[:bits]
    outputs = [f"DO{port}" for port in ports]
    return CellTiming(
        arcs={f"DO{p}": {f"ADDR{p}[{i}]": ps for i, ps in enumerate(reads)} for p in ports},
        clock_to_out=dict.fromkeys(outputs, 1190),
        setup={"WE": 654, f"ADDR{ports[-1]}": 362, **{f"DI{p}": 461 for p in ports}},
    )


def _two_port(words: int) -> CellTiming:
    reads = _PINS[: words.bit_length() - 1]
    return CellTiming(
        arcs={
            "SPO": {f"A{i}": ps for i, ps in enumerate(reads)},
            "DPO": {f"DPRA{i}": ps for i, ps in enumerate(reads)},
        },
        clock_to_out={"SPO": 1153, "DPO": 1153},
        setup={"D": 453, "WE": 654, **{f"A{i}": 362 for i in range(len(reads))}},
    )


# input -> ps to (O[0], O[1], O[2], O[3], CO[0], CO[1], CO[2], CO[3]); 0: no arc
_CARRY4 = {
    "CYINIT": (482, 598, 584, 642, 536, 494, 592, 580),
    "CI": (222, 334, 239, 313, 271, 157, 228, 114),
    "DI[0]": (0, 407, 556, 615, 379, 465, 540, 526),
    "DI[1]": (0, 0, 537, 596, 0, 445, 520, 507),
    "DI[2]": (0, 0, 0, 438, 0, 0, 356, 398),
    "DI[3]": (0, 0, 0, 0, 0, 0, 0, 385),
    "S[0]": (223, 400, 523, 582, 340, 433, 512, 508),
    "S[1]": (0, 205, 558, 618, 0, 469, 548, 528),
    "S[2]": (0, 0, 226, 330, 0, 0, 292, 378),
    "S[3]": (0, 0, 0, 227, 0, 0, 0, 380),
}
_OUTPUTS = tuple(f"{name}[{bit}]" for name in ("O", "CO") for bit in range(4))

# The library knows no arcs of LUT6_2 (UG474: O5 is a five-input function in the same LUT) and MUXF9.
CELLS: dict[str, CellTiming] = {
    "INV": CellTiming(arcs={"O": {"I": 127}}),
    **{f"LUT{n}": CellTiming(arcs={"O": _lut(n)}) for n in range(1, 7)},
    "LUT6_2": CellTiming(arcs={"O6": _lut(6), "O5": _lut(5)}),
    "MUXF7": CellTiming(arcs={"O": {"I0": 217, "I1": 223, "S": 296}}),
    "MUXF8": CellTiming(arcs={"O": {"I0": 104, "I1": 94, "S": 273}}),
    "MUXF9": CellTiming(arcs={"O": {"I0": 104, "I1": 94, "S": 273}}),
    "CARRY4": CellTiming(
        arcs={output: {pin: row[k] for pin, row in _CARRY4.items() if row[k]} for k, output in enumerate(_OUTPUTS)}
    ),
    "FDRE": _ff("R"),
    "FDSE": _ff("S"),
    "FDCE": _ff("CLR"),
    "FDPE": _ff("PRE"),
    "SRL16E": CellTiming(clock_to_out={"Q": 1472}, setup={"D": 173, "CE": 109}),
    "SRLC32E": CellTiming(clock_to_out={"Q": 1472, "Q31": 1114}, setup={"D": 173, "CE": 109}),
    "RAM32M": _lut_ram(32, "ABCD"),
    "RAM64M": _lut_ram(64, "ABCD"),
    "RAM32X1D": _two_port(32),
    "RAM64X1D": _two_port(64),
}

_BLOCK_RAMS = ("RAMB18E1", "RAMB36E1", "RAMB18E2", "RAMB36E2")
BLOCK_RAM_PS = {False: 2454, True: 882}  # clock to output without and with its own output register
_BLOCK_SETUP = {"ADDRARDADDR": 566, "ADDRBWRADDR": 566, "WEA": 532, "WEBWE": 532, "DIADI": 737, "DIBDI": 737}


def cell_timing(cell: str, registers: Mapping[str, bool]) -> CellTiming | None:
    """Return the delays of a cell; None: not known. registers: "PREG", "DOA_REG", ... -> whether the cell has it.

    Of a DSP48 the path through the multiplier counts, with the registers it has.
    """
    if cell in CELLS:
        return CELLS[cell]
    if cell in _BLOCK_RAMS:
        outs = {"DOADO": "DOA_REG", "DOPADOP": "DOA_REG", "DOBDO": "DOB_REG", "DOPBDOP": "DOB_REG"}
        found = {pin: BLOCK_RAM_PS[registers.get(name, False)] for pin, name in outs.items()}
        return CellTiming(clock_to_out=found, setup=_BLOCK_SETUP)
    if cell in ("DSP48E1", "DSP48E2"):
        return _dsp(registers)
    return None


def _dsp(registers: Mapping[str, bool]) -> CellTiming:
    """Return a multiplier block without pre-adder and pattern detector: A (30 bits), B (18), C, product P."""
    a, b, c, m, p = (registers.get(f"{name}REG", False) for name in "ABCMP")
    setup: dict[str, int] = {}
    arcs: dict[str, int] = {}
    for pin, own, first, behind, through in (("A", a, 254, 1416, 2739), ("B", b, 324, 1285, 2608)):
        if own or m or p:
            setup[pin] = first if own else behind if m else through
        else:
            arcs[pin] = {"A": 2823, "B": 2690}[pin]
    if c or p:
        setup["C"] = 168 if c else 1244
    else:
        arcs["C"] = 1325
    out = 329 if p else 1671 if m else 2952 if a else 2813 if b else 1687 if c else 0
    return CellTiming(arcs={"P": arcs} if arcs else {}, clock_to_out={"P": out} if out else {}, setup=setup)

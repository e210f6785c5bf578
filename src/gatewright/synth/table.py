"""The table of tool flows: a part in, the flow that synthesizes, places and packs for it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gatewright.chips import FAMILIES, Family, Part
from gatewright.errors import GatewrightError
from gatewright.synth.nextpnr import PlaceReport, find_router, pack, place_and_route
from gatewright.synth.report import SynthReport
from gatewright.synth.static_timing import NetlistTiming, time_netlist
from gatewright.synth.yosys import find_yosys, synthesize


class Synthesize(Protocol):
    """Verilog files in, cell counts and a netlist in the folder `out` out; see synth/yosys.py for the contract."""

    def __call__(
        self,
        *,
        sources: Sequence[Path],
        top: str,
        family: Family,
        out: Path,
        keep: Sequence[str] = (),
        part: str = "",
        pads: bool = False,
        dsp: bool = False,
    ) -> SynthReport:
        """Synthesize."""
        ...


class Place(Protocol):
    """A netlist in, the placed design and its clocks out; see synth/nextpnr.py for the contract."""

    def __call__(
        self,
        *,
        netlist: Path,
        part: Part,
        pins: Path | None,
        freq_mhz: float,
        seed: int,
        out: Path,
        out_of_context: bool = False,
    ) -> PlaceReport:
        """Place and route."""
        ...


class Pack(Protocol):
    """A placed design in, its bitstream out; see synth/nextpnr.py for the contract."""

    def __call__(self, textcfg: Path | None, out: Path, *, part: Part) -> Path:
        """Pack."""
        ...


class Time(Protocol):
    """A netlist in, its clock as a range out; see synth/static_timing.py for the contract."""

    def __call__(self, path: Path, top: str, *, family: Family, speed: str = "") -> NetlistTiming:
        """Time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One flow from Verilog to a bitstream. synthesizes: the families whose cells it counts.

    places, places_bare, packs: whether it places a part, does so without I/O buffers, and packs a bitstream for it;
    check: raises MissingToolError where it is not installed, or where it cannot place the part that it is given.
    times: whether it tells a range of clocks of a family's netlist before placement.
    """

    synthesizes: Callable[[str], bool]
    places: Callable[[Part], bool]
    places_bare: Callable[[Part], bool]
    packs: Callable[[Part], bool]
    times: Callable[[Family], bool]
    synthesize: Synthesize
    place: Place
    pack: Pack
    time: Time
    check: Callable[[Part | None], None]


def _router(part: Part) -> bool:
    return bool(part.nextpnr) and FAMILIES[part.family].router is not None


def _bare(part: Part) -> bool:
    router = FAMILIES[part.family].router
    return _router(part) and router is not None and router.out_of_context


def _check(part: Part | None) -> None:
    find_yosys()
    if part is not None and (router := FAMILIES[part.family].router) is not None:
        find_router(router)


TOOLS: dict[str, Tool] = {
    "open": Tool(
        synthesizes=FAMILIES.__contains__,
        places=_router,
        places_bare=_bare,
        packs=_router,
        times=lambda family: FAMILIES[family].netlist_scale > 0,
        synthesize=synthesize,
        place=place_and_route,
        pack=pack,
        time=time_netlist,
        check=_check,
    ),
}
"""Name -> flow, the preferred first. "open": yosys, nextpnr and the open packers."""


def tool_for(family: str) -> Tool:
    """Return the first flow that synthesizes for a family. Raises GatewrightError where none does."""
    for tool in TOOLS.values():
        if tool.synthesizes(family):
            return tool
    raise GatewrightError(f"no tool flow synthesizes for {family!r}; there are {', '.join(TOOLS)}")

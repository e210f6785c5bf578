"""nextpnr and the families' packers: a netlist in, placed design with clock frequencies, and its bitstream, out."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.chips import FAMILIES, Part, Router
from gatewright.errors import BudgetError, GatewrightError, MissingToolError, ToolError
from gatewright.synth.port_registers import register_ports
from gatewright.synth.report import record_cpu
from gatewright.tools import package_version, run_tool, write_json

_RUN = "import sys; import {module} as y; sys.exit(y.{call})"  # the wheels have no __main__
_REGISTERED = "port_registers.json"
_WORDS = {
    "TRELLIS_COMB": "LUT sites", "TRELLIS_FF": "flip-flops", "TRELLIS_IO": "pins", "DP16KD": "18 kbit block RAMs",
    "MULT18X18D": "18x18 multipliers", "EHXPLLL": "PLLs", "TRELLIS_RAMW": "LUT RAM write ports",
    "ICESTORM_LC": "logic cells", "SB_IO": "pins", "LUT4": "LUT sites", "DFF": "flip-flops", "IOB": "pins",
    "CPE_LT": "half CPEs", "CPE_FF": "flip-flops", "GPIO": "pins",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlaceReport:
    """A placed and routed design.

    fmax_mhz: clock net -> highest frequency that it reaches; target_mhz: what was asked of it.
    Empty where no path runs from register to register, and of routers whose frequency is no bound (Router.timed).
    used, available: nextpnr's own cells (TRELLIS_COMB: LUT sites, TRELLIS_FF, DP16KD, MULT18X18D, TRELLIS_IO ...).
    textcfg: the input of pack; None for a design placed out of context.
    """

    part: str
    seed: int
    tool: str
    fmax_mhz: Mapping[str, float]
    target_mhz: Mapping[str, float]
    used: Mapping[str, int]
    available: Mapping[str, int]
    textcfg: Path | None

    @property
    def slowest_mhz(self) -> float | None:
        """The lowest of all clocks' frequencies; None: not known, for nothing was timed."""
        return min(self.fmax_mhz.values(), default=None)

    @property
    def meets_timing(self) -> bool | None:
        """Whether every clock reaches its target; None: not known, for nothing was timed."""
        if not self.fmax_mhz:
            return None
        return all(mhz >= self.target_mhz[clock] for clock, mhz in self.fmax_mhz.items())

    def utilisation(self) -> dict[str, float]:
        """Return the share of the part in per cent for each of nextpnr's cells that is used."""
        return {cell: 100.0 * number / self.available[cell] for cell, number in self.used.items() if number}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like dict: deterministic, no times, no paths."""
        return {
            "part": self.part,
            "seed": self.seed,
            "tool": self.tool,
            "fmax_mhz": dict(self.fmax_mhz),
            "target_mhz": dict(self.target_mhz),
            "used": {cell: number for cell, number in self.used.items() if number},
            "available": {cell: self.available[cell] for cell, number in self.used.items() if number},
            "slowest_mhz": self.slowest_mhz,
            "meets_timing": self.meets_timing,
        }


def place_and_route(
    *,
    netlist: Path,
    part: Part,
    pins: Path | None,
    freq_mhz: float,
    seed: int,
    out: Path,
    out_of_context: bool = False,
) -> PlaceReport:
    """Place and route a JSON netlist of yosys on a part whose family has a router in chips/families.py.

    pins: pin and clock constraints in the family's own format (LPF, PCF, CST, CCF); None lets nextpnr choose them
    (fine for a frequency, not for a board).
    freq_mhz: target of clocks that the constraints leave out; it changes nothing in the result. A missed target is
    no error: see PlaceReport.meets_timing. out_of_context: no I/O buffers, for designs with more ports than the
    package has pins; no bitstream can be made of it. A flip-flop is put at each port, for paths from and to ports are
    not timed there: they count among the cells used. ECP5 only; wrap the design by rtl.harness elsewhere. out: a
    directory, that of synthesize will do; gets place.log, nextpnr.json (its own report), place.json (the PlaceReport),
    design.config, and a line in timing.json.

    Raises BudgetError, saying by how much, where the design does not fit; MissingToolError; ToolError.
    """
    router = FAMILIES[part.family].router
    if not part.nextpnr or router is None:
        placed = ", ".join(name for name, row in FAMILIES.items() if row.router)
        raise GatewrightError(
            f"{part.name} has no open place and route here; choose a part of {placed}, "
            "or take the family's timing estimate"
        )
    if out_of_context and not router.out_of_context:
        raise GatewrightError(f"{part.family} has no out_of_context placing; wrap the design by gatewright.rtl.harness")
    for source in (netlist, *([pins] if pins else [])):
        if not source.is_file():
            raise GatewrightError(f"no file {source} to place; synthesize for {part.family!r} first")
    argv, tool = _tool(router, router.module, f"{router.function}(sys.argv[1:])")
    out.mkdir(parents=True, exist_ok=True)
    for stale in ("place.log", "place.json", "nextpnr.json", "design.config"):
        (out / stale).unlink(missing_ok=True)
    if out_of_context and register_ports(netlist, out / _REGISTERED):
        netlist = out / _REGISTERED
    argv += [*part.nextpnr, "--json", _relative(netlist, out), "--report", "nextpnr.json"]
    argv += ["--freq", f"{freq_mhz:g}", "--seed", str(seed), "--timing-allow-fail"]
    argv += router.pins(_relative(pins, out)) if pins else router.free
    argv += ["--out-of-context"] if out_of_context else router.product("design.config")
    try:
        run = run_tool(argv, cwd=out, log=out / "place.log")
    except ToolError:
        if (out / "place.log").is_file():
            check_log((out / "place.log").read_text(), part=part)
        raise
    textcfg = None if out_of_context else out / "design.config"
    for product in (out / "nextpnr.json", *([textcfg] if textcfg else [])):
        if not product.is_file():
            raise ToolError(f"{tool} exited with 0 but wrote no {product}; see {run.log}")
    report = parse_report((out / "nextpnr.json").read_text(), part=part, seed=seed, tool=tool, textcfg=textcfg)
    record_cpu(out, "place", run.seconds)
    write_json(out / "place.json", report.to_json())
    return report


def pack(textcfg: Path | None, out: Path, *, part: Part, svf: Path | None = None) -> Path:
    """Turn nextpnr's configuration into a bitstream `out`, whose suffix is the family's (Packer.suffix); return `out`.

    svf: for JTAG players, ECP5 only. Raises GatewrightError for a design placed out of context (None), for it has no
    pins, and for a family without a router.
    """
    router = FAMILIES[part.family].router
    if router is None:
        packed = ", ".join(name for name, row in FAMILIES.items() if row.router)
        raise GatewrightError(f"bitstreams are packed for {packed}, not for {part.family}; choose a part of these")
    if textcfg is None:
        raise GatewrightError("a design placed with out_of_context=True has no bitstream; place it with a board's pins")
    if not textcfg.is_file():
        raise GatewrightError(f"no placed design {textcfg}; place and route it first")
    packer, work = router.packer, out.parent
    argv, _ = _tool(router, packer.module, packer.call)
    work.mkdir(parents=True, exist_ok=True)
    argv += packer.argv(_relative(textcfg, work), out.name, part.nextpnr)
    argv += ["--svf", _relative(svf, work)] if svf and part.family == "ecp5" else []
    out.unlink(missing_ok=True)
    run_tool(argv, cwd=work, log=out.with_suffix(".pack.log"))
    if not out.is_file():
        raise ToolError(f"{packer.module} exited with 0 but wrote no {out}; see {out.with_suffix('.pack.log')}")
    return out


def parse_report(text: str, *, part: Part, seed: int, tool: str, textcfg: Path | None) -> PlaceReport:
    """Turn nextpnr's --report into a PlaceReport."""
    router = FAMILIES[part.family].router
    try:
        raw = json.loads(text)
        clocks = {_net(name): (value["achieved"], value["constraint"]) for name, value in raw["fmax"].items()}
        cells = {name: (value["used"], value["available"]) for name, value in raw["utilization"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"nextpnr's report must hold fmax and utilization: {error!r}; place again") from error
    if router is not None and not router.timed:
        clocks = {}
    return PlaceReport(
        part=part.name,
        seed=seed,
        tool=tool,
        fmax_mhz={name: round(achieved, 2) for name, (achieved, _) in sorted(clocks.items())},
        target_mhz={name: round(target, 2) for name, (_, target) in sorted(clocks.items())},
        used={name: used for name, (used, _) in sorted(cells.items())},
        available={name: available for name, (_, available) in sorted(cells.items())},
        textcfg=textcfg,
    )


def check_log(text: str, *, part: Part) -> None:
    """Raise BudgetError where nextpnr's log shows more cells of a kind than the part has."""
    too_many: list[str] = []
    for cell, used, available in re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", text, re.MULTILINE):
        excess = int(used) - int(available)
        if excess > 0:
            too_many.append(
                f"{int(used):,} {_WORDS.get(cell, cell)}, {part.name} has {int(available):,}: {excess:,} too many"
                f" ({100 * int(used) / int(available):.0f} %)"
            )
    if too_many:
        pins = " (pins: a narrower stream, or out_of_context=True)" if any("pins" in line for line in too_many) else ""
        raise BudgetError(
            f"the placed design needs {'; '.join(too_many)}. "
            f"Try: fewer weight_bits, more sparsity, or a larger part{pins}"
        )


def find_router(router: Router) -> None:
    """Raise MissingToolError where a family's place and route is not installed."""
    if importlib.util.find_spec(router.module) is None:
        raise MissingToolError(f"place and route needs nextpnr, which is not installed; `pip install {router.package}`")


def _tool(router: Router, module: str, call: str) -> tuple[list[str], str]:
    find_router(router)
    code = _RUN.format(module=module, call=call)
    return [sys.executable, "-P", "-c", code], f"{router.package} {package_version(router.package)}"


def _relative(path: Path, base: Path) -> str:
    """Relative always: inside its WASM sandbox the tool sees another, empty /tmp."""
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()


def _net(name: str) -> str:
    """Strip what nextpnr adds to a clock net's name."""
    return name.removeprefix("$glbnet$").removesuffix("$TRELLIS_IO_IN")

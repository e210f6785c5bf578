"""Results in, the page's hardware half out: resources per family, estimate beside measurement, latency, board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatewright.chips import FAMILIES
from gatewright.report.clocks import (
    NOT_KNOWN,
    clock_text,
    mhz_text,
    misses,
    ns_text,
    range_text,
    source_text,
    usable_mhz,
)
from gatewright.report.diagram import bottleneck, channel_rows, dataflow_picture, unit_rows
from gatewright.report.numbers import DASH, THIN, count, difference, percent, significant, unit

Results = Mapping[str, Any]

TITLES = {name: row.title for name, row in FAMILIES.items()}
_COUNTS = (
    ("lut", "LUT"),
    ("ff", "flip-flops"),
    ("carry", "carry cells"),
    ("dsp", "DSP blocks"),
    ("bram", "block RAMs"),
    ("lutram", "LUT as RAM"),
    ("srl", "LUT as shift register"),
    ("sites", "LUT sites in all"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The chosen part's figures for the headline."""

    part: str
    lut: int
    lut_name: str
    lut_note: str
    fmax: str
    fmax_note: str
    fmax_tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRow:
    """One kind of cell in one family. share: of the part, text; bar: the same, 0..100."""

    name: str
    core: str
    shell: str
    total: str
    share: str
    bar: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyTable:
    """One family's resources. chosen: whether it is the run's target; shares: whether the part's size is known."""

    title: str
    part: str
    tool: str
    chosen: bool
    rows: list[ResourceRow]
    shares: bool
    timed: bool
    fmax: str
    fmax_note: str


def sections(results: Results) -> dict[str, Any]:
    """Return what hardware.html reads: resources, latency, simulation, board."""
    latency_header, latency_rows = latency_table(results)
    board: dict[str, Any] = results["board"] or {}
    hardware: dict[str, Any] = results["hardware"]
    units: list[dict[str, Any]] = hardware.get("units", [])
    return {
        "families": family_tables(results),
        "own_family": family(results),
        "estimated_timing": any(
            part["fmax_source"] in {"estimate", "static timing"} for part in results["synthesis"].values()
        ),
        "target_part": results["hardware"]["part"],
        "estimates": estimate_rows(results),
        "latency_header": latency_header,
        "latency_rows": latency_rows,
        "design": design_facts(results),
        "channels": channel_rows(hardware.get("channels", []), units),
        "units": unit_rows(units),
        "intervals": _intervals(hardware),
        "dataflow": dataflow_picture(units) if units else "",
        "slowest": bottleneck(units)["name"] if units else "",
        "bitstream": results["bitstream"],
        "loader": board.get("loader", board.get("name", "")),
        "board": board_facts(results),
    }


def family(results: Results) -> str:
    """Return the family of the chosen part: as recorded, or the one whose part it is."""
    h, synthesis = results["hardware"], results["synthesis"]
    if h.get("family"):
        return h["family"]
    return next((name for name, part in synthesis.items() if part["part"] == h["part"]), "")


def target(results: Results) -> Target:
    """Return the chosen part's LUTs and clock, or the estimate where it was not synthesized."""
    h, own = results["hardware"], results["synthesis"].get(family(results))
    if own is None:
        estimate = results["estimate"]
        return Target(
            part=h["part"],
            lut=estimate["lut"],
            lut_name="LUT",
            lut_note="estimate, before synthesis",
            fmax=range_text(tuple(estimate.get("clock_range_mhz", [estimate["fmax_mhz"]] * 2)), "MHz"),
            fmax_note="estimate",
            fmax_tone="",
        )
    total = own.get("available", {}).get("lut")
    share = f"{percent(_sites(own) / total)} of {count(total)}; " if total else ""
    return Target(
        part=h["part"],
        lut=_sites(own),
        lut_name="LUT" if _sites(own) == own["lut"] else "LUT sites",
        lut_note=f"{share}{count(own['dsp'])} DSP, {count(own['bram'])} BRAM",
        fmax=clock_text(own),
        fmax_note=f"{source_text(own)}; target {significant(h['clock_mhz'])}{THIN}MHz",
        fmax_tone="bad" if misses(own, h["clock_mhz"]) else "",
    )


def family_tables(results: Results) -> list[FamilyTable]:
    """Return one resource table per synthesized family, the target's first."""
    own = family(results)
    order = {name: rank for rank, name in enumerate(TITLES)}
    names = sorted(results["synthesis"], key=lambda name: (name != own, order.get(name, len(order)), name))
    return [_family_table(results["synthesis"][name], name, name == own) for name in names]


def _family_table(synthesis: Mapping[str, Any], name: str, chosen: bool) -> FamilyTable:
    core: Mapping[str, int] = synthesis.get("core", {})
    available: Mapping[str, int] = synthesis.get("available", {})
    rows: list[ResourceRow] = []
    for key, title in _COUNTS:
        if key not in synthesis or (key in {"lutram", "srl", "sites"} and synthesis[key] in {0, synthesis["lut"]}):
            continue
        total = synthesis[key]
        holds = available.get("lut" if key == "sites" else key)
        share = total / holds if holds else None
        rows.append(
            ResourceRow(
                name=title,
                core=count(core.get(key)),
                shell=count(total - core[key]) if key in core else DASH,
                total=count(total),
                share="" if share is None else percent(share, 1 if share >= 0.001 or share == 0 else 2),
                bar=0.0 if share is None else round(min(100.0, 100 * share), 2),
            )
        )
    return FamilyTable(
        title=TITLES.get(name, name),
        part=synthesis["part"],
        tool=synthesis.get("tool", ""),
        chosen=chosen,
        rows=rows,
        shares=bool(available),
        timed=synthesis["fmax_mhz"] is not None,
        fmax=clock_text(synthesis),
        fmax_note=source_text(synthesis),
    )


def estimate_rows(results: Results) -> list[list[str]]:
    """Return rows of (quantity, estimate, measured, difference) for the core on the chosen part."""
    e, h, own = results["estimate"], results["hardware"], results["synthesis"].get(family(results))
    rows: list[list[str]] = []
    if own is not None:
        core: Mapping[str, int] = own.get("core") or own
        what = "core" if "core" in own else "core and shell"
        lut = core["lut"] if "xc" in family(results) else _sites(core)
        for name, guess, seen in ((f"LUT, {what}", e["lut"], lut), (f"flip-flops, {what}", e["ff"], core["ff"])):
            rows.append([name, count(guess), count(seen), difference(guess, seen)])
        if own["fmax_source"] in {"place and route", "vivado"}:
            seen = own["fmax_mhz"]
            rows.append(["highest clock, MHz", count(e["fmax_mhz"]), count(seen), difference(e["fmax_mhz"], seen)])
    rows.append(
        [
            "latency, cycles (measured: simulation)",
            count(e["latency_cycles"]),
            count(h["latency_cycles"]),
            difference(e["latency_cycles"], h["latency_cycles"]),
        ]
    )
    return rows


def _sites(counts: Mapping[str, int]) -> int:
    return counts.get("sites", counts["lut"])


def latency_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows): cycles and nanoseconds, core alone and with data transfer, at each known clock.

    The clock asked for is not among them where it is out of reach.
    """
    h, own = results["hardware"], results["synthesis"].get(family(results))
    usable = usable_mhz(results, own)
    clocks: list[tuple[str, tuple[float, float]]] = []
    if usable == (h["clock_mhz"],) * 2:
        clocks.append((f"at the {mhz_text(usable)} target", usable))
    else:
        clocks.append((f"at {mhz_text(usable)}, for the target of {significant(h['clock_mhz'])}{THIN}MHz", usable))
    if own is not None and own["fmax_source"] in {"place and route", "vivado"} and own["fmax_mhz"] > usable[1]:
        clocks.append((f"at the measured {mhz_text((own['fmax_mhz'],) * 2)}", (own["fmax_mhz"],) * 2))
    board = results["board"]
    if board and (board["clock_mhz"],) * 2 not in [ends for _, ends in clocks]:
        clocks.append((f"on the board, {significant(board['clock_mhz'])}{THIN}MHz", (board["clock_mhz"],) * 2))
    rows = [
        _clocked(name, cycles, clocks)
        for name, cycles in (
            ("core: inputs complete to outputs valid", h["latency_cycles"]),
            ("with data transfer: first beat in to last beat out", h["transfer_latency_cycles"]),
            ("initiation interval: time between two samples", h["initiation_interval"]),
        )
    ]
    if h.get("greatest_latency_cycles", 0) > h["latency_cycles"]:
        rows.insert(
            1, _clocked("the same at full rate, samples waiting in FIFOs", h["greatest_latency_cycles"], clocks)
        )
    rates = [unit(_rates(ends, h["initiation_interval"]), "M/s") for _, ends in clocks]
    rows.append(["throughput, million samples per second", "", *rates])
    return ["", "cycles", *(name for name, _ in clocks)], rows


def _intervals(hardware: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each interval of a design on streams, its own marked."""
    own, mhz = hardware["initiation_interval"], hardware["clock_mhz"]
    return [
        [
            f"{count(row['cycles'])}{' (this design)' if row['cycles'] == own else ''}",
            *(count(row[key]) for key in ("lut", "ff", "dsp", "bram")),
            count(int(mhz * 1e6 / row["cycles"])),
        ]
        for row in hardware.get("intervals", [])
    ]


def _rates(clock_mhz: tuple[float, float], interval: int) -> str:
    slow, fast = (significant(mhz / max(1, interval)) for mhz in clock_mhz)
    return slow if slow == fast else f"{slow} to {fast}"


def _clocked(name: str, cycles: int, clocks: list[tuple[str, tuple[float, float]]]) -> list[str]:
    return [name, count(cycles), *(ns_text(cycles, ends, exact=True) for _, ends in clocks)]


def design_facts(results: Results) -> list[tuple[str, str]]:
    """Return what was built and how it was checked, as (term, value)."""
    h, export = results["hardware"], results["export"]
    output = {
        "argmax": "number of the class with the highest score",
        "scores": "raw scores, exact",
        "topk": f"numbers of the {h.get('top_k', 'k')} classes with the highest scores, best first",
        "threshold": "for each score 1 where it reaches its threshold, else 0",
        "softmax": f"probabilities, at most {significant(h.get('softmax_error_bound', 0.0))} from the exact softmax",
    }[h["output"]]
    facts = [
        ("Program against network", _compared(export["samples_compared"], "samples", export["mismatches"])),
        ("Hardware against program", _compared(h["vectors"], "vectors", h["mismatches"])),
        ("Output", output),
    ]
    if "test_top_k_accuracy" in h:
        facts.append(("Own class among them", percent(h["test_top_k_accuracy"])))
    if "test_decision_accuracy" in h:
        facts.append(("Decisions right (1 for the own class alone)", percent(h["test_decision_accuracy"])))
    if "stall_fraction" in h:
        facts.append(("Stalled cycles on each stream", percent(h["stall_fraction"], 0)))
    if "estimated_cycles" in h:
        facts.append(
            (
                "Pipeline",
                f"the fewest stages that met the clock when placed; the delay model takes {h['estimated_cycles']}",
            )
        )
    if "simulator" in h:
        facts.append(("Simulator", h["simulator"]))
    facts += frontend_facts(h.get("frontend"))
    numbers = (
        ("stages", "Pipeline stages", ""),
        ("adders", "Adders and subtractors", ""),
        ("input_bits", "Input stream", "bit"),
        ("output_bits", "Output stream", "bit"),
    )
    return facts + [
        (term, unit(count(h[key]), name) if name else count(h[key])) for key, term, name in numbers if key in h
    ]


def frontend_facts(front: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the facts of the unit in front of the network."""
    if front is None:
        return []
    rate = front["samples_per_cycle"]
    least, most = front["latency_cycles"], front["greatest_latency_cycles"]
    compared, ring = _compared(front["results"], "results", front["mismatches"]), front["ring_samples"]
    waits = "none waits" if rate >= 1 else f"none waits at up to {significant(rate)} a cycle"
    return [
        (
            "In front",
            f"{front['module']}: an ADC's samples of {front['adc_bits']} bit; windows begin {front['windows_begin']}",
        ),
        (
            "Stream against program",
            f"{count(front['samples'])} samples, played at full rate, with stalls, and with resets; " + compared,
        ),
        (
            "Samples",
            f"{waits}; {count(front['waited'])} cycles of waiting at one a cycle, ring of {count(ring)}",
        ),
        (
            "From a window's last sample to its result",
            f"{least} to {most} cycles" if least != most else f"{least} cycles",
        ),
    ]


def _compared(number: int, what: str, mismatches: int) -> str:
    return f"{count(number)} {what}, {count(mismatches)} mismatches"


def board_facts(results: Results) -> list[tuple[str, str]]:
    """Return the board's facts as (term, value); empty where the run has no board."""
    board = results["board"]
    if not board:
        return []
    mhz = f"{THIN}MHz"
    facts = [
        ("Board", board.get("title") or board["name"]),
        ("Chip", board.get("part", DASH)),
        ("Clock of the design", f"{significant(board['clock_mhz'])}{mhz}"),
    ]
    if "fmax_mhz" in board:
        reached = f"{count(int(board['fmax_mhz']))}{mhz}" if board["fmax_mhz"] else NOT_KNOWN
        facts.append(("Highest clock, placed and routed", reached))
    if "lut" in board:
        facts.append(("Whole board design", f"{count(board['lut'])} LUT sites, {count(board.get('ff'))} flip-flops"))
    if board.get("link"):
        facts.append(("Link to the host", board["link"]))
    return facts

"""The content of search.json in, one self-contained search.html out."""
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gatewright.report.figures import (
    GRID,
    MUTED,
    STUDENT,
    Picture,
    axes_of,
    label_points,
    legend_below,
    logarithmic_x,
    mark_chosen,
    svg_of,
)
from gatewright.report.numbers import DASH, count, fixed, interval, percent, significant, unit
from gatewright.report.page import render_template
from gatewright.report.view import Card
from gatewright.tools import write_atomic

Result = Mapping[str, Any]
Row = Mapping[str, Any]

NAMES = {"metric": "validation score", "lut": "LUT", "ff": "FF", "dsp": "DSP", "latency": "latency"}


def write_search_page(path: Path, result: Result) -> None:
    """Write the page, atomically. result: as in search.json. The same result gives the same bytes."""
    write_atomic(path, render_search(result))


def render_search(result: Result) -> str:
    """Return the page as text."""
    share = result["task"] == "classification"
    chosen = result["chosen"]
    return render_template(
        "search.html",
        name=result["name"],
        summary=_summary(result),
        cards=_cards(result, share=share),
        limits=result["limits"],
        pictures=[*_front_picture(result, share=share), *_importance_pictures(result)],
        front_header=["trial.point", f"validation {'accuracy' if share else 'RMSE'}", *_COSTS],
        front_rows=[_point_cells(row, chosen, share=share) for row in result["front"]],
        chosen_values=[] if chosen is None else [(key, _value(item)) for key, item in chosen["values"].items()],
        space=list(result["space"].items()),
        trial_header=[
            "trial",
            "state",
            f"best {'accuracy' if share else 'RMSE'}",
            "LUT",
            "cycles",
            "seconds",
            "values",
        ],
        trial_rows=[_trial_cells(row, share=share) for row in result["trials"]],
        provenance=[
            ("Data", result["settings"]["contents"]["data"]),
            ("Seed", str(result["seed"])),
            ("Tools", ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)),
        ],
    )


_COSTS = ("LUT", "FF", "DSP", "cycles", "EBOPs")


def _summary(result: Result) -> str:
    finished = result["finished"]
    total = sum(finished.values())
    stopped = finished["stopped"]
    ended = (
        f"{stopped} {'was' if stopped == 1 else 'were'} stopped as hopeless" if stopped else "none was stopped early"
    )
    failed = f", {finished['failed']} gave no student" if finished["failed"] else ""
    points = sum(len(row["points"]) for row in result["trials"])
    return (
        f"{count(total)} trials within the budget of {result['part']}: {finished['complete']} were trained to the end "
        f"and gave {count(points)} students; {ended}{failed}. Scores are of the validation split; the test split was "
        "read for the chosen student only. Costs are estimates of the core, output stage included."
    )


def _cards(result: Result, *, share: bool) -> list[Card]:
    chosen = result["chosen"]
    if chosen is None:
        return [Card(label="Chosen", value="none", note="no student keeps the budget", tone="bad")]
    test, teacher = chosen["test"], chosen["teacher_test"]
    ends = interval(*test["interval"]) if share else ""
    return [
        Card(
            label=f"Test {test['metric']}",
            value=_score(test["value"], share=share),
            note=f"{f'95 % {ends}; ' if ends else ''}teacher {_score(teacher['value'], share=share)}",
        ),
        Card(label="LUT", value=count(chosen["lut"]), note=f"estimate; limit {count(result['max_lut'])}"),
        Card(
            label="Latency",
            value=unit(count(chosen["latency_cycles"]), "cycles"),
            note=unit(fixed(chosen["latency_ns"]), "ns"),
        ),
        Card(
            label="Chosen",
            value=f"{chosen['trial']}.{chosen['point']}",
            note="trial.point; gatewright run chosen.toml",
        ),
    ]


def _score(value: float, *, share: bool) -> str:
    return percent(value, 2) if share else significant(abs(value))


def _point_cells(row: Row, chosen: Row | None, *, share: bool) -> list[str]:
    mine = chosen is not None and (row["trial"], row["point"]) == (chosen["trial"], chosen["point"])
    return [
        f"{row['trial']}.{row['point']}{' (chosen)' if mine else ''}",
        _score(row["score"], share=share),
        *(count(row[key]) for key in ("lut", "ff", "dsp", "latency_cycles", "ebops")),
    ]


def _trial_cells(row: Row, *, share: bool) -> list[str]:
    values = ", ".join(f"{key} {_value(item)}" for key, item in row["values"].items())
    if not row["points"]:
        return [str(row["trial"]), row["state"], DASH, DASH, DASH, fixed(row["seconds"]), f"{row['reason']}; {values}"]
    best = row["points"][row["best"]]
    return [
        str(row["trial"]),
        row["state"] if best["feasible"] else "beyond the budget",
        _score(best["score"], share=share),
        count(best["lut"]),
        count(best["latency_cycles"]),
        fixed(row["seconds"]),
        values,
    ]


def _value(item: Any) -> str:
    return f"{item:.4g}" if isinstance(item, float) else json.dumps(item).strip('"')


def _front_picture(result: Result, *, share: bool) -> list[Picture]:
    """Return the score of every student against its LUTs: those beyond the budget hollow, the front joined."""
    points: list[Row] = [point for row in result["trials"] for point in row["points"]]
    if not points:
        return []
    figure, axes = axes_of(4.6, 2.9)
    for fits, label in ((False, "beyond the budget"), (True, "within the budget")):
        some = [p for p in points if p["feasible"] == fits]
        if some:
            axes.scatter(
                [p["lut"] for p in some],
                [abs(p["score"]) for p in some],
                s=14,
                facecolors=MUTED if fits else "none",
                edgecolors=MUTED,
                linewidths=0.7,
                label=label,
            )
    front: Sequence[Row] = result["front"]
    if front:
        axes.plot(
            [p["lut"] for p in front],
            [abs(p["score"]) for p in front],
            color=STUDENT,
            linewidth=1.2,
            marker="o",
            markersize=4,
            label="front",
        )
    chosen: Row | None = result["chosen"]
    if chosen:
        mark_chosen(axes, chosen["lut"], abs(chosen["score"]))
    low, high = min(p["lut"] for p in points), max(p["lut"] for p in points)
    if result["max_lut"] <= 3 * high:
        axes.axvline(result["max_lut"], color=GRID, linewidth=1.4)
    if high > 4 * max(low, 1.0):
        logarithmic_x(axes)
    if share:
        best = max(abs(p["score"]) for p in points)
        if front:
            low_end = max(0.0, 2.2 * min(abs(p["score"]) for p in front) - 1.2 * best - 0.01)
            axes.set_ylim(low_end, best + max(0.01, 0.08 * (best - low_end)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}\u202f%")
    if front:
        mine = [(p["trial"], p["point"]) for p in front]
        first = (
            mine.index((chosen["trial"], chosen["point"]))
            if chosen and (chosen["trial"], chosen["point"]) in mine
            else 0
        )
        places = [p["lut"] for p in front], [abs(p["score"]) for p in front]
        label_points(axes, *places, [f"{trial}.{point}" for trial, point in mine], first=first)
    axes.set_xlabel("estimated LUTs of the core; the line is the budget")
    legend_below(figure)
    name = "Validation accuracy" if share else "Validation RMSE"
    alt = f"{name} of {len(points)} students from {low:,.0f} to {high:,.0f} LUTs, {len(front)} of them on the front."
    title = f"{name} against LUTs"
    return [Picture(title=title, alt=alt, html=svg_of(figure, title, alt))]


def _importance_pictures(result: Result) -> list[Picture]:
    pictures: list[Picture] = []
    for objective, shares in result["importances"].items():
        ranked = sorted(shares.items(), key=lambda item: item[1])
        figure, axes = axes_of(4.6, 0.6 + 0.22 * len(ranked))
        axes.barh([name for name, _ in ranked], [share for _, share in ranked], color=STUDENT, height=0.6)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}\u202f%")
        title = f"What {NAMES[objective]} depends on"
        alt = f"{title}: {', '.join(f'{name} {100 * share:.0f} %' for name, share in reversed(ranked))}."
        pictures.append(Picture(title=title, alt=alt, html=svg_of(figure, title, alt)))
    return pictures

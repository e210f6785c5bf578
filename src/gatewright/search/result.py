"""A search's records in; the front, the chosen point, search.json, search.html and chosen.toml out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright.config import Config
from gatewright.errors import BudgetError, ConfigError
from gatewright.report.search_page import write_search_page
from gatewright.search.ledger import DIRECTIONS, FIGURES, settings_of
from gatewright.search.limits import Limits
from gatewright.search.records import Point, Record, Records
from gatewright.search.space import configure
from gatewright.search.teachers import Teachers
from gatewright.search.toml import toml_text
from gatewright.tools import package_version, write_atomic, write_json
from gatewright.version import __version__

if TYPE_CHECKING:
    from gatewright.data import Dataset

RESULT, PAGE, CHOSEN = "search.json", "search.html", "chosen.toml"


def front_of(points: Sequence[Point], objectives: Sequence[str]) -> list[Point]:
    """Return the points within the budget that no other equals or beats in every objective, by rising LUT."""
    kept: list[Point] = []
    costs = {point.name: _costs(point, objectives) for point in points}
    for point in sorted(points, key=lambda p: (costs[p.name], p.trial, p.point)):
        mine = costs[point.name]
        beaten = (all(a <= b for a, b in zip(costs[other.name], mine, strict=True)) for other in kept)
        if point.feasible and not any(beaten):
            kept.append(point)
    return sorted(kept, key=lambda p: (p.figures["lut"], p.trial, p.point))


def choose_point(points: Sequence[Point], config: Config) -> Point:
    """Return the smallest point within the budget whose validation score is within search.drop of the best.

    Raises BudgetError where no point keeps the budget, naming the nearest.
    """
    fitting = [point for point in points if point.feasible]
    best = max(point.figures["score"] for point in fitting)
    floor = best - config.search.drop * (1.0 if config.task == "classification" else abs(best))
    enough = [point for point in fitting if point.figures["score"] >= floor]
    return min(enough, key=lambda p: (p.figures["lut"], -p.figures["score"], p.trial, p.point))


def nothing_fits(records: Sequence[Record], limits: Limits) -> BudgetError:
    """Return the error of a search without a point in its budget: the nearest, and what to relax."""
    tried = [(point.excess, point.figures, f"trial {point.name}") for r in records for point in r.points]
    tried += [(r.excess, r.cost, f"trial {r.trial}, untrained") for r in records if r.excess and r.cost]
    if not tried:
        reasons = "; ".join(dict.fromkeys(record.reason for record in records if record.reason))
        return BudgetError(f"none of {len(records)} trials gave a student: {reasons[:600]}")
    excess, cost, name = min(tried, key=lambda item: sum(max(value, 0.0) for value in item[0].values()))
    over = [limit for limit, share in excess.items() if share > 0]
    smallest = min(tried, key=lambda item: item[1]["lut"])
    words = {"clock_mhz": "fmax_mhz"}
    misses = "; ".join(f"{limits.words(limit)}: it has {cost[words.get(limit, limit)]:,.6g}" for limit in over)
    return BudgetError(
        f"no student of {len(records)} trials keeps the budget. Nearest: {name}, beyond {misses}. "
        f"Smallest: {smallest[2]}, {smallest[1]['lut']:,.0f} LUT, {smallest[1]['latency_cycles']:.0f} cycles. "
        "Relax these limits or the clock, search smaller students (search.space: student.hidden, student.weight_bits, "
        "student.sparsity, or student.precision learned), take a larger part, or add --trials"
    )


def parse_name(text: str, records: Sequence[Record]) -> Point:
    """Return the point that TRIAL or TRIAL.POINT names; TRIAL alone is its only, or its best, point."""
    trial, _, point = text.partition(".")
    if not trial.isdigit() or (point and not point.isdigit()):
        raise ConfigError(f"--pick takes TRIAL or TRIAL.POINT, e.g. 12 or 12.3, not {text!r}")
    found = {record.trial: record for record in records}.get(int(trial))
    if found is None:
        raise ConfigError(f"--pick {text}: no finished trial {trial}; there are {len(records)}, counted from 0")
    if found.best is None:
        raise ConfigError(f"--pick {text}: trial {trial} has no student: {found.reason}")
    if not point:
        return found.best
    if int(point) >= len(found.points):
        raise ConfigError(f"--pick {text}: trial {trial} has the points 0 to {len(found.points) - 1}")
    return found.points[int(point)]


def chosen_config(config: Config, record: Record, point: Point) -> Config:
    """Return the configuration that `gatewright run` makes this point from."""
    values = dict(record.values)
    if record.precision == "learned":
        values["student.learned.point"] = point.point
    return configure(config, values, f"trial {point.name}").model_copy(update={"search": type(config.search)()})


def write_result(
    config: Config,
    out: Path,
    data: Dataset,
    *,
    records: Sequence[Record],
    chosen: Point | None,
    limits: Limits,
    part: str,
    space: dict[str, str],
    importances: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Write search.json, search.html and chosen.toml; return what is in the first.

    Only here the test split is read, for the chosen point and its teacher.
    """
    points = [point for record in records for point in record.points]
    states = [record.state for record in records]
    result: dict[str, Any] = {
        "name": config.name,
        "task": config.task,
        "seed": config.search.seed,
        "part": part,
        "objectives": {name: DIRECTIONS[name] for name in config.search.objectives},
        "limits": [limits.words(name) for name in limits.excess(dict.fromkeys((*_COST, "score"), 0.0))],
        "max_lut": limits.lut,
        "space": space,
        "settings": settings_of(config, data.checksum),
        "versions": {"gatewright": __version__, **{name: package_version(name) for name in ("optuna", "torch")}},
        "finished": {state: states.count(state) for state in ("complete", "stopped", "failed")},
        "seconds": round(sum(record.seconds for record in records), 1),
        "trials": [_trial_row(record) for record in records],
        "front": [_point_row(point) for point in front_of(points, config.search.objectives)],
        "importances": importances,
        "chosen": None,
    }
    if chosen is not None:
        record = next(record for record in records if record.trial == chosen.trial)
        result["chosen"] = {**_point_row(chosen), "values": record.values, **_test(out, data, record, chosen)}
        text = toml_text(chosen_config(config, record, chosen), _comment(config, chosen))
        write_atomic(out / CHOSEN, text)
    write_json(out / RESULT, result)
    write_search_page(out / PAGE, result)
    return result


def read_result(out: Path) -> dict[str, Any]:
    """Return a finished search's search.json. Raises ConfigError where there is none."""
    try:
        return json.loads((out / RESULT).read_text())
    except (OSError, ValueError):
        raise ConfigError(f"{out} holds no finished search ({RESULT}); run `gatewright search CONFIG.toml`") from None


_COST = ("lut", "ff", "dsp", "bram", "latency_cycles", "latency_ns", "fmax_mhz")


def _costs(point: Point, objectives: Sequence[str]) -> tuple[float, ...]:
    """Return a point's objectives, each so that less is better."""
    sign = {"maximize": -1.0, "minimize": 1.0}
    return tuple(sign[DIRECTIONS[name]] * point.figures[FIGURES[name]] for name in objectives)


def _point_row(point: Point) -> dict[str, Any]:
    return {"trial": point.trial, "point": point.point, "feasible": point.feasible, **point.figures}


def _trial_row(record: Record) -> dict[str, Any]:
    return {
        "trial": record.trial,
        "state": record.state,
        "reason": record.reason,
        "values": record.values,
        "precision": record.precision,
        "teacher": record.teacher,
        "teacher_score": record.teacher_score,
        "seconds": record.seconds,
        "best": record.best.point if record.best else None,
        "points": [_point_row(point) for point in record.points],
    }


def _test(out: Path, data: Dataset, record: Record, chosen: Point) -> dict[str, Any]:
    from gatewright.fit.scores.metrics import metrics
    from gatewright.graph import load_graph

    student = load_graph(Records(out / "trials").path(chosen.trial) / f"{chosen.point:03d}" / "graph.npz")
    teacher = Teachers(out / "teachers").load(record.teacher)
    found = {"test": metrics(student, data), "teacher_test": metrics(teacher.network, data)}
    kept = ("metric", "value", "interval", "samples")
    return {
        "teacher_score": record.teacher_score,
        **{name: {key: table[key] for key in kept} for name, table in found.items()},
    }


def _comment(config: Config, chosen: Point) -> str:
    f = chosen.figures
    return (
        f"Trial {chosen.name} of the search {config.name}: validation score {f['score']:.5g}; estimated "
        f"{f['lut']:,.0f} LUT, {f['latency_cycles']:.0f} cycles.\nBuild it: gatewright run {CHOSEN}"
    )

"""What a search directory keeps of each finished trial, beside the storage: its points, networks and reasons."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import GatewrightError
from gatewright.search.limits import feasible
from gatewright.search.space import Values
from gatewright.search.trial import Outcome, best_of
from gatewright.tools import new_directory, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One student of a trial. point: its number there; figures and excess: see Candidate."""

    trial: int
    point: int
    figures: dict[str, float]
    excess: dict[str, float]

    @property
    def feasible(self) -> bool:
        """Whether it keeps every limit."""
        return feasible(self.excess)

    @property
    def name(self) -> str:
        """TRIAL.POINT, as --pick takes it."""
        return f"{self.trial}.{self.point}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished trial. values: what it drew; teacher: its key; teacher_score: on the validation split.

    cost, excess: of the estimate that stopped it before training.
    """

    trial: int
    state: str
    values: Values
    precision: str
    teacher: str
    teacher_score: float | None
    points: tuple[Point, ...] = ()
    reason: str = ""
    cost: dict[str, float] | None = None
    excess: dict[str, float] | None = None
    curve: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def best(self) -> Point | None:
        """The point that speaks for the trial: see best_of."""
        return self.points[best_of([(p.figures, p.excess) for p in self.points])] if self.points else None

    @staticmethod
    def of(trial: int, values: Values, precision: str, teacher: str, score: float | None, outcome: Outcome) -> Record:
        """Return the record of an outcome."""
        points = tuple(
            Point(trial=trial, point=index, figures=found.figures, excess=found.excess)
            for index, found in enumerate(outcome.candidates)
        )
        return Record(
            trial=trial,
            state=outcome.state,
            values=values,
            precision=precision,
            teacher=teacher,
            teacher_score=score,
            points=points,
            reason=outcome.reason,
            cost=outcome.cost,
            excess=outcome.excess,
            curve=outcome.curve,
            seconds=round(outcome.seconds, 2),
        )


@dataclass(frozen=True, slots=True)
class Records:
    """The folder of trials of a search directory."""

    folder: Path

    def path(self, trial: int) -> Path:
        """Return a trial's folder."""
        return self.folder / f"{trial:04d}"

    def has(self, trial: int) -> bool:
        """Whether a trial was recorded; its folder appears at once with all that is in it."""
        return (self.path(trial) / "trial.json").is_file()

    def write(self, record: Record, outcome: Outcome) -> None:
        """Keep a trial: trial.json, and a folder per network."""
        from gatewright.graph import save_graph

        with new_directory(self.path(record.trial)) as out:
            for index, found in enumerate(outcome.candidates):
                save_graph(found.network, out / f"{index:03d}" / "graph.npz")
            write_json(out / "trial.json", asdict(record))

    def read(self, trial: int) -> Record:
        """Return a recorded trial. Raises GatewrightError where it is missing or damaged."""
        path = self.path(trial) / "trial.json"
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            raw["points"] = tuple(Point(**point) for point in raw["points"])
            raw["curve"] = tuple(raw["curve"])
            return Record(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GatewrightError(
                f"{path} must hold the record of finished trial {trial}, but cannot be read ({error}); restore it, "
                "or start another search with --out"
            ) from None

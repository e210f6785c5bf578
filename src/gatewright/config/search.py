"""Table [search]: the trials of `gatewright search`, and the limits below the part's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gatewright.config.section import Count, Fraction, Most, Number, Section, Seed

Objective = Literal["metric", "lut", "ff", "dsp", "latency"]


class Budget(Section):
    """Limits of `gatewright search` below the part's own. Latency and clock are limited by the table hardware.

    min_score: the validation score that a student must have: an accuracy, or minus an RMSE.
    """

    max_lut: Count | None = None
    max_ff: Count | None = None
    max_dsp: Count | None = None
    max_bram: Count | None = None
    min_score: Number | None = None


class Search(Section):
    """`gatewright search`: trials of teacher, student and compression settings against the part's budget.

    jobs: trials at a time; 0: one per core. storage: SQLAlchemy URL of Optuna's storage, e.g. postgresql://...; empty:
    a SQLite file in the search directory. objectives: what a trial is judged by; metric is the validation score.
    drop: the chosen point is the smallest whose validation score is within `drop` of the best (as student.learned).
    stop_below: a trial stops when its best validation score so far is below this quantile of what finished trials had
    at the same share of their training; 0 never stops. space: key of the tables teacher, student, distill or
    hardware -> list of choices, or {low, high, log, step}; for `hidden` {low, high, log, layers = [least, most]}.
    """

    trials: Most = 40
    jobs: int = Field(default=0, ge=0, le=4096)
    storage: str = ""
    seed: Seed = 1
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = ("metric", "lut")
    drop: Fraction = 0.0
    stop_below: Fraction = 0.1
    budget: Budget = Budget()
    space: dict[str, Any] = Field(default={})

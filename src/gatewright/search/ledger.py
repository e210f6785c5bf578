"""The study in Optuna's storage: which trials were asked, what they drew, what became of them. Survives any kill.

One process writes: it asks for a trial, which the storage then holds as RUNNING with all that it drew, and tells how it
ended. A trial that is RUNNING when a search starts was cut off; it goes on under its own number with what it drew.
So the storage's trials are 0 .. n-1, each once.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from gatewright.config import Config
from gatewright.errors import ConfigError
from gatewright.flow.stages.networks import pretrained_digest
from gatewright.search.records import Record
from gatewright.search.space import Dimension, Values, draw
from gatewright.search.storage import engine_options, opening, storage_url
from gatewright.tools import write_atomic

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

DIRECTIONS = {"metric": "maximize", "lut": "minimize", "ff": "minimize", "dsp": "minimize", "latency": "minimize"}
FIGURES = {"metric": "score", "lut": "lut", "ff": "ff", "dsp": "dsp", "latency": "latency_cycles"}
STARTUP = 10  # random trials before the sampler learns from them
# Settings that do not change what a trial gives; the others must be those that a stored study began with.
FREE: dict[str, Any] = {
    "search": {"trials", "jobs", "storage", "drop"},
    "simulation": True,
    "synthesis": True,
    "teacher": {"checkpoint_seconds"},
    "student": {"checkpoint_seconds": True, "learned": {"point", "drop"}},
}


class Ledger:
    """The study of one search directory."""

    def __init__(self, study: optuna.Study, config: Config, space: Sequence[Dimension]) -> None:
        self.study, self.config, self.space = study, config, space

    @staticmethod
    def open(config: Config, space: Sequence[Dimension], folder: Path, data_checksum: str) -> Ledger:
        """Create the study in the configuration's storage, or load it where the search was begun before.

        Raises ConfigError for a storage that cannot be reached, a study of another configuration or directory.
        """
        optuna = _optuna()
        mine = _identity(folder)
        url = storage_url(config, folder)
        with opening(url):
            storage = optuna.storages.RDBStorage(url, engine_kwargs=engine_options(url))
            study = optuna.create_study(
                storage=storage,
                study_name=f"gatewright-{config.name}",
                directions=[DIRECTIONS[name] for name in config.search.objectives],
                load_if_exists=True,
            )
            told = study.user_attrs
            settings = settings_of(config, data_checksum)
            if "settings" not in told:
                study.set_user_attr("directory", [mine, str(folder.resolve())])
                study.set_user_attr("settings", settings)
                told = study.user_attrs
        if told["directory"][0] != mine:
            raise ConfigError(
                f"the study {study.study_name!r} in this storage belongs to the search in {told['directory'][1]}; "
                "continue it there (--out), or give this one another name in the configuration"
            )
        require_same(folder, told["settings"], settings)
        return Ledger(study, config, space)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials by number."""
        return self.study.get_trials(deepcopy=False)

    def ask(self) -> tuple[int, Values]:
        """Start a trial; return its number and what it drew."""
        self.study.sampler = self._sampler(len(self.trials()))
        trial = self.study.ask()
        return trial.number, draw(self.space, trial, self.config.student.precision)

    def again(self, frozen: FrozenTrial) -> Values:
        """Return what a trial that was cut off drew; what it had not drawn yet is drawn now."""
        self.study.sampler = self._sampler(frozen.number)
        return draw(self.space, self._trial(frozen.number), self.config.student.precision)

    def floor(self, number: int, now: Sequence[float]) -> tuple[float, ...]:
        """Return the stop rule's floor that a trial's training began with: `now`, unless it was cut off by a kill."""
        attrs = self.trials()[number].user_attrs
        if "floor" not in attrs:
            self._trial(number).set_user_attr("floor", list(now))
            return tuple(now)
        return tuple(attrs["floor"])

    def tell(self, record: Record) -> None:
        """Close a trial: its values and constraints, and every point, for other readers of the storage."""
        from optuna.trial import TrialState

        trial = self._trial(record.trial)
        excess, values = record.excess, None
        if best := record.best:
            excess = best.excess
            values = [best.figures[FIGURES[name]] for name in self.config.search.objectives]
            trial.set_user_attr("point", best.point)
            trial.set_user_attr("points", [point.figures for point in record.points])
        if record.reason:
            trial.set_user_attr("reason", record.reason)
        for name, share in (excess or {}).items():
            trial.set_constraint(name, share)
        state = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
        self.study.tell(record.trial, values, state=state[record.state])

    def _trial(self, number: int) -> Trial:
        """Return a trial under way, as Study.ask does for a new one."""
        from optuna.trial import Trial

        frozen = self.trials()[number]
        return Trial(self.study, frozen._trial_id)  # pyright: ignore[reportPrivateUsage] -- no public name for it

    def importances(self) -> dict[str, dict[str, float]]:
        """Return, per objective, the share of its variation that each searched key explains (fANOVA, Hutter 2014).

        Empty before there are enough trials with different values.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        found: dict[str, dict[str, float]] = {}
        done = [trial for trial in self.trials() if trial.values]
        for index, name in enumerate(self.config.search.objectives):
            if len(done) < STARTUP or len({trial.values[index] for trial in done}) < 2:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # keys that few trials have, e.g. of a third layer, are left out
                shares = get_param_importances(
                    self.study,
                    evaluator=FanovaImportanceEvaluator(seed=self.config.search.seed),
                    target=lambda trial, index=index: trial.values[index],
                )
            found[name] = dict(shares)
        return found

    def _sampler(self, number: int) -> BaseSampler:
        """Return the sampler of a trial. Its seed follows from the trial's number, so a resumed search draws anew."""
        from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

        seed = (self.config.search.seed * 1_000_003 + number) % 2**32
        match self.config.search.sampler:
            case "tpe":
                return TPESampler(seed=seed, n_startup_trials=STARTUP)
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=2 * STARTUP)
            case "random":
                return RandomSampler(seed=seed)


def settings_of(config: Config, data_checksum: str) -> dict[str, Any]:
    """Return all that decides what trials give, JSON-like."""
    contents = {"data": data_checksum, "teacher.pretrained": pretrained_digest(config)}
    return json.loads(json.dumps({**config.model_dump(mode="json", exclude=FREE), "contents": contents}))


def require_same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming the keys, where a directory's search had other settings."""
    if changed := _changes(old, new):
        raise ConfigError(
            f"{folder} holds a search with another configuration: {'; '.join(changed)}. Restore it to continue "
            "that search, or choose another directory with --out"
        )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("a search needs the package optuna; pip install 'gatewright[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _identity(folder: Path) -> str:
    """Return the search directory's own name, made at its first use: a storage may hold many directories' studies."""
    path = folder / "search.id"
    if not path.exists():
        write_atomic(path, uuid4().hex)
    return path.read_text().strip()


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> list[str]:
    """Return the keys whose values differ, with both."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict) and not f"{above}{key}".startswith("search.space"):
            found += _changes(cast("Any", was), cast("Any", now), f"{above}{key}.")
        elif was != now:
            found.append(f"{above}{key} is {_short(now)}, was {_short(was)}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

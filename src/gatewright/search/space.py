"""The configuration's search.space in, typed dimensions out; a trial's values in, that trial's configuration out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never, cast

from pydantic import BaseModel, ValidationError

from gatewright.config import Config, explain, parse_config
from gatewright.config.section import LAYERS
from gatewright.errors import ConfigError, nearest

SECTIONS = ("teacher", "student", "distill", "hardware")
REFUSED = {
    "student.learned.point": "every point of every front is a candidate",
    "student.learned.drop": "every point of every front is a candidate; set search.drop",
    "hardware.part": "a search has one budget",
    "hardware.board": "a search has one budget",
    "hardware.clock_mhz": "a search has one budget",
    "hardware.max_latency_cycles": "it is the budget",
    "hardware.max_latency_ns": "it is the budget",
}
PRECISION = "student.precision"
WEIGHTS = ("fixed", "learned")
# What some kinds of precision alone read: drawn in their trials only.
ONLY: dict[str, tuple[str, ...]] = {
    "student.hidden": WEIGHTS,
    "student.layers": WEIGHTS,
    "student.weight_bits": ("fixed",),
    "student.bias_bits": ("fixed",),
    "student.activation_bits": ("fixed",),
    "student.activation": ("fixed",),
    "student.weight_digits": ("fixed",),
    "student.sparsity": ("fixed",),
    "student.pruning.": ("fixed",),
    "student.learned.": ("learned",),
    "student.tables.": ("tables",),
}
MOST_STEPS = 1_000_000  # of a range
RANGE_KEYS = ("low", "high", "log", "step", "layers")


class Drawer(Protocol):
    """What draws values: an optuna.Trial."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number in low..high."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number in low..high."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some values, each as JSON text (Optuna stores no lists)."""

    key: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A number in low..high; whole: an integer."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Sizes of least..most hidden layers, each in low..high."""

    key: str
    low: int
    high: int
    log: bool
    least: int
    most: int


Dimension = Choice | Span | Layers
Values = dict[str, Any]
"""Key of the configuration -> value, as a trial drew it."""


def read_space(config: Config) -> tuple[Dimension, ...]:
    """Return the dimensions of a search: the default ones, those of search.space in their place.

    The precision comes first, because others depend on it; the rest is sorted by key.

    Raises ConfigError for a key that does not exist or cannot be searched, and for ranges without sense or beyond what
    the key takes, before any trial runs.
    """
    asked = _flat(config.search.space)
    wanted = {**default_space(config), **asked}
    found = [_dimension(config, key, wanted[key]) for key in sorted(wanted, key=lambda key: (key != PRECISION, key))]
    precisions = _precisions(config, asked)
    for key in asked:
        if (only := _only(key)) and not set(only) & set(precisions):
            kinds = " or ".join(map(repr, only))
            raise ConfigError(
                f"search.space: {key!r} is read with student.precision {kinds} only, which this search never has; "
                f"take it out, or add {PRECISION!r} = [..., {only[0]!r}]"
            )
    for dimension in found:
        for value in _extremes(dimension):
            _check_value(config, dimension.key, value)
    return tuple(found)


def default_space(config: Config) -> dict[str, Any]:
    """Return the space of a configuration that names none: around its own student, in its kinds of compression."""
    student, asked = config.student, _flat(config.search.space)
    sizes, layers = student.hidden, len(student.hidden)
    per_layer = any(
        isinstance(value, tuple)
        for value in (student.weight_bits, student.activation_bits, config.hardware.reuse_factor)
    )
    rate, speed = student.learning_rate, student.learned.width_rate
    teacher = config.teacher.hidden
    space: dict[str, Any] = {
        "teacher.hidden": [list(teacher), [max(1, size // 2) for size in teacher]],
        "student.learning_rate": {"low": rate / 3, "high": rate * 3, "log": True},
        "distill.temperature": {"low": 1.0, "high": 8.0, "log": True},
        "distill.weight": {"low": 0.0, "high": 1.0},
    }
    precisions = _precisions(config, asked)
    if sizes and set(precisions) & set(WEIGHTS) and not (student.layers or "student.layers" in asked):
        space["student.hidden"] = {
            "low": max(2, min(sizes) // 2),
            "high": 2 * max(sizes),
            "log": True,
            "layers": [layers, layers] if per_layer else [max(1, layers - 1), layers],
        }
    if config.teacher.pretrained or config.teacher.layers or "teacher.layers" in asked:
        del space["teacher.hidden"]  # its sizes hold, or its lines
    if "fixed" in precisions:
        space |= {
            "student.weight_bits": {"low": 3, "high": 8},
            "student.activation_bits": {"low": 3, "high": 8},
            "student.weight_digits": [0, 1, 2],
        }
        pruning = student.pruning
        if pruning.kind != "n_of_m" and not (pruning.budget_lut or pruning.budget_ebops):  # these set the sparsity
            space["student.sparsity"] = {"low": 0.3, "high": 0.9}
    if "learned" in precisions:
        space["student.learned.width_rate"] = {"low": speed / 2, "high": speed * 2, "log": True}
    if "tables" in precisions:  # multiples of what the classes share now, so that they can share it still
        space["student.tables.layers"] = [[many * size for size in student.tables.layers] for many in (1, 2, 4)]
    return space


def draw(space: Sequence[Dimension], trial: Drawer, precision: str) -> Values:
    """Return the values of one trial; precision: where the space has none."""
    values: Values = {}
    for dimension in space:
        if (only := _only(dimension.key)) and values.get(PRECISION, precision) not in only:
            continue
        match dimension:
            case Choice(key=key, options=(only,)):
                values[key] = json.loads(only)
            case Choice(key=key, options=options):
                values[key] = json.loads(trial.suggest_categorical(key, options))
            case Span(whole=True) as d:
                step = int(d.step or 1)
                values[d.key] = trial.suggest_int(d.key, int(d.low), int(d.high), step=step, log=d.log)
            case Span() as d:
                values[d.key] = trial.suggest_float(d.key, d.low, d.high, step=d.step, log=d.log)
            case Layers() as d:
                count = d.least
                if d.most > d.least:
                    count = trial.suggest_int(f"{d.key}.layers", d.least, d.most)
                names = [f"{d.key}.{index + 1}" for index in range(count)]
                values[d.key] = [trial.suggest_int(name, d.low, d.high, log=d.log) for name in names]
            case _:
                assert_never(dimension)
    return values


def configure(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """Return the configuration with these keys set. Raises ConfigError where they do not go together."""
    return parse_config(_with(config, values), where=where)


def describe(space: Sequence[Dimension]) -> dict[str, str]:
    """Return each key with its range in words."""
    words: dict[str, str] = {}
    for dimension in space:
        match dimension:
            case Choice(key=key, options=options):
                words[key] = " | ".join(options)
            case Span() as d:
                words[d.key] = f"{d.low:g} .. {d.high:g}{_how(log=d.log, step=d.step)}"
            case Layers() as d:
                words[d.key] = f"{d.least} .. {d.most} layers of {d.low} .. {d.high}{_how(log=d.log, step=None)}"
            case _:
                assert_never(dimension)
    return words


def _only(key: str) -> tuple[str, ...] | None:
    """Return the kinds of precision that read a key, None where all do."""
    return next(
        (kinds for name, kinds in ONLY.items() if key == name or (name[-1] == "." and key.startswith(name))), None
    )


def _how(*, log: bool, step: float | None) -> str:
    return f"{', logarithmic' if log else ''}{'' if step is None else f', step {step:g}'}"


def _flat(space: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return dotted keys: `"student.sparsity" = ...` and nested tables mean the same."""
    flat: dict[str, Any] = {}
    for key, item in space.items():
        name = f"{above}{key}"
        if isinstance(item, dict) and not {"low", "high"} & set(cast("dict[str, Any]", item)):
            flat |= _flat(cast("dict[str, Any]", item), f"{name}.")
        else:
            flat[name] = item
    return flat


def _dimension(config: Config, key: str, item: Any) -> Dimension:
    where = f"search.space, {key!r}"
    present = _present(config, key)
    if isinstance(item, (list, tuple)):
        options = cast("Sequence[Any]", item)
        if not options:
            raise ConfigError(f"{where}: choices must not be empty; name at least one")
        return Choice(key=key, options=tuple(dict.fromkeys(json.dumps(option) for option in options)))
    if not isinstance(item, dict):
        raise ConfigError(
            f"{where} must be a list of choices or a range {{ low = ..., high = ... }}, not {item!r}; "
            f"to fix the key write [{json.dumps(item)}]"
        )
    table = cast("dict[str, Any]", item)
    for name in table:
        if name not in RANGE_KEYS:
            raise ConfigError(f"{where}: unknown key {name!r} of a range.{nearest(name, list(RANGE_KEYS))}")
    low, high, log, step = (table.get(name) for name in ("low", "high", "log", "step"))
    low, high = _number(where, "low", low), _number(where, "high", high)
    if low > high:
        raise ConfigError(f"{where}: low must not exceed high, not {low!r} > {high!r}")
    if log and low <= 0:
        raise ConfigError(f"{where}: low must be above 0 in a logarithmic range, not {low!r}")
    if log and step is not None:
        raise ConfigError(f"{where}: a range has log or step, not both; leave one out")
    if step is not None and _number(where, "step", step) <= 0:
        raise ConfigError(f"{where}: step must be above 0, not {step!r}")
    if step is not None and (high - low) / step > MOST_STEPS:
        raise ConfigError(
            f"{where}: a range has at most {MOST_STEPS:,} steps, not {(high - low) / step:.3g}; raise step"
        )
    whole = isinstance(low, int) and isinstance(high, int)
    if isinstance(present, tuple) and key.endswith(".hidden"):
        least, most = _layers(where, table.get("layers"), len(cast("tuple[Any, ...]", present)))
        if not whole or step is not None:
            raise ConfigError(f"{where}: layer sizes must be whole numbers without step, not {item!r}")
        return Layers(key=key, low=int(low), high=int(high), log=bool(log), least=least, most=most)
    if "layers" in table:
        raise ConfigError(f"{where}: only hidden has layers; leave it out")
    whole = whole and not isinstance(present, float)
    if whole and step is not None and not isinstance(step, int):
        raise ConfigError(f"{where}: step must be a whole number as low and high are, not {step!r}")
    return Span(key=key, low=low, high=high, log=bool(log), step=step, whole=whole)


def _number(where: str, name: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{where}: {name} must be a number, not {value!r}")
    return value


def _layers(where: str, value: Any, present: int) -> tuple[int, int]:
    if value is None:
        return present, present
    pair = cast("list[Any]", value) if isinstance(value, (list, tuple)) else [value, value]
    if len(pair) != 2 or any(type(n) is not int for n in pair) or not 1 <= pair[0] <= pair[1] <= LAYERS:
        raise ConfigError(f"{where}: layers must be [least, most] with 1 <= least <= most <= {LAYERS}, not {value!r}")
    return pair[0], pair[1]


def _precisions(config: Config, asked: Mapping[str, Any]) -> list[str]:
    """Return the kinds of precision that a search has; what is no such kind is refused where its key is read."""
    choices: Any = asked.get(PRECISION, [config.student.precision])
    return (
        [choice for choice in cast("list[Any]", choices) if isinstance(choice, str)]
        if isinstance(choices, list)
        else []
    )


def _present(config: Config, key: str) -> Any:
    """Return the configuration's value of a dotted key; ConfigError where there is none or it cannot be searched."""
    if key in REFUSED:
        raise ConfigError(f"search.space: {key!r} cannot be searched: {REFUSED[key]}; take it out of the space")
    section, *path = key.split(".")
    if section not in SECTIONS or not path:
        tables: list[tuple[str, BaseModel]] = [(name, getattr(config, name)) for name in SECTIONS]
        known = [f"{name}.{field}" for name, table in tables for field in type(table).model_fields]
        raise ConfigError(f"search.space: unknown key {key!r}.{nearest(key, known)}")
    found: Any = getattr(config, section)
    for depth, name in enumerate(path):
        if not isinstance(found, BaseModel) or name not in type(found).model_fields:
            above = ".".join([section, *path[:depth]])
            fields = list(type(found).model_fields) if isinstance(found, BaseModel) else []
            raise ConfigError(
                f"search.space: unknown key {key!r}.{nearest(key, [f'{above}.{field}' for field in fields])}"
            )
        found = getattr(found, name)
    if isinstance(found, BaseModel):
        raise ConfigError(f"search.space: {key!r} is a table; name one of its keys")
    return found


def _extremes(dimension: Dimension) -> list[Any]:
    match dimension:
        case Choice(options=options):
            return [json.loads(option) for option in options]
        case Span(whole=True, low=low, high=high):
            return [int(low), int(high)]
        case Span(low=low, high=high):
            return [low, high]
        case Layers(low=low, high=high, least=least, most=most):
            return [[low] * least, [high] * most]
        case _:
            assert_never(dimension)


def _check_value(config: Config, key: str, value: Any) -> None:
    """Raise ConfigError where the key itself does not take a value; what keys demand of each other may change yet."""
    try:
        Config.model_validate(_with(config, {key: value}))
    except ValidationError as error:
        path = tuple(key.split("."))
        for item in error.errors():
            if tuple(str(part) for part in item["loc"])[: len(path)] == path:
                raise ConfigError(f"search.space: {explain(item)}") from None


def _with(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    raw = config.model_dump()
    for key, value in values.items():
        *path, last = key.split(".")
        table = raw
        for part in path:
            table = table[part]
        table[last] = value
    return raw

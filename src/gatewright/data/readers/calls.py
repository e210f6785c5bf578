"""Sources that are code: scikit-learn's bundled sets, the physics generators, a user's function. Raw out."""

# scikit-learn ships no type stubs; what a user's function returns is unknown
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.config import Data
from gatewright.data.generators import clyc, cosmic
from gatewright.data.generators.pulses import Ints
from gatewright.data.raw import Raw
from gatewright.errors import DataError, nearest

GENERATORS: dict[str, Callable[[int, int], tuple[Ints, Ints, tuple[str, ...]]]] = {"cosmic": cosmic, "clyc": clyc}

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")  # in scikit-learn's own wheel


def read_sklearn(data: Data) -> Raw:
    """Read one of the data sets that come inside scikit-learn; nothing is downloaded."""
    name = data.source.partition(":")[2]
    if name not in BUNDLED:
        raise DataError(f"{data.source}: scikit-learn has no bundled data set {name!r}.{nearest(name, list(BUNDLED))}")
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    bunch = vars(datasets)[f"load_{name}"](**options)
    classes = bunch.get("target_names") if bunch.target.dtype.kind == "i" else None
    x = bunch.images if name == "digits" else bunch.data
    names = None if name == "digits" else tuple(str(item) for item in bunch.feature_names)
    return Raw(
        x=x,
        y=bunch.target,
        classes=None if classes is None else tuple(str(item) for item in classes),
        feature_names=names,
        origin=data.source,
    )


def read_generator(data: Data) -> Raw:
    """Generate data.generator.count pulses with data.generator.seed."""
    name = data.source.partition(":")[2]
    if name not in GENERATORS:
        raise DataError(f"{data.source}: there is no generator {name!r}.{nearest(name, list(GENERATORS))}")
    x, y, classes = GENERATORS[name](data.generator.count, data.generator.seed)
    return Raw(x=x, y=y, classes=classes, origin=data.source)


def read_function(data: Data) -> Raw:
    """Call `python:MODULE:FUNCTION` without arguments; the module may lie in the working directory.

    The function returns (x, y) or a dict with x, y and optionally group, split, classes, feature_names.
    """
    module_name, _, function_name = data.source.partition(":")[2].partition(":")
    if not function_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise DataError(f"data.source must read python:MODULE:FUNCTION, not {data.source!r}; e.g. python:mydata:load")
    with _working_directory_first():
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise DataError(
                f"{data.source}: no module {error.name!r} among the installed ones and in {Path.cwd()}; "
                f"run gatewright from its folder or install it"
            ) from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's code may raise anything, and call sys.exit
            raise DataError(
                f"{data.source}: module {module_name!r} cannot be imported, it raised {_told(error)}; mend it"
            ) from error
        members = vars(module)
        function = members.get(function_name)
        if not callable(function):
            known = [name for name, value in members.items() if callable(value) and not name.startswith("_")]
            raise DataError(
                f"{data.source}: module {module_name!r} has no function {function_name!r}."
                f"{nearest(function_name, known)}"
            )
        try:
            return _from_result(function(), data.source)
        except (DataError, KeyboardInterrupt):
            raise
        except BaseException as error:  # likewise, also where it returns what is no array
            raise DataError(
                f"{data.source}: the function must return (x, y), but raised {_told(error)}; mend it"
            ) from error


def function_file(source: str) -> Path | None:
    """Return the Python file of a `python:` source's module, found without importing it; None where it has none."""
    *packages, last = source.partition(":")[2].partition(":")[0].split(".")
    if not last:
        return None
    for place in (Path.cwd(), *map(Path, sys.path)):
        folder = place.joinpath(*packages)
        for file in (folder / last / "__init__.py", folder / f"{last}.py"):
            if file.is_file():
                return file
    return None


def _told(error: BaseException) -> str:
    """Return what was raised; that it would have ended the program, where it would."""
    said = "SystemExit, by sys.exit()" if isinstance(error, SystemExit) else type(error).__name__
    return f"{said}: {error}" if str(error) else said


def _from_result(returned: Any, origin: str) -> Raw:
    result: Any = returned
    known = ("x", "y", "group", "split", "classes", "feature_names")
    if isinstance(result, tuple) and len(result) == 2:
        result = {"x": result[0], "y": result[1]}
    if not (isinstance(result, dict) and "x" in result and "y" in result):
        got = f"a dict with {sorted(map(str, result))}" if isinstance(result, dict) else f"{type(result).__name__}"
        raise DataError(f"{origin}: the function must return (x, y) or a dict with x and y, not {got}")
    for key in result:
        if key not in known:
            raise DataError(f"{origin}: the returned dict has unknown key {key!r}.{nearest(str(key), list(known))}")
    try:
        arrays = {key: None if result.get(key) is None else np.asarray(result[key]) for key in known[:4]}
    except ValueError as error:
        raise DataError(
            f"{origin}: x, y, group and split must be arrays: {error}; give all samples one length"
        ) from None
    x, y = arrays["x"], arrays["y"]
    if x is None or y is None:
        raise DataError(f"{origin}: the function must return (x, y), not None for one of them")
    names = {key: tuple(map(str, result[key])) if result.get(key) is not None else None for key in known[4:]}
    features = names["feature_names"]
    if features is not None and (x.ndim != 2 or len(features) != x.shape[1]):
        raise DataError(
            f"{origin}: feature_names must name each column of a 2-D x {x.shape}, not {len(features)} names"
        )
    return Raw(
        x=x,
        y=y,
        group=arrays["group"],
        split=arrays["split"],
        classes=names["classes"],
        feature_names=features,
        origin=origin,
    )


@contextlib.contextmanager
def _working_directory_first() -> Generator[None]:
    """Let imports find modules of the working directory, as `python script.py` does, and undo it."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before

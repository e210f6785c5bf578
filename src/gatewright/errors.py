"""The error tree: every message says what was expected, what was got, where, and what to do next."""

from __future__ import annotations


class GatewrightError(Exception):
    """Base of every error a user can mend; the command line prints it without a traceback and exits 2."""


class ConfigError(GatewrightError):
    """A configuration file or option is wrong: unknown key, wrong type, value out of range."""


class DataError(GatewrightError):
    """The data cannot be used: missing file, NaN, absent label column, one class only, truncated archive."""


class FormatError(GatewrightError):
    """A number format is impossible or cannot hold what it must."""


class ProgramError(GatewrightError):
    """A program breaks a rule of the intermediate representation (see docs/program.md)."""


class ModelError(GatewrightError):
    """A model file cannot be taken as it is: truncated, hostile, or a layer or setting without an exact counterpart."""


class ShapeError(ModelError):
    """A torch module whose input's shape nothing says."""


class FitError(GatewrightError):
    """Training cannot start or go on, e.g. a student that collapsed or a checkpoint of another run."""


class ExportError(GatewrightError):
    """The exported program does not equal the network it came from."""


class LowerError(GatewrightError):
    """The program cannot be compiled for the chosen architecture, clock or part."""


class BudgetError(GatewrightError):
    """The network does not fit the chosen part; says by how much."""


class MismatchError(GatewrightError):
    """Hardware and program differ, or a model and its framework; names layer, element, cycle or sample."""


class ToolError(GatewrightError):
    """An external tool failed; carries the tail and the path of its log."""


class MissingToolError(ToolError):
    """An external tool is not installed; says what installs it."""


def nearest(name: str, known: list[str]) -> str:
    """Return " Did you mean 'x'?" for the known name nearest to `name`, or the sorted list of known names.

    Where several hold `name`, and none is it but for a letter, all of these are named: none is nearer than others.
    """
    import difflib

    hits = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    alike = sorted(other for other in known if len(name) > 2 and name.lower() in other.lower())
    if len(alike) > 1 and not (hits and len(hits[0]) <= len(name) + 1):
        return f" Did you mean one of {', '.join(map(repr, alike))}?"
    if hits:
        return f" Did you mean {hits[0]!r}?"
    return f" Known: {', '.join(sorted(known))}."

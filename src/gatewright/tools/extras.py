"""The name of an optional package in; nothing, or an error that says which extra brings it, out."""

from __future__ import annotations

from importlib.util import find_spec

from gatewright.errors import MissingToolError


def need(module: str, what: str, extra: str) -> None:
    """Raise MissingToolError where an optional package is not installed; looks for it without importing it.

    what: that which needs it, as the sentence's subject; extra: that which installs it.
    """
    if find_spec(module) is None:
        raise MissingToolError(
            f"{what} needs the package {module}, which is not installed; pip install 'gatewright[{extra}]'"
        )

"""The user's folder of what any run may use again out; whatever lies in it can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLE = "GATEWRIGHT_CACHE"  # names another folder


def cache_folder() -> Path:
    """Return the folder of what is kept between runs, which need not exist: ~/.cache/gatewright on Linux."""
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("gatewright", appauthor=False)

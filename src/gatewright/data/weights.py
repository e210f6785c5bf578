"""A configuration's class weights and the training split's labels in, one weight per class out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewright.errors import ConfigError, nearest


def class_weights(
    given: str | Mapping[str, float], y: NDArray[Any], classes: Sequence[str]
) -> NDArray[np.float64] | None:
    """Return the weight of each class, (classes,), or None where none are asked for.

    y: (n,) class numbers of the training split. "balanced" is n / (classes * samples of the class), as scikit-learn
    defines it (King and Zeng 2001). Raises ConfigError for a name that is no class, and where no sample has a weight.
    """
    if given == "none":
        return None
    counts = np.bincount(y, minlength=len(classes))
    if isinstance(given, str):
        return len(y) / (len(classes) * np.maximum(counts, 1))
    for name in given:
        if name not in classes:
            raise ConfigError(f"class_weights has no class {name!r}.{nearest(name, list(classes))}")
    weights = np.array([given.get(name, 1.0) for name in classes])
    if not (weights * counts).any():
        raise ConfigError("class_weights must leave a class of the training split a weight above 0, not 0 for all")
    return weights

"""config.device in, the device on which networks train out.

Data, parameters and formats lie there. Random numbers are always drawn on the CPU and moved, so that every device sees
the same ones; checkpoints and frozen networks are the CPU's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewright.config import Device
from gatewright.errors import FitError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def device_of(name: Device) -> torch.device:
    """Return the device of a name; "auto" is CUDA's where torch sees one.

    Raises FitError where "cuda" is asked for and torch sees none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        why = "finds no GPU it can use" if torch.backends.cuda.is_built() else "is a build without CUDA"
        raise FitError(
            f'device = "cuda" needs a GPU that torch can use, but torch {torch.__version__} {why}; set device = "cpu", '
            'or "auto" to use a GPU only where there is one, or install a build of torch with CUDA'
        )
    return CUDA if found and name != "cpu" else CPU


def array(value: Tensor) -> NDArray[Any]:
    """Return a tensor's numbers, wherever it lies. Any shape, same out."""
    return np.asarray(value.detach().cpu().numpy())

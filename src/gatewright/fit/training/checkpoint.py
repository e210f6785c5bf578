"""Training state in, a file that survives a kill out; and back. Tensors and plain values only: nothing is unpickled."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gatewright.errors import FitError
from gatewright.tools import write_atomic


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One stage's resume file. key: hash of everything that decides the result; a file with another key is ignored."""

    path: Path
    key: str

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file atomically by this state (tensors, numbers, strings, lists and dicts of them)."""
        buffer = io.BytesIO()
        torch.save({"key": self.key, "state": _on_cpu(state)}, buffer)
        write_atomic(self.path, buffer.getvalue())

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None where there is none or it belongs to another run.

        Raises FitError where the file is damaged: writes are atomic, so something else has touched it.
        """
        if not self.path.exists():
            return None
        try:
            found = torch.load(self.path, weights_only=True)
            key, state = found["key"], found["state"]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise FitError(
                f"{self.path} must be a training checkpoint, but cannot be read ({reason}); "
                "delete it and the stage starts anew"
            ) from None
        return state if key == self.key else None


def _on_cpu(value: Any) -> Any:
    """Return a state with its tensors on the CPU, so that any machine reads it."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in cast("dict[Any, Any]", value).items()}
    return [_on_cpu(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value

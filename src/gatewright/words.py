"""The words that a configuration and the rooms below it share; they stand here because the command line needs no more.

Importing them loads neither NumPy nor the program's ops.
"""

from __future__ import annotations

from typing import Literal

OutputKind = Literal["argmax", "scores", "topk", "threshold", "softmax"]
"""What leaves the chip; see `ir.OutputStage`."""

PlainOutput = Literal["scores", "argmax", "softmax"]
"""Those that need no settings of their own."""

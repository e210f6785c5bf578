"""Program: an ordered op list and its weight table; the golden meaning of a network from export on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from gatewright.errors import ProgramError
from gatewright.fixedpoint import Ints
from gatewright.ir.ops import Input, Op


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """Read-only integers of any shape; element q means q * 2**-frac_bits."""

    q: Ints
    frac_bits: int

    def __post_init__(self) -> None:
        q = np.array(self.q, dtype=np.int64)
        q.setflags(write=False)
        object.__setattr__(self, "q", q)

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.frac_bits == other.frac_bits and np.array_equal(self.q, other.q)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """name: identifier; ops in order, the first is the Input; output: name of the result; classes: () for scores.

    Two programs are equal when every op, table and name is. Call `gatewright.ir.verify.verify` on anything built
    by hand.
    """

    name: str
    ops: tuple[Op, ...]
    output: str
    constants: Mapping[str, Constant]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    @property
    def input(self) -> Input:
        """The one input op."""
        first = self.ops[0] if self.ops else None
        if not isinstance(first, Input):
            raise ProgramError(f"program {self.name!r}: the first op must be an Input, not {first!r}")
        return first

    def op(self, name: str) -> Op:
        """Return the op whose result is `name`."""
        for op in self.ops:
            if op.name == name:
                return op
        raise ProgramError(f"program {self.name!r} has no op {name!r}; it has {[op.name for op in self.ops]}")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names in order, without the input's."""
        return tuple(dict.fromkeys(op.layer for op in self.ops if not isinstance(op, Input)))

    def save(self, path: Path) -> None:
        """Write the text form (gatewright.ir.text) atomically."""
        from gatewright.ir.text import print_program
        from gatewright.tools import write_atomic

        write_atomic(path, print_program(self))

    @staticmethod
    def load(path: Path) -> Program:
        """Read and verify the text form. Raises ProgramError naming file and line."""
        from gatewright.ir.text import parse_program

        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ProgramError(f"cannot read program {path}: {error}") from None
        return parse_program(text, where=str(path))

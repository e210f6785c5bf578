"""The integer program: formats, ops, verifier, interpreter, text form. NumPy only."""

from gatewright.ir.formats import Fixed, Ints, Overflow, Rounding
from gatewright.ir.interp import Interpreter, run
from gatewright.ir.ops import ArgMax, Dense, Input, Op, Relu, Requant
from gatewright.ir.program import Constant, Program
from gatewright.ir.ranges import Range, ranges
from gatewright.ir.text import parse_program, print_program
from gatewright.ir.verify import verify

__all__ = [
    "ArgMax",
    "Constant",
    "Dense",
    "Fixed",
    "Input",
    "Interpreter",
    "Ints",
    "Op",
    "Overflow",
    "Program",
    "Range",
    "Relu",
    "Requant",
    "Rounding",
    "parse_program",
    "print_program",
    "ranges",
    "run",
    "verify",
]

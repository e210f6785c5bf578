"""The integer program: formats, ops, verifier, interpreter, text form. NumPy only."""

from gatewright.ir.formats import Fixed, Ints, Overflow, Rounding
from gatewright.ir.interp import Interpreter, run
from gatewright.ir.ops import (
    ArgMax,
    Dense,
    Input,
    Lookup,
    Op,
    Relu,
    Requant,
    Softmax,
    SoftmaxVariant,
    Thresholds,
    TopK,
)
from gatewright.ir.program import Constant, Program
from gatewright.ir.ranges import Range, ranges
from gatewright.ir.softmax import softmax_error_bound, softmax_op
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
    "Lookup",
    "Op",
    "Overflow",
    "Program",
    "Range",
    "Relu",
    "Requant",
    "Rounding",
    "Softmax",
    "SoftmaxVariant",
    "Thresholds",
    "TopK",
    "parse_program",
    "print_program",
    "ranges",
    "run",
    "softmax_error_bound",
    "softmax_op",
    "verify",
]

"""The integer program: formats, ops, verifier, interpreter, text form. NumPy only."""

from gatewright.ir.interp import Interpreter, run
from gatewright.ir.op_moves import Fill
from gatewright.ir.op_tables import SoftmaxVariant
from gatewright.ir.ops import (
    Add,
    ArgMax,
    Concat,
    Const,
    Conv,
    Dense,
    Input,
    Lookup,
    Max,
    Min,
    Mul,
    Op,
    Pad,
    Pool,
    PoolKind,
    Relu,
    Requant,
    Reshape,
    Scan,
    Slice,
    Softmax,
    Sub,
    Thresholds,
    TopK,
    Transpose,
    Upsample,
)
from gatewright.ir.output import OutputKind, OutputStage, add_output_stage, softmax_error
from gatewright.ir.program import Constant, Program
from gatewright.ir.ranges import Range, ranges
from gatewright.ir.shapes import shapes
from gatewright.ir.softmax import check_probability_format, softmax_error_bound, softmax_op
from gatewright.ir.text import parse_program, print_program
from gatewright.ir.verify import verify
from gatewright.ir.windows import pool_cells

__all__ = [
    "Add",
    "ArgMax",
    "Concat",
    "Const",
    "Constant",
    "Conv",
    "Dense",
    "Fill",
    "Input",
    "Interpreter",
    "Lookup",
    "Max",
    "Min",
    "Mul",
    "Op",
    "OutputKind",
    "OutputStage",
    "Pad",
    "Pool",
    "PoolKind",
    "Program",
    "Range",
    "Relu",
    "Requant",
    "Reshape",
    "Scan",
    "Slice",
    "Softmax",
    "SoftmaxVariant",
    "Sub",
    "Thresholds",
    "TopK",
    "Transpose",
    "Upsample",
    "add_output_stage",
    "check_probability_format",
    "parse_program",
    "pool_cells",
    "print_program",
    "ranges",
    "run",
    "shapes",
    "softmax_error",
    "softmax_error_bound",
    "softmax_op",
    "verify",
]

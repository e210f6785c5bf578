"""The integer program: formats, ops, verifier, interpreter, text form. NumPy only."""

from gatewright.ir.interp import Interpreter, run
from gatewright.ir.op_moves import Concat, Fill, Pad, Reshape, Slice, Transpose, Upsample
from gatewright.ir.op_tables import ArgMax, Lookup, Softmax, SoftmaxVariant, Thresholds, TopK, Trees
from gatewright.ir.ops import Add, Const, Conv, Dense, Input, MatMul, Max, Min, Mul, Pool, PoolKind, Relu, Requant, Sub
from gatewright.ir.output import OutputStage, add_output_stage, softmax_error
from gatewright.ir.program import Constant, Op, Program, Scan
from gatewright.ir.ranges import Range, ranges
from gatewright.ir.shapes import shapes
from gatewright.ir.softmax import check_probability_format, softmax_error_bound, softmax_op
from gatewright.ir.text import load_program, parse_program, print_program, save_program
from gatewright.ir.verify import verify
from gatewright.ir.windows import pool_cells
from gatewright.words import OutputKind, PlainOutput

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
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Op",
    "OutputKind",
    "OutputStage",
    "Pad",
    "PlainOutput",
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
    "Trees",
    "Upsample",
    "add_output_stage",
    "check_probability_format",
    "load_program",
    "parse_program",
    "pool_cells",
    "print_program",
    "ranges",
    "run",
    "save_program",
    "shapes",
    "softmax_error",
    "softmax_error_bound",
    "softmax_op",
    "verify",
]

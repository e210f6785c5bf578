"""An op of the program in; the rule that finds its hls4ml layers, or the reason of its refusal, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatewright.hls.casts import requant
from gatewright.hls.elements import MERGE, binary, relu
from gatewright.hls.moves import concat, given, reshape
from gatewright.hls.site import Found, Site
from gatewright.hls.tables import lookup
from gatewright.hls.windows import conv, dense, pool
from gatewright.ir import Op
from gatewright.ir.op_moves import Concat, Reshape
from gatewright.ir.op_tables import Lookup
from gatewright.ir.ops import Conv, Dense, Input, Pool, Relu, Requant

Rule = Callable[[Op, Site], Found]
RULES: Mapping[type[Op], Rule] = {
    Input: given,
    Dense: dense,
    Conv: conv,
    Pool: pool,
    Relu: relu,
    Requant: requant,
    Reshape: reshape,
    Concat: concat,
    Lookup: lookup,
    **dict.fromkeys(MERGE, binary),
}
"""An operation that is not named here is refused."""

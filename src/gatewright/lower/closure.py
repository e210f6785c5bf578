"""Items with a gain or loss each, some of which need others, in; the set that gains most out, by a minimum cut."""

# scipy ships no type stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from gatewright.fixedpoint import Ints


def best_closure(gain: Ints, pairs: Ints) -> Ints:
    """Return the set of items whose gains sum to the most; the empty one where nothing is gained.

    pairs: (a, b) where item a needs item b: a set that holds a must hold b. Shape (n, 2).

    It is a minimum cut (Picard 1976): source to gains, losses to sink, and pairs without limit.
    """
    source, sink = len(gain), len(gain) + 1
    up, down = np.flatnonzero(gain > 0), np.flatnonzero(gain < 0)
    total = int(gain[up].sum())
    rows = np.concatenate([np.full(len(up), source), down, pairs[:, 0]])
    columns = np.concatenate([up, np.full(len(down), sink), pairs[:, 1]])
    room = np.concatenate([gain[up], -gain[down], np.full(len(pairs), total + 1)])
    graph = csr_array(coo_array((room, (rows, columns)), shape=(sink + 1, sink + 1)))
    graph.data = np.minimum(graph.data, total + 1).astype(np.int32)  # equal pairs were summed
    flow = maximum_flow(graph, source, sink)
    if flow.flow_value == total:
        return np.zeros(0, dtype=np.int64)
    left = graph - flow.flow
    left.data = (left.data > 0).astype(np.int32)
    left.eliminate_zeros()
    reached = breadth_first_order(left, source, return_predecessors=False)
    return np.sort(reached[reached < source])

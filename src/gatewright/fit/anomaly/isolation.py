"""Normal samples in; an isolation forest with rounded leaves, and the Program of its anomaly score, out.

Liu, Ting, Zhou 2008: trees of random splits tell a strange sample from the others by few questions. The score is minus
the sum of the path lengths, which grows with scikit-learn's -score_samples, a power of two of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config, Trees
from gatewright.export import export_graph
from gatewright.export.vectors import graph_trace
from gatewright.fit.anomaly.autoencoder import normal_samples
from gatewright.fit.tree_graphs import rounded, sum_graph
from gatewright.fit.trees import isolated
from gatewright.fixedpoint import frac_bits
from gatewright.graph import Graph
from gatewright.graph.nodes import Floats
from gatewright.graph.nodes import Trees as TreesNode
from gatewright.graph.trees import census, scaled
from gatewright.ir import Program

if TYPE_CHECKING:
    from gatewright.data import Dataset


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """A forest whose sum, the node `score`, is minus the path lengths. scale: those of a sample that nothing tells.

    scikit-learn's score_samples is -(2 ** (score / scale)). samples: that each tree was grown from.
    """

    network: Graph
    scale: float
    samples: int
    leaf_bits: int
    history: tuple[dict[str, float], ...] = ()

    @property
    def trees(self) -> TreesNode:
        """The node of the forest."""
        (node,) = (node for node in self.network.nodes if isinstance(node, TreesNode))
        return node

    @property
    def step(self) -> float:
        """The least difference of two scores."""
        return 2.0 ** -frac_bits(np.concatenate([self.trees.leaves, self.trees.bias[None]]))

    def scores(self, x_codes: NDArray[np.integer[Any]]) -> Floats:
        """Return the anomaly score of each sample, greater is stranger. (n, features) -> (n,), float64 and exact."""
        return self.expected(x_codes)["score"][:, 0]

    def expected(self, x_codes: NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return the score by the name of its op. (n, features) -> (n, 1)."""
        return {"score": graph_trace(self.network, x_codes)["score"]}

    def program(self, name: str) -> Program:
        """Return the program of the score."""
        return export_graph(self.network, name=name).program

    def describe(self) -> dict[str, Any]:
        """Return how many trees there are, what each was grown from, and what the host needs for a score of 0 to 1."""
        return {
            **census(self.trees),
            "tree_samples": self.samples,
            "leaf_bits": self.leaf_bits,
            "path_length_scale": self.scale,
        }


def train_isolation(
    config: Config, data: Dataset, normal: str | tuple[str, ...], *, read: Callable[[Any], Graph]
) -> Isolation:
    """Grow the isolation forest of config.trees, or of its defaults, on the normal classes' training samples.

    read: makes the graph of scikit-learn's forest, as `importers.trees.load_sklearn` does. Raises FitError where there
    are no normal samples.
    """
    trees = config.trees or Trees(kind="isolation")
    own = normal_samples(data, normal).part("train")[0]
    x = np.ldexp(own.astype(np.float64), -data.format.frac_bits)
    forest = isolated(trees, config.seed, x)
    graph = read(forest)
    (node,) = (node for node in sum_graph([graph]).nodes if isinstance(node, TreesNode))
    score = replace(scaled(node, -1.0), name="score")
    summed = replace(graph, nodes=(graph.nodes[0], score), output="score")
    return Isolation(
        network=rounded(summed, data.format, trees.leaf_bits),
        scale=float((graph.metadata or {})["path_length_scale"]),
        samples=int(forest.max_samples_),
        leaf_bits=trees.leaf_bits,
    )

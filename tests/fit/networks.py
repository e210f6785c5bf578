"""Random networks as training would freeze them, data for them, and the proof that their programs are exact."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from gatewright.data import Dataset
from gatewright.export import check_graph_export, export_graph
from gatewright.export.vectors import input_format, samples
from gatewright.fit.frozen import cut, dense_layer, dense_layers, frozen_graph, relu
from gatewright.fixedpoint import Fixed, Grid
from gatewright.graph import Graph, save_graph
from gatewright.graph.nodes import Stored
from gatewright.ir import OutputKind, OutputStage, Program


def random_network(
    rng, sizes, *, sparsity=0.3, bias_bits=0, per="tensor", classes=True, frac=2, signed=True, input_bits=(), wrap=False
) -> Graph:
    layers, last = [], len(sizes) - 2
    x_frac = frac
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        shape = {"tensor": (), "channel": (n_out,), "weight": (n_in, n_out)}[per]
        grid = Grid(width_bits=rng.integers(2, 9, shape), frac_bits=rng.integers(-2, 7, shape), signed=True)
        weight = grid.quantize(rng.normal(0, 2, (n_in, n_out)) * (rng.random((n_in, n_out)) >= sparsity))
        finest = x_frac + int(grid.frac_bits.max())
        bias_grid = Grid.uniform(bias_bits or 24, finest, signed=True)
        a_shape = () if per == "tensor" else (n_out,)
        widths, fracs = rng.integers(1, 8, a_shape), rng.integers(-3, 6, a_shape)
        act = Grid(width_bits=widths, frac_bits=fracs, signed=False, wrap=wrap)
        name = f"fc{index + 1}" if index < last else "out"
        bias = bias_grid.quantize(rng.normal(0, 2, n_out))
        stored = Stored(weight=grid, bias=bias_grid if bias_bits else None)
        layers.append(dense_layer(name, weight, bias, stored=stored, then=relu(name, act) if index < last else ()))
        x_frac = int(act.frac_bits.max())
    names = tuple(f"c{k}" for k in range(sizes[-1])) if classes else ()
    source = Fixed(width_bits=6, frac_bits=frac, signed=signed)
    return frozen_graph(source, [cut(source, input_bits), *layers] if input_bits else layers, classes=names)


def float_network(rng, sizes, source: Fixed, classes: tuple[str, ...] = ()) -> Graph:
    layers, last = [], len(sizes) - 2
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        name = f"fc{index + 1}" if index < last else "out"
        weight, bias = rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)
        layers.append(dense_layer(name, weight, bias, then=relu(name, None) if index < last else ()))
    return frozen_graph(source, layers, classes=classes)


def dataset_for(network: Graph, n: int = 40, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    source, layers = input_format(network), dense_layers(network)
    features = len(layers[0].weight)
    return Dataset(
        name="random",
        task="classification" if network.classes else "regression",
        x=rng.integers(source.lo, source.hi + 1, (n, features)),
        shape=(features,),
        y=np.zeros(n, dtype=np.int64) if network.classes else np.zeros((n, layers[-1].bias.size)),
        split=np.zeros(n, dtype=np.uint8),
        format=source,
        classes=network.classes,
        feature_names=tuple(f"f{k}" for k in range(features)),
        contract={},
    )


def proved(network: Graph, codes: np.ndarray, output: OutputStage | OutputKind = "argmax") -> Program:
    """Return the network's program, once both have given the same of every code."""
    made = export_graph(network, name="toy", output=output)
    x = samples(network, codes)
    assert np.array_equal(made.encode(x), codes)
    assert check_graph_export(made, x) == len(codes)
    return made.program


def saved(network: Graph, folder: Path) -> None:
    save_graph(network, folder / "graph.npz")

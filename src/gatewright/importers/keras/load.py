"""A Keras model file in, a Graph out: no TensorFlow, no Keras, and no code from the file is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.errors import ModelError
from gatewright.graph import Graph, check
from gatewright.graph.nodes import Input
from gatewright.importers.keras.archive import Archive, open_archive
from gatewright.importers.keras.builder import Builder, Hgq2Version
from gatewright.importers.keras.rules import rules_of
from gatewright.importers.keras.topology import (
    Context,
    entries,
    input_shape,
    is_model,
    name_of,
    refuse_unknown_layers,
    run_model,
    whole_input,
)
from gatewright.importers.keras.weights import Array, LayerWeights, NamedWeights


def load_keras(
    path: str | Path,
    weights: str | Path | None = None,
    *,
    hgq2: Hgq2Version = "0.2",
    rules: Mapping[str, Any] | None = None,
) -> Graph:
    """Return the model in a `.keras`, `.h5` or `.json` file (plain Keras 2 and 3, QKeras, HGQ, HGQ2, pruned).

    weights: the `.h5` of a `.json` architecture; without it NAME_weights.h5, NAME.weights.h5 or NAME.h5 beside it.
    hgq2: whose meaning a file has where versions of HGQ2 differ: "0.1", up to 0.1.6, quantizes the input of an
    attention's softmax where the file holds that quantizer; later versions do not read it.
    rules: what layers of the model's own compute, by class, as `gatewright.importers.keras.rules` has it.
    Quantized weights are stored after their quantizers; quantizers of values become nodes. Raises ModelError, which
    names file, layer, key and value, for everything that is not understood or has no exact counterpart.
    """
    path = Path(path)
    with open_archive(path, None if weights is None else Path(weights)) as archive:
        model = archive.architecture
        if not is_model(model):
            raise ModelError(f"{path.name}: expected a Sequential or functional model, got {model.get('class_name')!r}")
        builder = Builder(hgq2=hgq2, rules=rules_of(rules or {}))
        try:
            refuse_unknown_layers(model, path.name, builder.rules)
            name, shape = input_shape(model, path.name)
            builder.enter(name, "InputLayer")
            x = builder.add(Input, [], shape, shape=shape)
            if (kind := whole_input(model, path.name)) is not None:
                builder.note(f"The model casts its input to {kind}: give whole numbers of that range.")
            root = _root(archive)
            y = run_model(Context(builder, archive.major), model, root, (x,))
        except RecursionError:
            raise ModelError(f"{path.name}: the configuration is nested too deeply; refused") from None
        except ModelError as error:
            raise ModelError(f"{path.name}: {str(error).removeprefix(f'{path.name}: ')}") from None
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise ModelError(
                f"{path.name}: the configuration of layer {builder.layer!r} ({builder.kind}) or of one after it is not "
                f"in Keras' form ({type(error).__name__}: {error})"
            ) from error
    graph = Graph(
        name=name_of(model),
        nodes=tuple(builder.nodes),
        output=y.name,
        format=archive.format,
        notes=tuple(builder.notes),
        metadata={
            "layers": builder.layers,
            "kinds": builder.kinds,
            "producer": f"Keras {archive.version}".strip(),
            **({} if kind is None else {"input_type": kind}),
            **({"left_out": ["log_softmax", -1]} if builder.left_out == y.name else {}),
        },
    )
    shapes = check(graph)
    assert shapes[y.name] == y.shape, f"shape {y.shape} tracked while building, {shapes[y.name]} found"
    return graph


def _root(archive: Archive) -> LayerWeights:
    if archive.by_position:
        return archive.numbered()
    return _ByLayer(archive, archive.named(), set())


@dataclass(slots=True)
class _ByLayer:
    """The weights of a whole model, kept by layer: Keras 2's groups."""

    archive: Archive
    groups: dict[str, NamedWeights]
    asked: set[str]

    def __post_init__(self) -> None:
        """The file's layers must be the architecture's."""
        names = {name_of(entry) for entry in entries(self.archive.architecture, self.archive.label)}
        if strange := [name for name in self.groups if name not in names]:
            raise ModelError(
                f"{self.archive.label}: has weights of layer {strange[0]!r}, which the architecture does not have "
                f"(it has {', '.join(sorted(names))}); architecture and weights are not from the same model"
            )

    def layer(self, name: str, kind: str) -> NamedWeights:
        """Return a layer's weights, none for a layer without."""
        empty = NamedWeights(self.archive.reader, f"layer {name!r} ({kind})", {})
        return self.groups.get(name, empty)

    def take(self, *names: str) -> dict[str, Array]:
        """A model as such has no weights."""
        raise ModelError(f"{self.archive.label}: a model has no weights of its own, asked for {names}")

    def child(self, name: str) -> NamedWeights:
        """A model as such holds layers only."""
        raise ModelError(f"{self.archive.label}: a model holds no {name!r}")

    def holds(self, name: str) -> bool:  # noqa: ARG002  (the protocol's)
        """A model as such holds layers only."""
        return False

    def input_quantizer(self, at: int) -> NamedWeights:
        """A model as such quantizes nothing."""
        raise ModelError(f"{self.archive.label}: a model has no input quantizer {at}")

    def done(self) -> None:
        """Each layer checks its own."""

"""A weight file's tree in; named, shape-checked, finite float64 arrays of one layer out.

Two layouts: by name (Keras 2 `.h5`: `dense/kernel:0`) and by position (Keras 3 `.keras`: `layers/dense/vars/0`).
A layer says which weights it has, in Keras' order; what is left over or missing is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from gatewright.errors import ModelError
from gatewright.importers.keras.hdf import Reader
from gatewright.importers.keras.shards import ShardedReader

Array = NDArray[Any]
# The group of a model's layers by position: of Keras 3, and of Keras 2.12 to 2.14.
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# Kept beside the weights by pruning wrappers, QKeras' batch-norm folding and HGQ; none enters inference.
BOOKKEEPING = frozenset(
    {"mask", "threshold", "pruning_step", "iteration", "ebops", "seed_generator_state", "count", "i_decay_speed"}
)
# How weights by name spell a layer inside a layer.
CHILD_SPELLINGS = {
    "cell": r".*cell(_\d+)?",
    "forward_layer": r"forward_.*",
    "backward_layer": r"backward_.*",
    "quantizer": r".*quantizer.*",
}


class LayerWeights(Protocol):
    """The weights of one layer and of the layers inside it."""

    def take(self, *names: str) -> dict[str, Array]:
        """Return exactly the named weights, given in Keras' order."""
        ...

    def child(self, name: str) -> LayerWeights:
        """Return the weights of a layer inside (a cell, a wrapped layer, a quantizer)."""
        ...

    def holds(self, name: str) -> bool:
        """Say whether there are any weights of a layer inside."""
        ...

    def layer(self, name: str, kind: str) -> LayerWeights:
        """Return the weights of a layer of this model."""
        ...

    def input_quantizer(self, at: int) -> LayerWeights:
        """Return the weights of one of the input quantizers of an HGQ2 layer with several inputs."""
        ...

    def done(self) -> None:
        """Raise ModelError where a weight was not read."""
        ...


@dataclass(slots=True)
class NamedWeights:
    """By name. paths: parts of the weight's name -> dataset's path in the file; `where` for messages."""

    reader: Reader | ShardedReader
    where: str
    paths: dict[tuple[str, ...], str]
    used: set[str] = field(default_factory=set)

    def take(self, *names: str) -> dict[str, Array]:
        """Find each name as the last part of exactly one weight's name."""
        found: dict[str, Array] = {}
        for name in names:
            hits = [path for parts, path in self.paths.items() if parts[-1] == name]
            if len(hits) > 1:  # the layer's own come before those of what it holds
                least = min(len(parts) for parts in self.paths if parts[-1] == name)
                hits = [path for parts, path in self.paths.items() if parts[-1] == name and len(parts) == least]
            if len(hits) != 1:
                have = ", ".join("/".join(parts) for parts in self.paths) or "none"
                raise ModelError(
                    f"{self.where}: expected one weight {name!r} in the file, found {len(hits)} (of: {have})"
                )
            self.used.add(hits[0])
            found[name] = _read(self.reader, hits[0], name, self.where)
        return found

    def child(self, name: str) -> NamedWeights:
        """Keep what stands below a part of the names that this child's spelling matches; `layer`: everything."""
        if name == "layer":  # TimeDistributed gives the wrapped layer's weights its own name
            return self
        pattern = re.compile(CHILD_SPELLINGS.get(name, f".*_{name}"))
        inside: dict[tuple[str, ...], str] = {}
        for parts, path in self.paths.items():
            for at, part in enumerate(parts[:-1]):
                if pattern.fullmatch(part):
                    inside[parts[at + 1 :]] = path
                    break
        if not inside and name == "cell":  # Keras before 2.3 names no cell
            return self
        return NamedWeights(self.reader, f"{self.where}, {name}", inside, self.used)

    def holds(self, name: str) -> bool:
        """Say whether any weight stands below such a part."""
        return bool(self.child(name).paths)

    def layer(self, name: str, kind: str) -> NamedWeights:  # noqa: ARG002  (weights by position need it)
        """Match the layer's name as a part of the weights' names (a model inside a model)."""
        inside = {parts: path for parts, path in self.paths.items() if name in parts[:-1]}
        return NamedWeights(self.reader, self.where, inside, self.used)

    def input_quantizer(self, at: int) -> NamedWeights:
        """Count the distinct names after `multiple_quantizers` in the order of the file."""
        inside: dict[str, dict[tuple[str, ...], str]] = {}
        for parts, path in self.paths.items():
            for place, part in enumerate(parts[:-2]):
                if part.startswith("multiple_quantizers"):
                    inside.setdefault(parts[place + 1], {})[parts[place + 2 :]] = path
        found = list(inside.values())[at] if at < len(inside) else {}
        return NamedWeights(self.reader, f"{self.where}, input quantizer {at}", found, self.used)

    def done(self) -> None:
        """Every weight but the bookkeeping of training must have been read."""
        for parts, path in self.paths.items():
            if path not in self.used and parts[-1] not in BOOKKEEPING:
                raise ModelError(
                    f"{self.where}: the file holds a weight {'/'.join(parts)!r} that this layer does not have"
                )


@dataclass(slots=True)
class NumberedWeights:
    """By position. path: the group of this layer in the file."""

    reader: Reader | ShardedReader
    where: str
    path: str
    used: set[str] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def take(self, *names: str) -> dict[str, Array]:
        """Read vars/0, vars/1, ... in the order of the names; their number must agree."""
        group = f"{self.path}/vars"
        count = len(self.reader.children(group))
        if count != len(names):
            raise ModelError(
                f"{self.where}: expected {len(names)} weight(s) ({', '.join(names) or 'none'}) in {group!r}, "
                f"found {count}"
            )
        self.used.update(f"{group}/{at}" for at in range(count))
        return {name: _read(self.reader, f"{group}/{at}", name, self.where) for at, name in enumerate(names)}

    def child(self, name: str) -> NumberedWeights:
        """Enter the group of a layer inside."""
        return NumberedWeights(self.reader, self.where, f"{self.path}/{name}", self.used)

    def holds(self, name: str) -> bool:
        """Say whether there is such a group."""
        return bool(self.reader.children(f"{self.path}/{name}"))

    def layer(self, name: str, kind: str) -> NumberedWeights:
        """Enter layers/<class in snake case>[_n]: Keras numbers the layers of a class in order; `name` is checked.

        In place of `layers` stands the other of CONTAINERS in older files.
        """
        if name not in self.groups:  # a layer may be asked for again: a model inside, called twice
            base = snake_case(kind)
            index = self.names.get(base, 0)
            self.names[base] = index + 1
            held = self.reader.children(self.path)
            container = next((group for group in CONTAINERS if group in held), CONTAINERS[0])
            group = f"{base}_{index}" if index else base
            if container != "layers":  # Keras 2.13 also counts layers that it has written: dense, dense_2, dense_4
                there = self.reader.children(f"{self.path}/{container}")
                same = [found for other in there if (found := re.fullmatch(rf"{base}(?:_(\d+))?", other))]
                same.sort(key=lambda found: int(found[1] or 0))
                group = same[index][0] if index < len(same) else group
            self.groups[name] = f"{self.path}/{container}/{group}"
        group = self.groups[name]
        stored = self.reader.attribute(f"{group}/vars", "name")
        if stored is not None and stored != name:
            raise ModelError(
                f"{self.where}: the weights in {group!r} belong to a layer named {stored!r}, not {name!r}; "
                "architecture and weights are not from the same model"
            )
        return NumberedWeights(self.reader, self.where, group, self.used)

    def input_quantizer(self, at: int) -> NumberedWeights:
        """Enter iq/quantizers/quantizer[_n]."""
        group = f"{self.path}/iq/quantizers/quantizer{f'_{at}' if at else ''}"
        return NumberedWeights(self.reader, f"{self.where}, input quantizer {at}", group, self.used)

    def done(self) -> None:
        """Every array below this layer must have been read."""
        left = [path for path in self.reader.arrays_below(self.path) if path not in self.used]
        if left:
            raise ModelError(f"{self.where}: the file holds a weight {left[0]!r} that this layer does not have")


def snake_case(name: str) -> str:
    """Return Keras' file name of a class: QEinsumDense -> q_einsum_dense, Conv2D -> conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _read(reader: Reader | ShardedReader, path: str, name: str, where: str) -> Array:
    return reader.array(path, f"{where}, weight {name!r}", finite=name not in BOOKKEEPING)

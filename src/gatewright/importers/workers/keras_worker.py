"""Runs Keras-family models in their own framework: `python keras_worker.py REQUESTS.json`; nothing of ours is used.

Each request names a model, its weights (for .json), inputs (.npz with x) and where the answer goes: an .npz of y (the
result), logits (before a last softmax layer), hidden (of the layer asked for) and, where quantizers can be told to
leave out the float32 noise of their gradient trick, each once more with the suffix _plain, `last`, the last layer's
name, and `backend`, what Keras 3 computes with; or of `missing`, the package that is not installed; or of `error`. Its
interpreter has TensorFlow < 2.16 (2.15 with tf_keras), or Keras 3, and what the model's layers come from: QKeras, HGQ,
HGQ2, tensorflow_model_optimization.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
Answer = dict[str, np.ndarray]


def main() -> None:
    """Answer all requests."""
    requests = json.loads(Path(sys.argv[1]).read_text())
    absent: list[str] = []
    load = missing = None
    try:
        load = tensorflow(absent) if find_spec("tf_keras") or keras_version() < (3, 0) else keras3(absent)
    except ModuleNotFoundError as error:
        missing = error.name
    for request in requests:
        try:
            answer = {"missing": np.array(missing)} if load is None else predict(load, request)
        except Exception as error:  # noqa: BLE001  (a framework that cannot read a file is a result)
            without = f" (not installed: {', '.join(absent)})" if absent else ""
            answer = {"error": np.array(f"{type(error).__name__}: {str(error)[:300]}{without}")}
        np.savez(request["answer"], **cast("Any", answer))


def predict(load: Callable[[dict[str, Any]], tuple[Any, Any]], request: dict[str, Any]) -> Answer:
    """Load a model and run it."""
    x = np.load(request["inputs"])["x"].astype(np.float32)
    model, make = load(request)
    last = model.layers[-1]
    hidden = make(model.inputs, model.get_layer(request["layer"]).output) if request.get("layer") else None
    logits = None
    if type(last).__name__ in ("Activation", "Softmax") and len(model.layers) > 1:
        logits = make(model.inputs, model.layers[-2].output)
    answer: Answer = {"last": np.array(last.name)}
    if keras_version() >= (3, 0) and os.environ.get("TF_USE_LEGACY_KERAS") is None:
        answer["backend"] = np.array(import_module("keras").backend.backend())
    for suffix in ("", "_plain"):
        if suffix and not _silence(model):
            break
        model.predict_function = None
        answer["y" + suffix] = np.asarray(model.predict(x, batch_size=500, verbose=0))
        for name, part in (("logits", logits), ("hidden", hidden)):
            if part is not None:
                part.predict_function = None
                answer[name + suffix] = np.asarray(part.predict(x, batch_size=500, verbose=0))
    return answer


def keras_version() -> tuple[int, ...]:
    """Return major and minor version of the package keras, (3, 0) where there is none."""
    try:
        return tuple(int(part) for part in version("keras").split(".")[:2])
    except PackageNotFoundError:
        return 3, 0


def optional(module: str, absent: list[str]) -> Any:
    """Import what only some models need; where it is not installed return None and note it in absent."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        absent.append(error.name or module)
        return None


def keras3(absent: list[str]) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    """Return a loader of Keras 3 models with HGQ2's layers, and QKeras' as HGQ2 brings them."""
    backends = [name for name in ("tensorflow", "jax", "torch") if find_spec(name)]  # torch pools edges another way
    os.environ.setdefault("KERAS_BACKEND", backends[0] if backends else "tensorflow")
    keras = import_module("keras")
    optional("hgq.layers", absent)  # registers
    optional("qkeras", absent)
    return lambda request: (keras.models.load_model(request["model"], compile=False), keras.Model)


def tensorflow(absent: list[str]) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    """Return a loader of Keras 2 models with QKeras', HGQ's (1) and the pruning toolkit's layers."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    if keras_version() >= (2, 15):  # before, TensorFlow's Keras is the package keras, whatever tf_keras is beside it
        sys.modules["keras"] = import_module("tf_keras")  # one Keras: what one registers is unknown to the other
    tf = import_module("tensorflow")
    keras = tf.keras
    custom = {**_binary_net(tf), **_graph_net(tf)}
    name_as_before(tf)
    if qkeras := optional("qkeras.utils", absent):
        qkeras._add_supported_quantized_objects(custom)
        _accept_newer(custom["quantized_bits"])
    if hgq := optional("HGQ.proxy.fixed_point_quantizer", absent):
        custom["FixedPointQuantizer"] = hgq.FixedPointQuantizer
    pruning = "tensorflow_model_optimization.python.core.sparsity.keras."
    if wrapper := optional(pruning + "pruning_wrapper", absent):
        custom["PruneLowMagnitude"] = wrapper.PruneLowMagnitude
        custom["PolynomialDecay"] = import_module(pruning + "pruning_schedule").PolynomialDecay

    def load(request: dict[str, Any]) -> tuple[Any, Any]:
        path = Path(request["model"])
        with keras.utils.custom_object_scope(custom):
            if path.suffix != ".json":
                return keras.models.load_model(path, compile=False), keras.Model
            model = keras.models.model_from_json(_modern(path.read_text()))
            model.load_weights(request["weights"])
            return model, keras.Model

    return load


def _accept_newer(kind: Any) -> None:
    """Let QKeras 0.9's quantized_bits read what QKeras' later sources write, where that says nothing."""
    original = kind.__init__

    def accept(self: Any, *args: Any, post_training_scale: Any = None, **kwargs: Any) -> None:
        if post_training_scale is not None:
            raise ValueError("post_training_scale is of a later QKeras than 0.9")
        original(self, *args, **kwargs)

    kind.__init__ = accept


def name_as_before(tf: Any) -> None:
    """Give TensorFlow's modules the names back by which QKeras' recurrent cells call it; they left in 2.13."""
    nest = import_module("tensorflow.python.util.nest")
    arrays = import_module("tensorflow.python.ops.array_ops")
    for module, name, function in (
        (nest, "is_sequence", nest.is_nested),
        (arrays, "unstack", tf.unstack),
        (arrays, "split", tf.split),
    ):
        if not hasattr(module, name):
            setattr(module, name, function)


def _modern(text: str) -> str:
    """Return an old architecture (Keras 2.0) in the form that today's Keras reads: a Sequential's list as an object."""
    architecture = json.loads(text)
    if architecture["class_name"] == "Sequential" and isinstance(architecture["config"], list):
        architecture["config"] = {"name": "sequential", "layers": architecture["config"]}
    return json.dumps(architecture)


def _silence(model: Any) -> int:
    """Tell every quantizer to return the level itself rather than x + (level - x); return how many could be told."""
    count = 0
    for layer in getattr(model, "submodules", ()):  # Keras 3 has none
        for item in [*vars(layer).values(), *getattr(layer, "quantizers", ())]:
            if hasattr(item, "use_ste"):
                item.use_ste = False
                count += 1
    return count


def _binary_net(tf: Any) -> dict[str, Any]:
    """The layers and activations of the BinaryNet examples, from their definition (Courbariaux et al. 2016)."""
    keras = tf.keras

    def hard(x: Any) -> Any:
        return tf.clip_by_value(0.5 * x + 0.5, 0.0, 1.0)

    def binary_tanh(x: Any) -> Any:
        return 2 * tf.round(hard(x)) - 1

    def ternary_tanh(x: Any) -> Any:
        return tf.round(tf.clip_by_value(x, -1.0, 1.0))

    class BinaryDense(keras.layers.Dense):
        def __init__(self, units: int, H: float = 1.0, **kwargs: Any) -> None:
            self.half = H
            super().__init__(units, **{k: v for k, v in kwargs.items() if not k.endswith("_lr_multiplier")})

        def levels(self) -> Any:
            return self.half * binary_tanh(self.kernel / self.half)

        def call(self, inputs: Any) -> Any:
            y = tf.matmul(inputs, self.levels())
            return self.activation(y + self.bias if self.use_bias else y)

    class TernaryDense(BinaryDense):
        def levels(self) -> Any:
            w = self.kernel / self.half
            ones = tf.ones_like(w)
            return self.half * tf.where(w > 0.5, ones, tf.where(w <= -0.5, -ones, tf.zeros_like(w)))

    class Clip(keras.constraints.Constraint):
        def __init__(self, min_value: float, max_value: float | None = None) -> None:
            self.ends = min_value, max_value

    return {
        "BinaryDense": BinaryDense,
        "TernaryDense": TernaryDense,
        "Clip": Clip,
        "binary_tanh": binary_tanh,
        "ternary_tanh": ternary_tanh,
        "relu1": lambda x: tf.clip_by_value(x, 0.0, 1.0),
    }


def _graph_net(tf: Any) -> dict[str, Any]:
    """The layer of interaction networks: a stored incidence of nodes and edges times the features."""

    class NodeEdgeProjection(tf.keras.layers.Layer):
        def __init__(self, receiving: bool = True, node_to_edge: bool = True, **kwargs: Any) -> None:
            self.receiving, self.node_to_edge = receiving, node_to_edge
            super().__init__(**kwargs)

        def build(self, shape: Any) -> None:
            count = int(shape[-2])  # n nodes have n (n - 1) edges
            nodes = count if self.node_to_edge else round((1 + (1 + 4 * count) ** 0.5) / 2)
            edges = nodes * (nodes - 1)
            size = (1, edges, nodes) if self.node_to_edge else (1, nodes, edges)
            self.adjacency_matrix = self.add_weight(name="adjacency_matrix", shape=size, trainable=False)

        def call(self, inputs: Any) -> Any:
            return tf.matmul(self.adjacency_matrix, inputs)

    return {"NodeEdgeProjection": NodeEdgeProjection}


if __name__ == "__main__":
    main()

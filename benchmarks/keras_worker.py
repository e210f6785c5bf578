"""Runs Keras-family models in their own framework: `python keras_worker.py REQUESTS.json`; nothing of ours is used.

Each request names a model, its weights (for .json), inputs (.npz with x) and where the answer goes: an .npz of y (the
result), logits (before a last softmax layer), hidden (of the layer asked for) and, where quantizers can be told to
leave out the float32 noise of their gradient trick, each once more with the suffix _plain; or of `error`. Needs
TensorFlow < 2.16 with tf_keras, QKeras and HGQ, or (framework "hgq2") Keras 3 with HGQ2.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
Answer = dict[str, np.ndarray]


def main() -> None:
    """Answer all requests of one framework."""
    requests = json.loads(Path(sys.argv[1]).read_text())
    load = hgq2() if requests[0]["framework"] == "hgq2" else tensorflow()
    for request in requests:
        try:
            answer = predict(load, request)
        except Exception as error:  # noqa: BLE001  (a framework that cannot read a file is a result)
            answer = {"error": np.array(f"{type(error).__name__}: {str(error)[:300]}")}
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
    answer: Answer = {}
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


def hgq2() -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    """Return a loader of Keras 3 models with HGQ2's layers, and QKeras' as HGQ2 brings them."""
    keras = import_module("keras")
    import_module("hgq.layers")  # registers
    import_module("qkeras")
    return lambda request: (keras.models.load_model(request["model"], compile=False), keras.Model)


def tensorflow() -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    """Return a loader of Keras 2 models with QKeras', HGQ's (1) and the pruning toolkit's layers."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    sys.modules["keras"] = import_module("tf_keras")  # one Keras: what is registered in one is unknown to the other
    tf = import_module("tensorflow")
    keras = tf.keras
    custom = _binary_net(tf)
    import_module("qkeras.utils")._add_supported_quantized_objects(custom)
    custom["FixedPointQuantizer"] = import_module("HGQ.proxy.fixed_point_quantizer").FixedPointQuantizer
    pruning = "tensorflow_model_optimization.python.core.sparsity.keras."
    custom["PruneLowMagnitude"] = import_module(pruning + "pruning_wrapper").PruneLowMagnitude
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


if __name__ == "__main__":
    main()

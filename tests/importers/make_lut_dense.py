"""Makes networks of HGQ2's LUT-dense layers and runs them: `python make_lut_dense.py FOLDER`, where HGQ2 is installed.

Writes NAME.keras and NAME.npz of x and y. Nothing of ours is imported: the interpreter need have Keras and HGQ2 only.
"""

# these live in the interpreter that runs this file
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")


def main(folder: Path) -> None:
    import keras
    from hgq.layers import QConvT1D, QConvT2D, QDense, QDenseT, QEinsumDenseT
    from hgq.quantizer import QuantizerConfig

    rng = np.random.default_rng(0)
    per_edge = QuantizerConfig(place="table", homogeneous_axis=(0,))
    made = {
        "two": ((16,), [QDenseT(12, toq_conf=per_edge, batch_norm=True), QDenseT(5, batch_norm=True)]),
        "deep": ((6,), [QDenseT(4, n_hl=2, d_hl=5, use_bias=False, subnn_activation="relu", activation="relu")]),
        "linear": ((6,), [QDenseT(4, n_hl=0, batch_norm=True, bn_scale=False)]),
        "steps": ((3, 6), [QDenseT(4)]),
        "einsum": ((6,), [QEinsumDenseT("bc,cC->bC", 4, bias_axes="C"), QDense(3)]),
        "einsum_norm": ((3, 6), [QEinsumDenseT("...c,cC->...C", 4, bias_axes="C", batch_norm=True)]),
        "conv1": ((9, 3), [QConvT1D(4, 3, strides=2, padding="same", batch_norm=True, subnn_activation="tanh")]),
        "conv2": ((5, 6, 2), [QConvT2D(3, (2, 3), dilation_rate=(2, 1))]),
    }
    for name, (shape, layers) in made.items():
        model = keras.Sequential([keras.Input(shape), *layers])
        for weight in model.weights:
            kind, size = weight.path.split("/")[-1], weight.shape
            if kind == "f":
                weight.assign(rng.integers(-1, 5, size))
            elif kind == "i" and len(size) > 1:
                weight.assign(rng.integers(0, 4, size))
            elif kind == "b":
                weight.assign(rng.integers(0, 8, size))
            elif kind == "moving_variance":
                weight.assign(rng.uniform(0.5, 2, size))
            elif kind in ("kernel", "bias", "gamma", "moving_mean", "bn_gamma", "bn_beta") or (kind == "beta" and size):
                weight.assign(rng.normal(size=size) * 0.8)
        x = (np.round(rng.normal(size=(2000, *shape)) * 32) / 16).astype(np.float32)
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", x=x, y=np.asarray(model.predict(x, verbose=0)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

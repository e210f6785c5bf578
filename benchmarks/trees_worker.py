"""Child process that trains and runs boosted trees in their own libraries: `python trees_worker.py requests.json`.

Its interpreter has xgboost, lightgbm and scikit-learn; nothing of ours is imported. A request: {"library", "settings",
"rounds", "data": npz with x, y and test, "model": file to write, or one that is there, "answer": npz to write}. The
answer holds "margin", (n, outputs), of the test samples, and "seconds", of training in CPU time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Answer the request of the file."""
    request = json.loads(Path(sys.argv[1]).read_text())
    data = np.load(request["data"])
    run = {"xgboost": _xgboost, "lightgbm": _lightgbm}[request["library"]]
    start = time.process_time()
    margin = run(request, data)
    margin = np.asarray(margin).reshape(len(data["test"]), -1)
    np.savez(request["answer"], margin=margin, seconds=time.process_time() - start)


def _xgboost(request: dict[str, Any], data: Any) -> Any:
    import xgboost  # pyright: ignore[reportMissingImports] -- in the environment that runs this file

    file = request["model"]
    if not Path(file).exists():
        settings = {"nthread": 1, "tree_method": "hist", "seed": 1, **request["settings"]}
        trained = xgboost.train(settings, xgboost.DMatrix(data["x"], data["y"]), request["rounds"])
        trained.save_model(file)
    return xgboost.Booster(model_file=file).predict(xgboost.DMatrix(data["test"]), output_margin=True)


def _lightgbm(request: dict[str, Any], data: Any) -> Any:
    import lightgbm  # pyright: ignore[reportMissingImports]

    file = request["model"]
    if not Path(file).exists():
        settings = {"num_threads": 1, "verbose": -1, "seed": 1, "deterministic": True, **request["settings"]}
        trained = lightgbm.train(settings, lightgbm.Dataset(data["x"], data["y"]), request["rounds"])
        trained.save_model(file)
    return lightgbm.Booster(model_file=file).predict(data["test"], raw_score=True)


if __name__ == "__main__":
    main()

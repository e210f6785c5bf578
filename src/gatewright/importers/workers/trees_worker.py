"""Child process that runs XGBoost and LightGBM models in their own libraries: `python trees_worker.py requests.json`.

Its interpreter has xgboost or lightgbm; nothing of ours is imported. A request: {"model", "inputs": npz with x,
"answer": npz to write, "framework": "xgboost" or "lightgbm"}. The answer holds "margin", (n, outputs), the sums before
the objective's function; or "missing", the package that is not installed; or "error".
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from typing import Any

import numpy as np


def main() -> None:
    """Answer every request of the file."""
    warnings.simplefilter("ignore")
    from pathlib import Path

    for request in json.loads(Path(sys.argv[1]).read_text()):
        x = np.load(request["inputs"])["x"].astype(np.float32)
        np.savez(request["answer"], **_answer(request["model"], x, request["framework"]))


def _answer(path: str, x: Any, framework: str) -> dict[str, Any]:
    try:
        library = import_module(framework)
        if framework == "xgboost":
            margin = library.Booster(model_file=path).predict(library.DMatrix(x), output_margin=True)
        else:
            margin = library.Booster(model_file=path).predict(x, raw_score=True)
        return {"margin": np.asarray(margin).reshape(len(x), -1)}
    except ModuleNotFoundError as error:
        return {"missing": np.array(error.name)}
    except Exception as error:  # noqa: BLE001 - whatever the framework says belongs into the table
        said = " ".join(str(error).partition("Stack trace:")[0].split())  # XGBoost lists its calls behind
        return {"error": np.array(f"{type(error).__name__}: {said[-160:]}")}


if __name__ == "__main__":
    main()

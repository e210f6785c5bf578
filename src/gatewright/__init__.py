"""gatewright: labelled data and a chip's budget in, a verified FPGA design out.

`load_config` reads a TOML file, `run` carries it, or arrays, from data to bitstream and report; `Predictor` answers new
samples as the hardware would; `Program` and `Interpreter` are the
exact integer network (`load_program` and `save_program` keep it as text), `estimate_program` its cost without
synthesis. Importing this package loads none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gatewright.version import __version__ as __version__

if TYPE_CHECKING:
    from gatewright.config import Config, load_config, parse_config
    from gatewright.data import Dataset, dataset_from_arrays
    from gatewright.errors import GatewrightError
    from gatewright.flow.estimate import estimate_program
    from gatewright.flow.predict import Prediction, Predictor
    from gatewright.flow.run import RunResult, run
    from gatewright.ir import Interpreter, Program, load_program, save_program
    from gatewright.search import SearchResult, pick_point, run_search

__all__ = [
    "Config",
    "Dataset",
    "GatewrightError",
    "Interpreter",
    "Prediction",
    "Predictor",
    "Program",
    "RunResult",
    "SearchResult",
    "dataset_from_arrays",
    "estimate_program",
    "load_config",
    "load_program",
    "parse_config",
    "pick_point",
    "run",
    "run_search",
    "save_program",
]

_HOME = {
    "Config": "config",
    "Dataset": "data",
    "GatewrightError": "errors",
    "Interpreter": "ir",
    "Prediction": "flow.predict",
    "Predictor": "flow.predict",
    "Program": "ir",
    "RunResult": "flow.run",
    "SearchResult": "search",
    "dataset_from_arrays": "data",
    "estimate_program": "flow.estimate",
    "load_config": "config",
    "load_program": "ir",
    "parse_config": "config",
    "pick_point": "search",
    "run": "flow.run",
    "run_search": "search",
    "save_program": "ir",
}


def __getattr__(name: str) -> object:
    """Load a public name at its first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'gatewright' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"gatewright.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Name what is public, loaded or not."""
    return sorted([*__all__, "__version__"])

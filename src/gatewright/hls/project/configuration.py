"""An hls4ml configuration as its users have it in (YAML or JSON, and a model), what to ask hls4ml for out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from gatewright.errors import ConfigError, nearest
from gatewright.importers.keras.archive import weights_beside
from gatewright.tools import need

BACKENDS = {"vivado": "Vivado", "vitis": "Vitis"}
IO_TYPES = ("io_parallel", "io_stream")
GRANULARITIES = ("model", "type", "name")
MODEL_KEYS = ("KerasModel", "KerasH5", "OnnxModel", "PytorchModel")
_PARTS = ("Model", "LayerName", "LayerType", "Optimizers", "SkipOptimizers", "Flows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What hls4ml is asked for.

    model: .h5, .json, .keras or .onnx; weights: the .h5 beside a .json; hls: HLSConfig, or the granularity with which
    hls4ml's config_from_keras_model writes one; whole: the file's other entries.
    """

    model: Path
    weights: Path | None
    hls: Mapping[str, Any] | str
    backend: str = "Vivado"
    io_type: str = "io_parallel"
    whole: Mapping[str, Any]


def read_configuration(
    source: Path | str,
    *,
    model: Path | None = None,
    weights: Path | None = None,
    backend: str | None = None,
    io_type: str | None = None,
) -> Configuration:
    """Return a configuration file with its model; what is given here counts before what the file says.

    source: a YAML or JSON file that holds the whole configuration or only what stands under HLSConfig; or "model",
    "type" or "name", as hls4ml's config_from_keras_model would write it with this granularity. Raises ConfigError.
    """
    whole: dict[str, Any] = {} if source in GRANULARITIES else _read(Path(source))
    hls: Any = str(source) if source in GRANULARITIES else whole.pop("HLSConfig", None)
    if hls is None:
        hls = {key: whole.pop(key) for key in _PARTS if key in whole}
    where = str(source)
    if not isinstance(hls, str):
        _check(hls, where)
    folder = Path(source).parent if source not in GRANULARITIES else Path()
    found, beside = _model(whole, folder, where) if model is None else (model, None)
    weights = weights or beside
    if found.suffix == ".json" and weights is None:
        weights = weights_beside(found)
    words = {
        "backend": backend or whole.get("Backend", "Vivado"),
        "io_type": io_type or whole.get("IOType", IO_TYPES[0]),
    }
    if str(words["backend"]).lower() not in BACKENDS:
        raise ConfigError(
            f"{where}: backend {words['backend']!r} has tables and sums of its own, which are not predicted; "
            f"choose one of {', '.join(BACKENDS.values())} with --backend to judge the types"
        )
    if words["io_type"] not in IO_TYPES:
        raise ConfigError(f"{where}: IOType must be {' or '.join(IO_TYPES)}, not {words['io_type']!r}")
    return Configuration(
        model=_known(found, where),
        weights=weights,
        hls=hls,
        backend=BACKENDS[str(words["backend"]).lower()],
        io_type=words["io_type"],
        whole=whole,
    )


def configuration_text(configuration: Configuration, hls: Mapping[str, Any]) -> str:
    """Return the YAML of a configuration with another HLSConfig: all of the file's own entries are kept."""
    yaml = import_module("yaml")
    whole = {**configuration.whole, "HLSConfig": dict(hls)}
    whole.setdefault("Backend", configuration.backend)
    whole.setdefault("IOType", configuration.io_type)
    return str(yaml.safe_dump(whole, sort_keys=False))


def _read(path: Path) -> dict[str, Any]:
    need("yaml", "an hls4ml configuration", "hls")
    yaml = import_module("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        """Reads the tag by which hls4ml's own files name a Keras model as the name."""

    def name(loader: Any, node: Any) -> str:
        return str(loader.construct_scalar(node))

    Loader.add_constructor("!keras_model", name)
    try:
        given: Any = yaml.load(path.read_text(), Loader=Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected an hls4ml configuration, YAML or JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: expected an hls4ml configuration such as 'HLSConfig: ...', not {given!r:.80}")
    return cast("dict[str, Any]", given)


def _check(hls: Any, where: str) -> None:
    """Raise ConfigError for what hls4ml would misread or silently leave out."""
    if not isinstance(hls, Mapping) or "Model" not in hls:
        raise ConfigError(
            f"{where}: expected HLSConfig with 'Model: {{Precision: ap_fixed<16,6>, ReuseFactor: 1}}', not {hls!r:.80}"
        )
    keys = cast("Mapping[str, Any]", hls)
    for key in keys:
        if key not in _PARTS:
            raise ConfigError(
                f"{where}: HLSConfig has a key {key!r}, which hls4ml leaves out.{nearest(key, list(_PARTS))}"
            )
    for key in ("Precision", "ReuseFactor"):
        if key not in hls["Model"]:
            raise ConfigError(f"{where}: HLSConfig.Model has no {key}, which hls4ml needs")


def _model(whole: Mapping[str, Any], folder: Path, where: str) -> tuple[Path, Path | None]:
    """Return the model that the file names, and its weights; names are relative to the file."""
    if "KerasJson" in whole:
        return folder / str(whole["KerasJson"]), folder / str(whole["KerasH5"]) if "KerasH5" in whole else None
    for key in MODEL_KEYS:
        if key in whole:
            return folder / str(whole[key]), None
    raise ConfigError(f"{where} names no model ({', '.join(('KerasJson', *MODEL_KEYS))}); give it with --model")


def _known(model: Path, where: str) -> Path:
    if not model.is_file():
        raise ConfigError(f"{where}: no model file {model}")
    if model.suffix in (".pt", ".pth"):
        raise ConfigError(f"{model}: hls4ml opens a .pt by running what is in it; export the model to ONNX instead")
    if model.suffix not in (".h5", ".hdf5", ".json", ".keras", ".onnx"):
        raise ConfigError(f"{model}: expected a Keras file (.h5, .json with weights, .keras) or .onnx")
    return model

"""The table [model] in; the model file read, its road to hardware chosen, and what cannot work refused, out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatewright.config import Config, Model, Student
from gatewright.errors import ConfigError, DataError, ExportError, LowerError
from gatewright.flow.lowering import choices_of, taken
from gatewright.flow.stages.output import output_stage
from gatewright.tools import digest

if TYPE_CHECKING:
    from gatewright.data import Dataset
    from gatewright.export import Exported
    from gatewright.fixedpoint import Fixed
    from gatewright.graph import Graph

Road = Literal["exact", "post-training", "qat"]
NOMINAL_INPUT = "fixed<16,6>"  # for the check before any work, where the data will say which it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A model file as it was read. graph: with its precisions; road: how it becomes integers; sha256: of its file."""

    settings: Model
    graph: Graph
    road: Road
    sha256: str
    weights_sha256: str = ""

    @property
    def file(self) -> str:
        """The file's name without its folder."""
        return Path(self.settings.file).name

    @property
    def identity(self) -> list[Any]:
        """Return what decides everything that is made of the model: contents, not paths."""
        plain = self.settings.model_dump(exclude={"file", "weights", "precision"})
        return [plain, self.road, self.sha256, self.weights_sha256, _precision(self.settings)]


def read_model(config: Config) -> tuple[Imported, Config]:
    """Return the model of [model] and the configuration with what only the model knows: input format, layers.

    Raises ModelError for a file that cannot be read, ConfigError for settings that do not suit it, ExportError and
    LowerError, naming the layer, for one that has no exact integer form or no hardware.
    """
    from gatewright.export.inputs import own_input_format
    from gatewright.export.vectors import flat_input, is_quantized
    from gatewright.graph import simplify
    from gatewright.graph.nodes import Trees
    from gatewright.importers import load_model
    from gatewright.importers.precision import apply_precision

    settings = config.model
    assert settings is not None, "asked of a configuration with a model only"
    file, weights = Path(settings.file), Path(settings.weights) if settings.weights else None
    graph = load_model(file, weights=weights)
    precision = _precision(settings)
    if precision:
        graph = apply_precision(graph, precision)
    graph = flat_input(simplify(graph))
    road: Road = settings.quantize if settings.quantize != "auto" else "qat"
    if config.trees is not None:
        road = "qat"  # it teaches them
    elif settings.quantize == "auto" and (precision or is_quantized(graph)):
        road = "exact"
    elif settings.quantize == "auto" and any(isinstance(node, Trees) for node in graph.nodes):
        road = "post-training"  # trees are no start for a dense student
    if config.data.input_format == "auto":
        own = own_input_format(graph)
        if own is not None:
            update = {"data": config.data.model_copy(update={"input_format": str(own)})}
            config = config.model_copy(update=update)
    imported = Imported(
        settings=settings,
        graph=graph,
        road=road,
        sha256=digest(file),
        weights_sha256=digest(weights) if weights else str((graph.metadata or {}).get("weights_sha256", "")),
    )
    if road == "qat":
        config = _with_layers(config, imported)
        assert config.model is not None, "it had one"
        return replace(imported, settings=config.model), config
    _check_hardware(imported, config)
    return imported, config


def fitted(imported: Imported, data: Dataset, task: str) -> Graph:
    """Return the graph as a function of the data's rows: (features,) in the data's units -> one score per class.

    Raises DataError where the model's input or output does not match the data, with both and the remedy.
    """
    from gatewright.export.vectors import class_scores, fold_units, scaled_input
    from gatewright.graph.shapes import shapes

    graph, settings = imported.graph, imported.settings
    shape = shapes(graph)[graph.nodes[0].name]
    features = data.x.shape[1]
    if int(np.prod(shape)) != features:
        raise DataError(
            f"model {imported.file} reads {int(np.prod(shape))} inputs {shape}, the data has {features} features; "
            "choose the model's columns (data.feature_columns), window or image_size, or another model"
        )
    scale, offset = _units(settings, data)
    if (scale != 1).any() or offset.any():
        graph = scaled_input(graph, scale, offset)
        graph = fold_units(graph, float_weights=imported.road != "exact")
    outputs = len(data.classes) or (1 if data.y.ndim == 1 else data.y.shape[1])
    if task == "classification":
        graph = replace(class_scores(graph, outputs), classes=data.classes)
    shape = shapes(graph)[graph.output]
    if shape != (outputs,):
        names = f"classes ({', '.join(data.classes[:12])})" if data.classes else "targets"
        raise DataError(
            f"model {imported.file} gives {' x '.join(map(str, shape))} values, the data has {outputs} {names}; "
            "take labels of the model's own classes (data.label_column, labels), or train its last layer for these"
        )
    return graph


def quantized(graph: Graph, x: NDArray[np.float64], settings: Model, source: Fixed) -> Graph:
    """Return the graph with the formats that [model] asks for, calibrated on samples x: (n, *input shape)."""
    from gatewright.export import Calibration, calibrate

    wanted = Calibration(
        weight_bits=settings.weight_bits,
        activation_bits=settings.activation_bits,
        table_bits=settings.table_bits,
        bias_correction=settings.bias_correction,
        input_format=source,
    )
    return calibrate(graph, x, wanted)


def exported(graph: Graph, config: Config, source: Fixed, road: Road) -> Exported:
    """Return the exact program of a quantized graph of input codes in `source`; ExportError names the node."""
    from gatewright.export import export_graph
    from gatewright.fixedpoint import Fixed

    assert config.model is not None, "asked of a configuration with a model only"
    wanted = config.model.output_format
    try:
        return export_graph(
            graph,
            name=config.name,
            input_format=source if road == "exact" else None,
            output=output_stage(config),
            output_format=Fixed.parse(wanted) if wanted else None,
        )
    except ExportError as error:
        raise ExportError(
            f'{Path(config.model.file).name}: {error}; in a run: model.output_format = "fixed<12,4>" for real numbers '
            'at the output, else model.quantize = "post-training", or "qat" for a student'
        ) from None


def _precision(settings: Model) -> dict[str, Any]:
    from gatewright.importers.precision import read_precision

    if isinstance(settings.precision, str):
        return read_precision(Path(settings.precision)) if settings.precision else {}
    return settings.precision


def _with_layers(config: Config, imported: Imported) -> Config:
    """Return the configuration whose student has the model's layers, where its training starts from them."""
    from gatewright.export.vectors import class_scores
    from gatewright.fit.start import hidden_layers

    if config.trees is not None:
        return config
    if config.student.layers and imported.settings.start == "model":
        raise ConfigError('model.start = "model" gives the student its layers; leave student.layers out')
    own = imported.settings.start == "random" or config.student.precision == "tables" or config.student.layers
    from_model = not own
    hidden = hidden_layers(class_scores(imported.graph, 0)) if from_model else None
    if hidden is None:
        if imported.settings.start == "model":
            raise ConfigError(
                f'model.start = "model" needs dense layers with ReLU between, which {imported.file} is not made of; '
                'set model.start = "random" and the student\'s layers in student.hidden'
            )
        start = imported.settings.model_copy(update={"start": "random"})
        return config.model_copy(update={"model": start})
    try:
        student = Student.model_validate({**config.student.model_dump(), "hidden": hidden})
    except ValueError as error:
        raise ConfigError(f"student, with the layers {hidden} of {imported.file}: {error}") from None
    return config.model_copy(
        update={"student": student, "model": imported.settings.model_copy(update={"start": "model"})}
    )


def _check_hardware(imported: Imported, config: Config) -> None:
    """Export (and, of a float model, calibrate on a few random samples) to see that every layer has hardware."""
    from gatewright.fixedpoint import Fixed
    from gatewright.graph.shapes import shapes

    wanted = config.data.input_format
    graph, source = imported.graph, Fixed.parse(NOMINAL_INPUT if wanted == "auto" else wanted)
    if imported.road == "post-training":
        x = np.random.default_rng(0).normal(0, 1, (8, *shapes(graph)[graph.nodes[0].name]))
        graph = quantized(graph, x, imported.settings, source)
    program = exported(graph, config, source, imported.road).program
    try:
        taken(program, choices_of(config))
    except LowerError as error:
        raise LowerError(
            f'{imported.file}: {error}; or let the model teach one: model.quantize = "qat" with student.hidden'
        ) from None


def _units(settings: Model, data: Dataset) -> tuple[Any, Any]:
    """Return (scale, offset) that make the model's input of a conditioned number."""
    features = data.x.shape[1]
    given = {"input_scale": settings.input_scale, "input_offset": settings.input_offset}
    arrays: list[Any] = []
    for key, value in given.items():
        if isinstance(value, tuple) and len(value) != features:
            raise ConfigError(f"model.{key} must be one number or {features}, one per feature, not {len(value)}")
        arrays.append(np.asarray(value, dtype=np.float64))
    scale, offset = arrays
    if settings.inputs == "conditioned":
        return scale, offset
    scaling = data.contract["scaling"]
    by, shift = (np.array(scaling[key], dtype=np.float64) for key in ("scale", "offset"))
    if not by.all():
        names = ", ".join(name for name, factor in zip(data.feature_names, by, strict=True) if not factor)
        raise DataError(
            f'model.inputs = "raw" needs features whose scaling can be undone; {names} are constant in the training '
            'split: leave them out, or set data.scaling = "none"'
        )
    return scale / by, offset - shift / by * scale

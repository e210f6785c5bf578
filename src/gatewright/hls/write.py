"""An HlsNetwork, input codes and results in; an hls4ml project with a test bench that fails on a difference out."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gatewright.errors import ConfigError, LowerError
from gatewright.fixedpoint import Ints
from gatewright.hls.depths import set_depths
from gatewright.hls.layers import Backend, HlsLayer, HlsNetwork, Io, Strategy
from gatewright.hls.traces import mend_traces
from gatewright.ir import ranges
from gatewright.tools import need, write_atomic

NAME = "gatewright_hls"
DEPTHS = (Backend.VITIS, Backend.VIVADO)  # whose streams have a depth that hls4ml writes
_BENCH = Path(__file__).with_name("bench.cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What hls4ml is told beside the network. part "": the back end's own.

    reuse_factor: how often each multiplier is used, one number for every layer or one for each that has weights.
    """

    backend: Backend = Backend.VITIS
    io: Io = Io.PARALLEL
    part: str = ""
    clock_ns: float = 5.0
    reuse_factor: int | tuple[int, ...] = 1
    strategy: Strategy = Strategy.LATENCY


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsProject:
    """A written project. traced: the layers whose results its emulation records, in this order.

    depths: of its streams between layers, by name, the words that hls4ml gives each and those that it has.
    """

    folder: Path
    network: HlsNetwork
    settings: Settings
    traced: tuple[HlsLayer, ...]
    depths: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])


def write_project(network: HlsNetwork, settings: Settings, codes: Ints, results: Ints, out: Path) -> HlsProject:
    """Write the project and its bench into the folder `out`.

    codes: (n, *input shape); results: (n, *output shape), the program's. Raises MissingToolError without hls4ml, and
    LowerError where hls4ml changes a type that it was given.
    """
    need("hls4ml", "an HLS project", "hls")
    packed = Path(f"{out}.tar.gz")
    kept = packed.exists()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hls4ml's own, of types that it is told to override
        graph = _graph(network, settings, out)
        depths = set_depths(graph) if settings.io is Io.STREAM and settings.backend in DEPTHS else {}
        graph.write()
    if not kept:  # for Catapult hls4ml packs the folder beside it, whatever it is told
        packed.unlink(missing_ok=True)
    if settings.io is Io.STREAM and settings.backend is Backend.QUARTUS:
        mend_traces(out / "firmware" / f"{NAME}.cpp", graph)
    _forget_folder(out)
    nodes = {node.name: node for node in graph.get_layers()}
    for layer in network.layers:
        if layer.name in nodes:
            _check(layer, nodes[layer.name])
    traced = tuple(
        layer
        for layer in network.layers
        if layer.op and layer.name in nodes and nodes[layer.name].get_attr("function_cpp", None)
    )
    project = HlsProject(folder=out, network=network, settings=settings, traced=traced, depths=depths)
    _write_vectors(out / "tb_data", codes, results)
    if settings.backend is Backend.ONEAPI:  # whose bench is hls4ml's, in SYCL: it prints what it computes
        _write_numbers(out / "tb_data", codes, network.program.input.format.frac_bits)
    else:
        _write_bench(project)
    return project


def layer_list(network: HlsNetwork) -> list[dict[str, Any]]:
    """Return the layers as hls4ml takes them."""
    return [
        {
            "name": layer.name,
            "class_name": layer.kind,
            "inputs": list(layer.inputs),
            "data_format": "channels_last",
            **layer.settings,
        }
        for layer in network.layers
    ]


def hls_config(network: HlsNetwork, settings: Settings) -> dict[str, Any]:
    """Return hls4ml's HLSConfig: every type by name, and none of its passes that would choose others."""
    reuse = _reuse(network, settings.reuse_factor)
    named = {
        layer.name: {
            "Precision": {role: str(kind) for role, kind in layer.types.items()},
            "Trace": True,
            "ReuseFactor": reuse[layer.name],
            "Strategy": settings.strategy.value,
        }
        for layer in network.layers
    }
    model = {
        "Precision": {"default": "fixed<16,6>"},
        "ReuseFactor": 1,
        "Strategy": settings.strategy.value,
        "BitExact": False,
    }
    return {"Model": model, "LayerName": named}


def _reuse(network: HlsNetwork, factor: int | tuple[int, ...]) -> dict[str, int]:
    """Return each layer's factor, 1 of those without weights where each has its own. Raises ConfigError."""
    weighted = [layer.name for layer in network.layers if "weight" in layer.types]
    if isinstance(factor, int):
        return {layer.name: factor for layer in network.layers}
    if len(factor) != len(weighted):
        raise ConfigError(
            f"{len(factor)} reuse factors for {len(weighted)} layers with weights; give one number, or one for each: "
            f"{', '.join(layer.layer for layer in network.layers if layer.name in weighted)}"
        )
    return {layer.name: 1 for layer in network.layers} | dict(zip(weighted, factor, strict=True))


def _graph(network: HlsNetwork, settings: Settings, out: Path) -> Any:
    """Return hls4ml's ModelGraph after all of its passes."""
    config: dict[str, Any] = import_module("hls4ml.utils.config").create_config(
        output_dir=str(out),
        project_name=NAME,
        backend=settings.backend.value,
        clock_period=settings.clock_ns,
        io_type=settings.io.value,
        **({"part": settings.part} if settings.part else {}),
    )
    config["HLSConfig"] = hls_config(network, settings)
    config["TraceOutput"] = True
    writer: dict[str, Any] = config.setdefault("WriterConfig", {"Namespace": None, "WriteTar": False})
    writer["WriteWeightsTxt"] = False  # what is compared are the numbers that the vendor's tool reads
    model_graph = import_module("hls4ml.model.graph").ModelGraph
    return model_graph.from_layer_list(config, layer_list(network), [network.layers[0].name], [network.output])


def _check(layer: HlsLayer, node: Any) -> None:
    """Raise LowerError where a type of hls4ml's finished graph is not the one asked for."""
    for role, wanted in layer.types.items():
        got = _spelled(_precision(node, role))
        if got != str(wanted):
            raise LowerError(
                f"layer {layer.layer!r} (%{layer.op}): hls4ml makes the type of its {role} {got}, not "
                f"{wanted} as it was told; docs/hls.md names the versions of hls4ml that gatewright knows"
            )


def _precision(node: Any, role: str) -> Any:
    if role == "result":
        return node.get_output_variable().type.precision
    return (node.weights[role].type if role in node.weights else node.get_attr(f"{role}_t")).precision


def _spelled(precision: Any) -> str:
    """Return a type of hls4ml's, whatever the back end's prefix, as HlsType spells it."""
    modes = f"{precision.rounding_mode},{precision.saturation_mode},{precision.saturation_bits}"
    return f"{'' if precision.signed else 'u'}fixed<{precision.width},{precision.integer},{modes}>"


def _forget_folder(out: Path) -> None:
    """Take this machine's path out of the record that hls4ml keeps of its configuration."""
    for name in ("hls4ml_config.yml", "build_lib.sh"):
        file = out / name
        if file.is_file():
            write_atomic(file, file.read_text().replace(str(out), "."))


def bench_file(backend: Backend) -> str:
    """Return the bench's name: that of hls4ml's, which it replaces; in Catapult, whose SCVerify needs that, another."""
    return f"{NAME}_bench.cpp" if backend is Backend.CATAPULT else f"{NAME}_test.cpp"


def _write_bench(project: HlsProject) -> None:
    program = project.network.program
    known = ranges(program)
    output = known[program.output]
    rows = (f'    {{"{layer.name}", {prod(known[layer.op].lo.shape)}}},\n' for layer in project.traced)
    values = {
        "NAME": NAME,
        "INPUTS": prod(program.input.shape),
        "RESULTS": output.lo.size,
        "INPUT_FRAC_BITS": program.input.format.frac_bits,
        "RESULT_FRAC_BITS": output.frac_bits,
        "TRACED": "".join(rows),
        "SIZES": ", input_size, result_size" if project.settings.backend is Backend.QUARTUS else "",
    }
    text = _BENCH.read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    write_atomic(project.folder / bench_file(project.settings.backend), text)


def _write_vectors(folder: Path, codes: Ints, results: Ints) -> None:
    folder.mkdir(exist_ok=True)
    write_atomic(folder / "inputs.txt", _lines(codes))
    write_atomic(folder / "expected.txt", _lines(results))


def _write_numbers(folder: Path, codes: Ints, frac_bits: int) -> None:
    """Write the vectors as hls4ml's own bench reads them."""
    write_atomic(folder / "tb_input_features.dat", _lines(codes * 2.0**-frac_bits))


def _lines(values: NDArray[Any]) -> str:
    return "".join(" ".join(map(str, row)) + "\n" for row in values.reshape(len(values), -1).tolist())

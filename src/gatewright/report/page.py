"""A run's results, histories and examples in, one self-contained report.html out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gatewright.report import assessment, hardware, view
from gatewright.report.clocks import ns_text, usable_mhz
from gatewright.report.figures import front_picture, learning_curves, sample_pictures
from gatewright.report.judged import Judged, judged_pictures
from gatewright.report.model import chain_table, facts, layer_table, names
from gatewright.report.numbers import count, percent, significant, size
from gatewright.report.ranges import range_pictures
from gatewright.report.schema import validate_results
from gatewright.report.stage import FileRow, StageRow, run_files
from gatewright.tools import write_atomic

Results = Mapping[str, Any]


def write_report(
    run: Path,
    results: Results,
    *,
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    examples: Mapping[str, NDArray[Any]] | None = None,
    stages: Sequence[StageRow] = (),
    ranges: Sequence[Mapping[str, Any]] = (),
    judged: Judged | None = None,
    files: Sequence[FileRow] | None = None,
    command: str = "gatewright run CONFIG.toml",
) -> Path:
    """Write report.html into the run directory, atomically, and return its path.

    results: as in results.json (docs/results.md). history: {"teacher": rows, "student": rows}, as in history.json.
    examples: class -> input codes of a few samples, (n, *shape of a sample).
    ranges: rows of gatewright.export.profile, as dicts. judged: test samples and what was
    answered. files: what to list; None lists the run directory.
    command: what repeats the run.
    The same arguments give the same bytes. Raises GatewrightError where results break their schema.
    """
    validate_results(results)
    path = run / "report.html"
    rows = run_files(run) if files is None else files
    page = render(
        results,
        history=history,
        examples=examples,
        stages=stages,
        ranges=ranges,
        judged=judged,
        files=rows,
        command=command,
    )
    write_atomic(path, page)
    return path


def render(
    results: Results,
    *,
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    examples: Mapping[str, NDArray[Any]] | None = None,
    stages: Sequence[StageRow] = (),
    ranges: Sequence[Mapping[str, Any]] = (),
    judged: Judged | None = None,
    files: Sequence[FileRow] = (),
    command: str = "gatewright run CONFIG.toml",
) -> str:
    """Return the page as text; the arguments are write_report's."""
    data_header, data_rows = view.data_rows(results)
    layer_header, layer_rows = view.layer_rows(results)
    recall_header, recall_rows = view.recall_rows(results)
    return render_template(
        "template.html",
        name=results["name"],
        summary=summary(results),
        cards=view.headline_cards(results),
        stages=stages,
        provenance=provenance(results, stages),
        data_text=_data_text(results),
        data_header=data_header,
        data_rows=data_rows,
        samples=sample_pictures(examples or {}),
        curves=learning_curves(history or {}),
        weightless=view.weightless(results),
        trees=results.get("trees"),
        confusions=view.confusions(results),
        recall_header=recall_header,
        recall_rows=recall_rows,
        judged=judged_pictures(judged, results),
        balanced=view.balanced_rows(results),
        targets=view.target_rows(results),
        front=_front(results),
        model=_model(results, ranges),
        called=names(results),
        compression=view.compression_rows(results),
        layer_header=layer_header,
        layer_rows=layer_rows,
        **hardware.sections(results),
        **assessment.sections(results),
        **ending(results, files, command),
    )


def ending(results: Results, files: Sequence[FileRow], command: str) -> dict[str, Any]:
    """Return what files.html and the footer read."""
    return {
        "files": [{"path": row.path, "size": size(row.bytes), "meaning": row.meaning} for row in files],
        "command": command,
        "version": results["tool_versions"].get("gatewright", ""),
        "config_hash": results["config_hash"][:12],
    }


def render_template(template: str, **values: Any) -> str:
    """Return one of this package's templates with its values, and the style, filled in."""
    import jinja2

    folder = package_files("gatewright.report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
    )
    style = folder.joinpath("style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def summary(results: Results) -> str:
    """Return the page's first sentence: what the network does, how small it is, where it fits."""
    data, student, h = results["data"], results["student"], results["hardware"]
    task = f"{len(data['classes'])} classes" if data["classes"] else "a regression"
    latency = ns_text(h["latency_cycles"], usable_mhz(results, results["synthesis"].get(hardware.family(results))))
    interval = h["initiation_interval"]
    what = "a student network of "
    if "model" in results:
        what = f"the {names(results)['student']} of {results['model']['file']}, "
    holds = f"{count(student['parameters'])} parameters, {percent(student['sparsity'], 0)} of the weights zero"
    if "trees" in results:
        what, trees = "", results["trees"]
        holds = f"{count(trees['trees'])} decision trees that ask {count(trees['comparators'])} different questions"
    elif view.weightless(results):
        what, holds = "a student of ", f"truth tables with {count(student['bits'])} bits"
    return (
        f"{count(data['features'])} inputs, {task}: {what}{holds}, compiled for {h['part']}. It answers "
        f"{latency} after its inputs are complete and accepts a new sample every "
        f"{'cycle' if interval == 1 else f'{count(interval)} cycles'}."
    )


def _model(results: Results, ranges: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what the page says of an imported model, None where the run has none."""
    if "model" not in results:
        return None
    scores = {who: view.score(results, who)[0] for who in ("teacher", "student", "hardware")}
    chain_header, chain_rows = chain_table(results, scores)
    layer_header, layer_rows = layer_table(results)
    return {
        "facts": facts(results),
        "chain_header": chain_header,
        "chain_rows": chain_rows,
        "layer_header": layer_header,
        "layer_rows": layer_rows,
        "pictures": range_pictures(ranges),
        "trained": results["model"]["quantize"] == "qat",
    }


def _front(results: Results) -> dict[str, Any] | None:
    """Return picture and rows of the front of students, None where the run has none."""
    front = results.get("front")
    if front is None:
        return None
    share = results["task"] == "classification"
    rows = [
        [
            point_name(p, front),
            *([percent(p["score"])] if share else []),
            significant(p["loss"]),
            *(count(p[key]) for key in ("lut", "ff", "latency_cycles", "ebops", "nonzero")),
        ]
        for p in front["points"]
    ]
    header = [
        "point",
        *(["validation accuracy", "validation loss"] if share else ["validation RMSE"]),
        "LUT",
        "FF",
        "cycles",
        "EBOPs",
        "non-zero weights",
    ]
    caption = "The front: no other student of the run is both smaller and better."
    if share:
        caption += " Of equal accuracies, the one of lower loss is better: the cross-entropy, in nats per sample."
    return {
        "pictures": [front_picture(front, "Validation accuracy" if share else "Validation RMSE", percent=share)],
        "caption": caption,
        "header": header,
        "rows": rows,
    }


def point_name(point: Mapping[str, Any], front: Mapping[str, Any]) -> str:
    """Return the number of a front's point, and whether it was chosen."""
    return f"{point['point']}{' (chosen)' if point['point'] == front['chosen'] else ''}"


def _data_text(results: Results) -> str:
    data = results["data"]
    weights = zip(data["classes"], data.get("class_weights", ()), strict=False)
    said = ", ".join(f"{name} {significant(weight)}" for name, weight in weights)
    return (
        f"{count(sum(data['samples'].values()))} samples of {count(data['features'])} inputs, "
        f"each in the format {data['format']}."
        + (f" In training the loss of a sample was multiplied by its class's weight: {said}." if said else "")
    )


def provenance(results: Results, stages: Sequence[StageRow] = ()) -> list[tuple[str, str]]:
    """Return what a run was made of, as (term, value)."""
    versions: dict[str, str | None] = {**results["tool_versions"]}
    for stage in stages:
        versions.update(stage.tools)
    tools = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if version)
    return [
        ("Configuration", results["config_hash"]),
        ("Data", results["data"]["checksum"]),
        ("Seed", str(results["seed"])),
        ("Tools", tools),
    ]

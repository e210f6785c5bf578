"""The content of anomaly.json in, one self-contained report.html out."""
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# (matplotlib's own annotations are partial)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gatewright.report import hardware, view
from gatewright.report.clocks import ns_text, usable_mhz
from gatewright.report.figures import (
    INK,
    MUTED,
    STUDENT,
    TEACHER,
    Picture,
    axes_of,
    front_picture,
    learning_curves,
    sample_pictures,
    svg_of,
)
from gatewright.report.numbers import DASH, THIN, count, fixed, interval, percent, significant
from gatewright.report.page import ending, point_name, provenance, render_template
from gatewright.report.stage import FileRow, run_files
from gatewright.report.view import Card
from gatewright.tools import write_atomic

Results = Mapping[str, Any]
KINDS = {
    "autoencoder": "autoencoder",
    "vae": "encoder of a variational autoencoder",
    "isolation": "isolation forest",
}
_DASHES = ("dashed", "dotted", "dashdot")


def write_anomaly_page(
    run: Path,
    results: Results,
    *,
    history: Mapping[str, Sequence[Mapping[str, Any]]],
    examples: Mapping[str, NDArray[Any]],
    command: str,
) -> Path:
    """Write report.html into the run directory, atomically, and return its path.

    results: as in anomaly.json. history, examples, command: as write_report's. The same arguments and files give the
    same bytes.
    """
    path = run / "report.html"
    write_atomic(
        path, render_anomaly(results, history=history, examples=examples, files=run_files(run), command=command)
    )
    return path


def render_anomaly(
    results: Results,
    *,
    history: Mapping[str, Sequence[Mapping[str, Any]]],
    examples: Mapping[str, NDArray[Any]],
    files: Sequence[FileRow],
    command: str,
) -> str:
    """Return the page as text."""
    data_header, data_rows = view.data_rows(results)
    layers = [{"name": row["layer"], **row} for row in results["network"]]
    layer_header, layer_rows = view.layer_rows({"student": {"layers": layers}})
    return render_template(
        "anomaly.html",
        name=results["name"],
        summary=_summary(results),
        cards=_cards(results),
        charts=[_roc(results, few=False), _roc(results, few=True), _histogram(results)],
        auc_header=["score", "AUC", "interval", "difference", "interval"],
        auc_rows=_auc_rows(results),
        verdict=verdict(results),
        front=_front(results),
        threshold_text=_threshold_text(results),
        threshold_header=["share", "threshold", "false alarms", "interval", "anomalies found", "interval"],
        threshold_rows=[
            [percent(row["share"]), significant(row["threshold"], 4), *_shares(row)] for row in results["thresholds"]
        ],
        data_text=_data_text(results),
        data_header=data_header,
        data_rows=[[_marked(row[0], results), *row[1:]] for row in data_rows],
        samples=sample_pictures(examples),
        curves=learning_curves(history),
        score_facts=_score_facts(results),
        what="forest" if results["kind"] == "isolation" else "network",
        layer_header=layer_header,
        layer_rows=layer_rows,
        provenance=provenance(results),
        **hardware.sections(results),
        **ending(results, files, command),
    )


def _front(results: Results) -> dict[str, Any] | None:
    """Return picture and rows of the front of autoencoders, None where widths were not learnt."""
    front = results["front"]
    if front is None:
        return None
    header = ["point", "validation RMSE", "AUC", "interval", "LUT", "FF", "cycles", "EBOPs", "non-zero weights"]
    rows = [
        [
            point_name(p, front),
            significant(-p["score"]),
            _auc(p["auc"]),
            _ends(p["interval"]),
            *(count(p[key]) for key in ("lut", "ff", "latency_cycles", "ebops", "nonzero")),
        ]
        for p in front["points"]
    ]
    return {"pictures": [front_picture(front, "Test AUC", key="auc")], "header": header, "rows": rows}


def verdict(results: Results) -> str:
    """Return what the comparison with scores without a network says, in words that do not flatter."""
    said = {"better": list[str](), "worse": list[str](), "open": list[str]()}
    for name, row in results["baselines"].items():
        low, high = row["difference"]["interval"] or (-1.0, 1.0)
        said["better" if low > 0 else "worse" if high < 0 else "open"].append(name)
    sentences = [
        f"Its score is {word} {_listed(said[key])}."
        for key, word in (
            ("better", "better than"),
            ("worse", "worse than"),
            ("open", "on this test split not told apart from"),
        )
        if said[key]
    ]
    if said["worse"]:
        advice = "Build what needs no network, or try other settings."
    elif said["open"]:
        advice = "Where a score without a network can be built for less, prefer it, or try other settings."
    else:
        advice = "No simple score that was tried is as good."
    spread = "The intervals are of this split and this training: other seeds spread wider, so try several."
    return " ".join((*sentences, advice, spread))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"the {name}" for name in names)


def _summary(results: Results) -> str:
    h = results["hardware"]
    own = results["synthesis"].get(hardware.family(results))
    pace = h["initiation_interval"]
    what = "1 for an anomaly, else 0" if results["decision"] else "an anomaly score, greater is stranger"
    return (
        f"{count(results['data']['features'])} inputs, normal: {', '.join(results['normal'])}. The "
        f"{KINDS[results['kind']]} of normal samples, compiled for {h['part']}, gives {what}. It answers "
        f"{ns_text(h['latency_cycles'], usable_mhz(results, own))} after its inputs are complete and accepts "
        f"a new sample every {'cycle' if pace == 1 else f'{count(pace)} cycles'}."
    )


def _cards(results: Results) -> list[Card]:
    best = max(results["baselines"], key=lambda name: results["baselines"][name]["value"])
    decision = results["decision"]
    if decision is None:
        middle = Card(
            label="Anomalies in the test split",
            value=count(results["anomalies"]),
            note=f"of {count(results['samples'])} samples; the output is the score",
        )
    else:
        found, alarms = decision["found"], decision["false_alarms"]
        middle = Card(
            label="Anomalies found",
            value=percent(found["value"]),
            note=f"at {percent(alarms['value'])} false alarms, on the test split",
        )
    return [
        Card(label="AUC, hardware", value=_auc(results["value"]), note=f"95{THIN}%: {_ends(results['interval'])}"),
        Card(label="AUC, best without a network", value=_auc(results["baselines"][best]["value"]), note=best),
        middle,
        view.mismatch_card(results),
        Card(
            label="Parameters",
            value=count(sum(row["parameters"] for row in results["network"])),
            note="thresholds and leaves"
            if results["kind"] == "isolation"
            else f"{percent(_zeros(results['network']))} of the weights zero",
        ),
        *view.cost_cards(results),
    ]


def _zeros(layers: Sequence[Mapping[str, Any]]) -> float:
    weights = sum(prod(row["shape"]) for row in layers)
    return 1.0 - sum(row["nonzero"] for row in layers) / weights


def _auc(value: float) -> str:
    return fixed(value, 4)


def _ends(ends: Sequence[float] | None) -> str:
    return DASH if ends is None else " to ".join(fixed(end, 4) for end in ends)


def _shares(row: Mapping[str, Any]) -> list[str]:
    return [
        text
        for key in ("false_alarms", "found")
        for text in (percent(row[key]["value"]), interval(*row[key]["interval"]))
    ]


def _auc_rows(results: Results) -> list[list[str]]:
    rows = [[f"{results['kind']}, hardware", _auc(results["value"]), _ends(results["interval"]), "", ""]]
    for name, row in results["baselines"].items():
        apart = row["difference"]
        value = f"{'+' if apart['value'] > 0 else ''}{fixed(apart['value'], 4)}"
        rows.append([name, _auc(row["value"]), _ends(row["interval"]), value, _ends(apart["interval"])])
    return rows


def _threshold_text(results: Results) -> str:
    decision = results["decision"]
    if decision is None:
        return (
            "The hardware's output is the score itself; whoever reads it compares. --false-alarms SHARE builds a "
            "threshold in, and the output is 1 or 0."
        )
    alarms, found = decision["false_alarms"], decision["found"]
    return (
        f"The hardware's output is 1 from a score of {significant(decision['threshold'], 4)} on, the dashed line and "
        f"the point in the figures. On the test split that gives {percent(alarms['value'])} false alarms "
        f"({interval(*alarms['interval'])}) and finds {percent(found['value'])} of the anomalies "
        f"({interval(*found['interval'])})."
    )


def _data_text(results: Results) -> str:
    data = results["data"]
    return (
        f"{count(sum(data['samples'].values()))} samples of {count(data['features'])} inputs, "
        f"each in the format {data['format']}. "
        f"Of the {count(results['samples'])} test samples {count(results['anomalies'])} are anomalies."
    )


def _marked(name: str, results: Results) -> str:
    return f"{name} (normal)" if name in results["normal"] else name


def _score_facts(results: Results) -> list[tuple[str, str]]:
    """Return what makes the score of the network's outputs."""
    if results["kind"] == "vae":
        return [
            ("Score", "divergence of the latents from the prior"),
            ("Latents", count(results["latents"])),
            ("Formats", f"means {results['mean']}, log-variances {results['log_variance']}"),
            ("Weight of the divergence in training", significant(results["beta"])),
        ]
    if results["kind"] == "isolation":
        return [
            ("Score", "minus the sum of the path lengths"),
            ("Trees", f"{count(results['trees'])}, each of {count(results['tree_samples'])} normal samples"),
            ("Different questions", count(results["comparators"])),
            ("scikit-learn's score_samples", f"−2^(score / {significant(results['path_length_scale'], 6)})"),
        ]
    weights = sorted({2**shift for shift in results["shifts"]})
    return [
        ("Score", "sum of the absolute errors of the reconstruction"),
        ("Weights of the features' errors", ", ".join(map(str, weights))),
    ]


def _roc(results: Results, *, few: bool) -> Picture:
    """Return the ROC curves; few: from one false alarm among the normal test samples on, on a logarithmic axis."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = axes_of(3.6, 2.9)
    curves = [(results["kind"], results["roc"], STUDENT, "solid")]
    curves += [
        (name, row["roc"], MUTED, style)
        for (name, row), style in zip(results["baselines"].items(), _DASHES, strict=False)
    ]
    for order, (name, roc, colour, style) in enumerate(curves):
        line = axes.plot(roc["false_alarms"], roc["found"], color=colour, linestyle=style, linewidth=1.4, label=name)
        line[0].set_zorder(9 - order)
    if (decision := results["decision"]) is not None:
        x, y = (decision[key]["value"] for key in ("false_alarms", "found"))
        axes.plot(x, y, color=INK, marker="o", markersize=7, linestyle="none", label="the threshold", zorder=9)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}{THIN}%")
    if few:
        axes.set_xscale("log")
        axes.set_xlim(1.0 / (results["samples"] - results["anomalies"]), 1.0)
        for kind in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            kind(lambda value, _: f"{100 * value:.4g}{THIN}%" if f"{100 * value:e}"[0] in "125" else "")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}{THIN}%")
        axes.set_xlim(-0.02, 1.02)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    axes.set_xlabel("false alarms: share of the normal samples")
    title = "The same curves, few false alarms" if few else "ROC curve: share of anomalies found"
    named = [(results["kind"], results["value"])] + [(name, row["value"]) for name, row in results["baselines"].items()]
    alt = f"{title}. AUC: {', '.join(f'{name} {value:.4f}' for name, value in named)}."
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))


def _histogram(results: Results) -> Picture:
    """Return the scores of normal samples and anomalies, each as shares of its kind, and the threshold."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    figure, axes = axes_of(3.6, 2.9)
    scores = results["scores"]
    for key, label, colour in (("normal", "normal", STUDENT), ("anomalies", "anomalies", TEACHER)):
        total = sum(scores[key])
        shares = [number / total for number in scores[key]]
        axes.stairs(shares, scores["edges"], fill=True, color=colour, alpha=0.3)
        axes.stairs(shares, scores["edges"], color=colour, linewidth=1.2, label=label)
    if (decision := results["decision"]) is not None:
        axes.axvline(decision["threshold"], color=INK, linewidth=1.2, linestyle="dashed", label="threshold")
    if scores["log"]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}{THIN}%")
    axes.set_xlabel("anomaly score of test samples")
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    title = "Scores: share of each kind per bin"
    counts = f"{sum(scores['normal'])} normal samples and {sum(scores['anomalies'])} anomalies"
    alt = f"Histogram of the scores of {counts}, from {scores['edges'][0]:.4g} to {scores['edges'][-1]:.4g}."
    return Picture(title=title, alt=alt, html=svg_of(figure, title, alt))

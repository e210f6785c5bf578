"""Table `imports`: every model file of ../shared/data/models, of any format, in one list: exact, float or refused.

The rows come from `imports_keras` and `imports_onnx` (see there for the interpreters that the comparisons need); this
one says of each file in one word what became of it, and prints the table of docs/importing.md as Markdown beside it.
"""

from __future__ import annotations

from typing import Any

from benchmarks import imports_keras, imports_onnx
from benchmarks.tables import BUILD, publish
from gatewright.tools import write_atomic

FLOAT_TOLERANCE = 1e-4  # of the greatest value: above it a float model does not count as reproduced


def run() -> None:
    """Print the table and how many of the files import."""
    rows = [_keras(row) for row in imports_keras.rows()] + [_onnx(row) for row in imports_onnx.rows()]
    rows.sort(key=lambda row: row["file"].lower())
    given = [row for row in rows if not row["file"].endswith(".tflite")]
    done = sum(row["result"] != "refused" for row in given)
    exact = [row for row in rows if row["result"].startswith("exact")]
    note = f"{done} of {len(given)} files that are not TFLite import ({done / len(given):.0%}); {len(exact)} are exact"
    publish("imports", "Model files of other projects", rows, [note])
    head = ("file", "import", "result", "compared with", "detail", "program")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        f"| `{row['file']}` | {row['import']} | {row['result']} | {row['with']} | {row['detail']} | {row['program']} |"
        for row in rows
    ]
    write_atomic(BUILD / "imports.md", "\n".join([*lines, "", note, ""]))


def _relative(error: float) -> str:
    return f"{error:.1g} of the greatest" if error >= 1e-12 or error == 0 else "below 1e-12 of the greatest"


def _common(row: dict[str, Any]) -> dict[str, Any]:
    shown = f"{row['import_s'] * 1000:.0f} ms" if "import_s" in row else "–"
    return {"file": row["file"].split("/")[-1], "import": shown, "program": row.get("program", "–")}


def _refused(row: dict[str, Any]) -> dict[str, Any]:
    return {**_common(row), "result": "refused", "with": "–", "detail": row["note"]}


def _keras(row: dict[str, Any]) -> dict[str, Any]:
    if row["imported"] == "refused":
        return _refused(row)
    name = "Keras 3" if ".keras" in row["file"] else "Keras 2"
    if "exact" not in row:
        return {**_common(row), "result": "not compared", "with": "–", "detail": row.get("note", "")}
    samples = imports_keras.SAMPLES
    real = _relative(row["max_error"] / max(row["largest"], 1e-9))
    if row["kind"] == "quantized":
        if row["exact"] == samples:
            return {**_common(row), "result": "exact", "with": name, "detail": f"{samples:,} of {samples:,} samples"}
        inner = row.get("exact_hidden")
        if inner == samples:
            detail = f"{samples:,} of {samples:,} samples at the last quantizer; float behind it, {real}"
            return {**_common(row), "result": "exact", "with": name, "detail": detail}
        return {
            **_common(row),
            "result": "differs",
            "with": name,
            "detail": f"{row['exact']} of {samples:,} samples equal",
        }
    good = row["max_error"] <= FLOAT_TOLERANCE * row["largest"]
    return {**_common(row), "result": "float" if good else "differs", "with": name, "detail": real}


def _onnx(row: dict[str, Any]) -> dict[str, Any]:
    if row["imported"] == "refused":
        return _refused(row)
    if "output" not in row:
        return {**_common(row), "result": "not compared", "with": "–", "detail": row.get("note", row["reference"])}
    common = {**_common(row), "with": row["reference"]}
    real = _relative(row["output"])
    if "differing" in row:
        detail = f"{row['differing']} of {row['values']:,} quantized values differ ({row['samples']:,} samples); {real}"
        return {**common, "result": "differs" if row["differing"] else "exact", "detail": detail}
    return {**common, "result": "float" if row["output"] <= FLOAT_TOLERANCE else "differs", "detail": real}
